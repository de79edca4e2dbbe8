"""What a cell costs: floating-point operations and peak memory, known before it runs."""

from __future__ import annotations

from spikecube.linalg.costs import eigen_is_cheaper
from spikecube.model.parameters import Model
from spikecube.study.fields import Measure

_STEPS = 180  # products with F, of a vector each way, per alpha
_SLOW = 4.0  # an operation of a pass over memory takes as long as so many of a matrix product
_CALLS = 2.5e8  # operations of a matrix product that fit into what an alpha takes however small n
_EIGEN = 10.0  # operations of an eigendecomposition over the cube of its size; values alone take 3
_VALUES = 3.0


def _test_samples(measure: Measure, n: int) -> int:
    return n if measure.test_samples == "n" else int(measure.test_samples)


def cell_flops(model: Model, measure: Measure, *, n: int, num_alpha: int, num_lam: int) -> float:
    """Work of a cell in operations of a matrix product, near enough to plan, to order cells and to weigh progress.

    The six products, 4 d N (n_0 + n + n_test); the Gram matrix of F_0 and a factor of it per penalty; per alpha Krylov
    passes over F, or an eigendecomposition where that is cheaper, one elementwise pass over the test features, and
    all singular values where they are counted. With the exact test risk the test products are three of d N^2, and the
    elementwise pass is over N^2 second moments. Operations of a pass are bound by memory and weigh four times.
    """
    d, width = model.dim(n), model.width(n)
    small, large, exact = min(n, width), max(n, width), measure.test_risk == "exact"
    test = 1.0 * width if exact else float(_test_samples(measure, n))
    products = 4.0 * d * width * (model.step_samples(n) + n + test)
    initial = float(small) ** 2 * large + num_lam * (small**3 / 3 + 32.0 * n * width)
    dense = eigen_is_cheaper((n, width))
    spectral = _EIGEN * float(small) ** 3 + float(small) ** 2 * large if dense else _SLOW * 4.0 * _STEPS * n * width
    values = 0.0 if dense or not measure.spectrum_bins else _VALUES * float(small) ** 3 + float(small) ** 2 * large
    elementwise = (150.0 if exact else 20.0) * test * width
    return products + initial + num_alpha * (spectral + values + elementwise + _CALLS)


def cell_bytes(model: Model, measure: Measure, *, n: int, num_alpha: int, num_lam: int) -> float:
    """Peak bytes of a cell's arrays, the largest of three moments.

    With b bytes per number (8, or 4 in single precision) and K = b N (2 n + 2 n_test) for the four pre-activations, or
    b N (2 n + 3 N) with the exact test risk:

    - the gradient: b (d N + d (n + n_0)) for the draw, b N max(n_0, d) + b d N for the pre-activation and the step;
    - the last product: K and b d (2 N + n + n_0 + n_test);
    - all later: K, one feature matrix b n N with its copy in single precision, 4 n N, and a Gram matrix of
      min(n, N)^2 with room for a factor: 8 bytes for both where N <= n, else 16. Small cells keep
      an eigendecomposition instead, 24 bytes and 16 of workspace that LAPACK takes. When these are gone F - F_0 takes
      4 n N, which counts where F itself is in single precision and has no copy.

    Then 1 MB and a Krylov basis of 256 vectors of N in double precision.
    """
    d, width, step, b = model.dim(n), model.width(n), model.step_samples(n), 8 if measure.precision == "float64" else 4
    small, exact = min(n, width), measure.test_risk == "exact"
    test = 0 if exact else _test_samples(measure, n)
    kept = 1.0 * b * width * (2 * n + (3 * width if exact else 2 * test))
    gradient = b * (2.0 * d * width + d * (n + step) + 1.0 * step * width)
    products = kept + b * (2.0 * d * width + d * (n + step + test)) + (b * width * width if exact else 0)
    gram = (40 if eigen_is_cheaper((n, width)) else 8 if width <= n else 16) * float(small) ** 2
    single = 4.0 * n * width
    features = b * n * width + (single + gram if b == 8 else max(single, gram))
    return max(gradient, products, kept + features) + 2048.0 * width + 1e6
