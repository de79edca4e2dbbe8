"""How losses approach their limits and their equivalents: limits with exponents, and signed gaps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.cube_theory import CubeData, CubeTheory, cube_data, spikes_kept
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import as_generator
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import LIMIT, POWER, known_limit
from spikecube.scaling.results import SENTENCES, STATUS, adjust, describe

LOSSES = ("train_loss", "test_loss")
_LIMITS = tuple(f"{loss}_limit" for loss in LOSSES)
LIMITS_NEED = ("alpha", "n", "seed", "lam", *LOSSES)
GAPS_NEED = (*LIMITS_NEED, "ell", *(f"{loss}_spiked" for loss in LOSSES))


def fit_limits(
    cube: xr.Dataset | str | Path,
    *,
    exponent: float | str = "theory",
    prediction: xr.Dataset | bool = True,
    controls: bool = True,
    n_min: float | str | None = None,
    rng: Any = None,
    draws: bool = False,
) -> xr.Dataset:
    """Fit L(F) = L_inf + A n^b with b < 0, train and test, against the theory's limit.

    Parameters
    ----------
    cube : with `train_loss`, `test_loss` and its study.
    exponent : "theory" takes the slowest of the finite strength of spike ell, -(1 - ell(1 - 2 alpha)), the missing
        spike ell + 1, -((ell + 1)(1 - 2 alpha) - 1), and the fluctuations, -(1 - 2 alpha) (alphas where it vanishes get
        a status); "free" estimates b; a negative number gives it.
    prediction : of `predict`, made anew if True: its `train_loss_limit` and `test_loss_limit` are the expected limits.
    controls, n_min, rng, draws : see `fit_outliers`.

    Returns
    -------
    xr.Dataset
        Dims (loss, alpha, lam, ...further axes), params limit, amplitude and, if free, exponent (power of n).
        An interval that is open on one side is infinite there, with a status that says so.
    """
    rng = as_generator(rng)
    data = cube_data(cube, LIMITS_NEED, controls=controls, prediction=prediction, predicted=_LIMITS)
    cube, known, limits, kept = data.cube, data.theory, _limits(data), spikes_kept(data.cube)
    theory = {a: limit_exponent(a, ell, known) for a, ell in zip(cube["alpha"].values.tolist(), kept, strict=True)}
    powers = {a: leading if exponent in ("theory", "free") else _number(exponent) for a, leading in theory.items()}
    rows = []
    for a, power in powers.items():
        expected = {"limit": np.nan if limits is None else limits.sel(alpha=a), "exponent": theory[a]}
        fine = exponent == "free" or bool(np.isfinite(power))
        law = LIMIT if exponent == "free" else known_limit(power if fine else -1.0)
        parts = [
            fit_sample(
                law,
                data.sample(loss, _bare(cube[loss]).sel(alpha=[a]).where(fine)),
                n_min=n_min,
                rng=rng,
                draws=draws,
                expected={k: v if isinstance(v, float) else v.sel(loss=loss) for k, v in expected.items()},
            )
            for loss in LOSSES
        ]
        rows.append(_mark(xr.concat(parts, dim=xr.Variable("loss", list(LOSSES))), fine))
    result: xr.Dataset = xr.concat(rows, dim="alpha")
    result["theory_exponent"] = ("alpha", np.array(list(powers.values()), dtype=float))
    result["theory_exponent"].attrs["long_name"] = "exponent of n of the leading approach to the limit"
    result.attrs |= {"controls": str(data.controls is not None), "prediction": data.note, "exponent": str(exponent)}
    return describe(adjust(result), quantity="loss")


def _number(exponent: float | str) -> float:
    if isinstance(exponent, str):
        raise FitError(f'exponent={exponent!r} is not "theory", "free" or a negative number')
    return float(exponent)


def limit_exponent(alpha: float, ell: int | None, known: CubeTheory) -> float:
    """The slowest of the three approaches; NaN where the strength of spike ell does not decide."""
    if ell is None:
        return np.nan
    own = known.exponent("finite_strength", alpha, ell)
    others = [known.exponent("missing_spike", alpha, ell), known.exponent("fluctuation", alpha, ell)]
    return float(max([own, *(x for x in others if np.isfinite(x))]))


def _mark(fit: xr.Dataset, fine: bool) -> xr.Dataset:
    """The status not_applicable where there is no law to fit."""
    if not fine:
        fit["status"] = xr.full_like(fit["status"], STATUS["not_applicable"])
        fit["message"] = xr.full_like(fit["message"], SENTENCES["not_applicable"])
    return fit


def _limits(data: CubeData) -> xr.DataArray | None:
    """The predicted limits of both losses, dims (loss, alpha, lam, ...)."""
    if data.predicted is None:
        return None
    parts = [data.predicted[name] for name in _LIMITS]
    joined: xr.DataArray = xr.concat(parts, dim=xr.Variable("loss", list(LOSSES)), coords="minimal", compat="override")
    return _bare(joined)


def _bare(values: xr.DataArray) -> xr.DataArray:
    """Values with the labels of their dims and no other coordinate."""
    return values.drop_vars([c for c in values.coords if c not in values.dims])


def fit_gaps(
    cube: xr.Dataset | str | Path,
    *,
    prediction: xr.Dataset | bool = True,
    controls: bool = True,
    n_min: float | str | None = None,
    rng: Any = None,
    draws: bool = False,
) -> xr.Dataset:
    """Fit the signed mean gaps E[gap] = C n^b on the raw scale, C of either sign, train and test.

    ``gap = "missing_spike"``: L(F) - L(F_ell), paired by seed, expected b = -((ell + 1)(1 - 2 alpha) - 1);
    ``gap = "finite_strength"``: L(F_ell) - limit, expected b = -(1 - ell(1 - 2 alpha)); ell = ell(alpha).

    No logarithm of a noisy gap is taken: seeds with negative gaps count like all others, and a gap that is not resolved
    from zero gets a status instead of an exponent. The fit is that of a Gaussian GLM with log link and known variances.

    Parameters
    ----------
    cube : with the losses of F and F_ell, and its study.
    prediction : of `predict`, made anew if True; without it (False) the finite-strength gap is left out.
    controls, n_min, rng, draws : see `fit_outliers`.

    Returns
    -------
    xr.Dataset
        Dims (gap, loss, alpha, lam, ...further axes); see `fit_power_law`.
    """
    rng = as_generator(rng)
    data = cube_data(cube, GAPS_NEED, controls=controls, prediction=prediction, predicted=_LIMITS)
    cube, known, limits, kept = data.cube, data.theory, _limits(data), spikes_kept(data.cube)
    alphas = cube["alpha"].values.tolist()
    ell = xr.DataArray([k or int(cube["ell"].values[0]) for k in kept], dims="alpha", coords={"alpha": alphas})
    bounded = xr.DataArray([k is not None for k in kept], dims="alpha", coords={"alpha": alphas})

    def spiked(loss: str) -> xr.DataArray:
        return cube[f"{loss}_spiked"].sel(ell=ell).where(bounded)

    gaps: dict[str, Callable[[str], xr.DataArray]] = {"missing_spike": lambda loss: cube[loss] - spiked(loss)}
    if limits is not None:
        gaps["finite_strength"] = lambda loss: spiked(loss) - limits.sel(loss=loss, drop=True)
    rows = []
    for gap, make in gaps.items():
        exponents = [np.nan if k is None else known.exponent(gap, a, k) for a, k in zip(alphas, kept, strict=True)]
        expected = xr.DataArray(exponents, dims="alpha", coords={"alpha": alphas})
        samples = [data.sample(loss, _bare(make(loss))) for loss in LOSSES]
        keywords: dict[str, Any] = {"n_min": n_min, "rng": rng, "draws": draws, "expected": {"exponent": expected}}
        parts = [fit_sample(POWER, s, **keywords) for s in samples]
        rows.append(xr.concat(parts, dim=xr.Variable("loss", list(LOSSES))))
    result: xr.Dataset = xr.concat(rows, dim=xr.Variable("gap", list(gaps)))
    result.attrs |= {"controls": str(data.controls is not None), "prediction": data.note}
    return describe(adjust(result), quantity="gap between losses")
