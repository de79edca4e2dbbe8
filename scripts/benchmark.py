"""Times one cell against the obvious loop, a careful NumPy version, and the floor of its products.

    python scripts/benchmark.py [--threads 1] [--sizes 1000 2000 4000] [--output docs/reference/timings/benchmark.md]
    python scripts/benchmark.py --check [--sizes 1000 2000]

Every number comes from this run: all four on the same draw, 8 alphas and 8 penalties, float64, with all variables.
What would take too long is timed on a sample and scaled, and the table says so. `--check` times our cell and the
floor alone and ends with exit code 1 where their ratio is more than 15 per cent above that of the table.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TIMINGS = ROOT / "docs" / "reference" / "timings"
RISE = 1.15
sys.path.insert(0, str(ROOT))


def set_threads(count: int) -> None:
    """Before NumPy is imported, which reads them."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)


def grid() -> dict[str, Any]:
    import numpy as np

    return {"alphas": np.linspace(0.0, 0.45, 8), "lams": np.logspace(-2, 1, 8), "entropy": 20231011, "seed": 0}


def study_parts(precision: str = "float64", test_risk: str = "sample") -> tuple[Any, Any]:
    from spikecube.study.study import Measure, Model

    return Model(), Measure(precision=precision, test_risk=test_risk)


def seconds(function: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def our_cell(n: int, precision: str = "float64", test_risk: str = "sample", num_alpha: int = 8) -> Any:
    from spikecube.cube.cell import compute_cell

    at = grid()
    return compute_cell(*study_parts(precision, test_risk), n=n, **at | {"alphas": at["alphas"][:num_alpha]})


def our_parts(n: int, whole: float) -> dict[str, float]:
    """Where the time of a cell goes, and what one pass and one Gram matrix in single precision take beside it."""
    import numpy as np

    from spikecube.cube.cell import make_shared
    from spikecube.linalg.costs import krylov_steps
    from spikecube.linalg.matrix import feature_matrix, small_gram
    from spikecube.linalg.products import normal_products
    from spikecube.model.network import features

    at = grid()
    best = functools.partial(best_of, repeats=3)
    draw = functools.partial(make_shared, *study_parts(), n=n, seed=at["seed"], entropy=at["entropy"])
    shared, one = best(draw), best(lambda: our_cell(n, num_alpha=1))
    alpha, drawn = (whole - one) / 7, draw()
    matrix = feature_matrix(features(drawn.activation, drawn.ridge.initial, None, 0.0))
    return {
        "shared": shared,
        "initial": one - alpha - shared,
        "alpha": alpha,
        "steps": krylov_steps(matrix.edge, float(at["lams"][0])),
        "product": best_of(lambda: normal_products(matrix.single, [np.ones(n)]), 20),
        "gram": best(lambda: small_gram(matrix.single)),
    }


def best_of(function: Callable[[], Any], repeats: int) -> float:
    return min(seconds(function) for _ in range(repeats))


class Floor:
    """The six products of size n x d x N, and two elementwise passes per alpha in row blocks into one buffer."""

    def __init__(self, n: int) -> None:
        import numpy as np

        from spikecube.model.activations import resolve_activation

        model, rng = study_parts()[0], np.random.default_rng(0)
        d, width = model.dim(n), model.width(n)
        self.activation = resolve_activation(model.activation)
        self.etas = [model.eta(n, float(a)) for a in grid()["alphas"]]
        self.batches = [rng.standard_normal((n, d)) for _ in range(3)]
        self.weights, self.step = rng.standard_normal((width, d)) / d**0.5, np.empty((width, d))
        self.layers = [np.empty((n, width)) for _ in range(5)]

    def __call__(self) -> None:
        import numpy as np

        from spikecube.model.network import features

        step, ridge, test = self.batches
        a, b, c, d, out = self.layers
        np.matmul(step, self.weights.T, out=a)
        np.matmul(a.T, step, out=self.step)
        np.matmul(ridge, self.weights.T, out=a)
        np.matmul(ridge, self.step.T, out=b)
        np.matmul(test, self.weights.T, out=c)
        np.matmul(test, self.step.T, out=d)
        for eta in self.etas:
            features(self.activation, a, b, eta, out)
            features(self.activation, c, d, eta, out)


def careful_shared(n: int) -> dict[str, Any]:
    """What a careful user computes once: the draw, the gradient, the pre-activations, F_0 and its decomposition."""
    import numpy as np

    from spikecube.model.activations import resolve_activation
    from spikecube.model.network import draw_network, draw_test_batch, gradient, output_scale

    model, at = study_parts()[0], {"n": n, "seed": grid()["seed"], "entropy": grid()["entropy"]}
    sigma = resolve_activation(model.activation)
    draw = draw_network(model, **at)
    test = draw_test_batch(model, draw.direction, n_samples=n, **at)
    scale = output_scale(model.initial_output, len(draw.readout))
    g = gradient(draw.step.inputs, draw.step.labels, draw.weights, draw.readout, sigma, scale)
    beta = draw.step.inputs.T @ draw.step.labels / n
    out = {
        "sigma": sigma,
        "c": sigma.coefficients(3),
        "draw": draw,
        "test": test,
        "pre": (draw.ridge.inputs @ draw.weights.T, draw.ridge.inputs @ g.T),
        "pre_test": (test.inputs @ draw.weights.T, test.inputs @ g.T),
        "x": draw.ridge.inputs @ beta,
        "x_test": test.inputs @ beta,
    }
    f0, f0_test = sigma(out["pre"][0]), sigma(out["pre_test"][0])
    np.linalg.norm(g, 2), np.linalg.norm(g - out["c"][1] * np.outer(draw.readout, beta), 2)
    return out | {"f0": f0, "f0_test": f0_test, "initial": careful_losses(f0, f0_test, out)}


def careful_losses(f: Any, f_test: Any, shared: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Singular values, left vectors, training and test losses for all penalties from one eigendecomposition."""
    import numpy as np

    y, y_test, n = shared["draw"].ridge.labels, shared["test"].labels, len(f)
    values, vectors = np.linalg.eigh(f @ f.T / n)
    lams = grid()["lams"]
    projected = vectors.T @ y
    a = f.T @ (vectors @ (projected[:, None] / (values[:, None] + lams))) / n
    train = lams * np.sum(projected[:, None] ** 2 / (values[:, None] + lams), axis=0) / n
    return (
        np.sqrt(np.maximum(values[::-1][:6], 0)),
        vectors[:, ::-1][:, :3],
        train,
        np.mean((y_test[:, None] - f_test @ a) ** 2, 0),
    )


def careful_solves(f: Any, f_test: Any, shared: dict[str, Any]) -> tuple[Any, Any]:
    """Training and test losses for all penalties by one Cholesky factor each, cheaper than an eigendecomposition."""
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    y, y_test, n = shared["draw"].ridge.labels, shared["test"].labels, len(f)
    gram, train, test = f @ f.T / n, [], []
    for lam in grid()["lams"]:
        dual = cho_solve(cho_factor(gram + lam * np.eye(n), overwrite_a=True), y) / n
        train.append(lam * float(y @ dual))
        test.append(float(np.mean((y_test - f_test @ (f.T @ dual)) ** 2)))
    return np.array(train), np.array(test)


def careful_point(shared: dict[str, Any], eta: float) -> dict[str, Any]:
    """One alpha: one eigendecomposition of F, each F_ell formed and solved, norms by ARPACK."""
    import numpy as np
    from scipy.sparse.linalg import svds

    sigma, c, a = shared["sigma"], shared["c"], shared["draw"].readout
    f, f_test = (sigma(z + eta * s) for z, s in (shared["pre"], shared["pre_test"]))
    values, left, train, test = careful_losses(f, f_test, shared)
    monomials = np.linalg.qr(np.stack([shared["x"], shared["x"] ** 2], axis=1))[0]
    np.linalg.svd(left[:, :2].T @ monomials)
    f_ell, f_ell_test, spiked, errors = shared["f0"].copy(), shared["f0_test"].copy(), [], []
    for k in (1, 2, 3):
        if c[k] != 0:
            f_ell += c[1] ** k * c[k] * eta**k * np.outer(shared["x"] ** k, a**k)
            f_ell_test += c[1] ** k * c[k] * eta**k * np.outer(shared["x_test"] ** k, a**k)
            known = careful_solves(f_ell, f_ell_test, shared)
            norm = float(svds(f - f_ell, k=1, return_singular_vectors=False)[0]) / len(f) ** 0.5
        spiked.append(known)
        errors.append(norm)
    return {"singular_value": values, "train_loss": train, "test_loss": test, "spiked": spiked, "errors": errors}


def obvious_point(n: int) -> Any:
    from scripts.direct import direct_point

    at = grid()
    where = {"alpha": float(at["alphas"][4]), "lam": float(at["lams"][3])}
    return direct_point(*study_parts(), n=n, seed=at["seed"], entropy=at["entropy"], **where)


def disagreement(n: int, cell: Any, points: dict[int, dict[str, Any]]) -> float:
    """The largest difference between our values and the careful version's."""
    import numpy as np

    worst = 0.0
    for i, point in points.items():
        worst = max(
            worst,
            *(float(np.max(np.abs(cell[k][i] - point[k]))) for k in ("train_loss", "test_loss")),
            float(np.max(np.abs(cell["equivalence_error"][i] - point["errors"]))),
            float(np.max(np.abs(cell["train_loss_spiked"][i].T - [s[0] for s in point["spiked"]]))),
            float(np.max(np.abs(cell["test_loss_spiked"][i].T - [s[1] for s in point["spiked"]]))),
        )
    return worst


def ours_and_floor(n: int, repeats: int) -> tuple[float, float]:
    """Seconds of our cell and of the floor, in turns, best of `repeats`."""
    floor, ours, bare = Floor(n), [], []
    floor()
    for _ in range(repeats):
        ours.append(seconds(lambda: our_cell(n)))
        bare.append(seconds(floor))
    return min(ours), min(bare)


def check(sizes: list[int], table: str) -> bool:
    """Whether no ratio of our cell to the floor is more than 15 per cent above that of the table; prints both."""
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line
    ]
    column = header.index("ours/floor")
    known = {int(row[0]): float(row[column]) for row in rows if row[0].isdigit() and len(row) == len(header)}
    held = True
    for n in sizes:
        ours, floor = ours_and_floor(n, repeats=5)
        good = ours / floor <= RISE * known[n]
        print(f"n = {n}: ours/floor {ours / floor:.2f}, in the table {known[n]:.2f}: {'held' if good else 'WORSE'}")
        held &= good
    return held


def measure(n: int, repeats: int) -> dict[str, float]:
    """All four versions at one size, our own and the floor in turns, best of `repeats`."""
    ours, floor = ours_and_floor(n, repeats)
    row = {"n": n, "ours": ours, "floor": floor, **our_parts(n, ours)}
    etas = [study_parts()[0].eta(n, float(a)) for a in grid()["alphas"]]
    sample = list(range(8)) if n <= 1000 else [1, 5] if n <= 2000 else [5]
    kept: dict[str, Any] = {}
    row["careful"] = seconds(lambda: kept.update(careful_shared(n)))
    points: dict[int, dict[str, Any]] = {}
    row["careful"] += (
        seconds(lambda: points.update({i: careful_point(kept, etas[i]) for i in sample})) * 8 / len(sample)
    )
    row |= {"careful_alphas": len(sample), "disagreement": disagreement(n, our_cell(n), points)}
    if n <= 2000:
        row |= {"obvious": seconds(lambda: obvious_point(n)) * 64, "obvious_points": 1}
    return row


def alone(n: int, precision: str, test_risk: str) -> dict[str, float]:
    """Time and peak memory of a cell in a process of its own."""
    command = [sys.executable, __file__, "--alone", str(n), precision, test_risk]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def alone_main(n: int, precision: str, test_risk: str) -> None:
    our_cell(60, precision, test_risk)
    before = resident_bytes()
    taken = seconds(lambda: our_cell(n, precision, test_risk))
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": taken, "bytes": peak - before}))


def machine() -> str:
    import numpy as np
    import scipy
    from threadpoolctl import threadpool_info

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = f"{names[0]}, {len(names)} cores" if names else cpu
    blas = threadpool_info()[0]
    return (
        f"{cpu}; Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}; "
        f"{blas['internal_api']} {blas['version']} ({blas.get('architecture', '')}), {blas['num_threads']} thread(s)."
    )


def times_table(rows: list[dict[str, float]]) -> list[str]:
    lines = [
        "| n | our cell (s) | floor (s) | careful (s) | obvious loop (s) "
        "| ours/floor | careful/ours | obvious/ours | largest difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        obvious = (
            f"{r['obvious']:.0f} | {r['ours'] / r['floor']:.2f}"
            if "obvious" in r
            else f"- | {r['ours'] / r['floor']:.2f}"
        )
        gain = f"{r['obvious'] / r['ours']:.0f}" if "obvious" in r else "-"
        lines.append(
            f"| {r['n']:.0f} | {r['ours']:.2f} | {r['floor']:.2f} | {r['careful']:.1f} | {obvious} "
            f"| {r['careful'] / r['ours']:.1f} | {gain} | {r['disagreement']:.0e} |"
        )
    return lines


def parts_table(rows: list[dict[str, float]]) -> list[str]:
    lines = [
        "| n | draw and products (s) | F_0 (s) | each alpha (s) | steps | F^T F v (ms) | Gram matrix (ms) |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {r['n']:.0f} | {r['shared']:.2f} | {r['initial']:.2f} | {r['alpha']:.3f} "
        f"| {r['steps']:.0f} | {1e3 * r['product']:.2f} | {1e3 * r['gram']:.0f} |"
        for r in rows
    ]


def growth_table(sizes: list[int]) -> list[str]:
    from spikecube.runs.cost import cell_bytes

    lines = ["| n | precision | test risk | time (s) | peak memory (MB) | formula (MB) |", "|---|---|---|---|---|---|"]
    for precision, risk in (("float64", "sample"), ("float32", "sample"), ("float64", "exact")):
        model, measured = study_parts(precision, risk)
        for n in sizes:
            found = alone(n, precision, risk)
            formula = cell_bytes(model, measured, n=n, num_alpha=8, num_lam=8)
            lines.append(
                f"| {n} | {precision} | {risk} | {found['seconds']:.2f} "
                f"| {found['bytes'] / 1e6:.0f} | {formula / 1e6:.0f} |"
            )
    return lines


def report(rows: list[dict[str, float]], threads: int) -> str:
    samples = "; ".join(
        f"n = {r['n']:.0f}: {r['careful_alphas']:.0f} of 8 alphas of the careful version"
        + (", 1 of 64 points of the obvious loop" if "obvious" in r else ", the obvious loop not run")
        for r in rows
    )
    return "\n".join(
        [
            "# Benchmark",
            "",
            f"Made by `python scripts/benchmark.py --threads {threads}`; every number is of that one run.",
            "",
            machine(),
            "",
            "One cell with all variables of the default model (relu, d = n/2, N = n): 8 alphas from 0 to 0.45,",
            "8 penalties from 0.01 to 10, float64, test batch of n.",
            "",
            *times_table(rows),
            "",
            "- *floor*: the six products of size n x d x N and two elementwise passes per alpha, nothing else;",
            "- *careful*: shared draw and gradient, one eigendecomposition per alpha for all penalties, every F_ell",
            "  formed and solved by a Cholesky factor per penalty, norms by ARPACK;",
            "- *obvious loop*: gradient, features, full SVDs and dense solves anew for each (alpha, lambda);",
            "- *largest difference* between our losses and distances and those of the careful version.",
            "",
            f"Timed on a sample and scaled: {samples}.",
            "",
            "Where the time of our cell goes. Beside it, the steps that the bound of conjugate gradients asks for at",
            "the smallest penalty, and what single precision takes for one of them and for a Gram matrix F^T F:",
            "",
            *parts_table(rows),
            "",
        ]
    )


def growth_report(sizes: list[int]) -> str:
    return "\n".join(
        [
            "# Growth with n",
            "",
            "Made by `python scripts/benchmark.py --growth`; every number is of that one run.",
            "",
            machine(),
            "",
            "The cell of the benchmark; each row is a process of its own, with its peak memory above that of the",
            "imported package. The formula counts arrays, and the tests hold it within 15 per cent of theirs; a",
            "process also holds the buffers of BLAS and what the allocator keeps of arrays that are gone.",
            "",
            *growth_table(sizes),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", help="1000 2000 4000; with --check 1000 2000")
    parser.add_argument("--check", action="store_true", help="compare with the table that stands in the docs")
    parser.add_argument("--growth", action="store_true", help="time and memory of cells alone; no comparison")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone_main(int(arguments.alone[0]), *arguments.alone[1:])
        return
    set_threads(arguments.threads)
    sizes = arguments.sizes or ([1000, 2000] if arguments.check else [1000, 2000, 4000])
    if arguments.check:
        sys.exit(not check(sizes, (TIMINGS / "benchmark.md").read_text()))
    output = arguments.output or TIMINGS / ("growth.md" if arguments.growth else "benchmark.md")
    if arguments.growth:  # a process of its own: a child's peak memory counts that of the parent that forked it
        output.write_text(growth_report(sizes))
        return
    rows = []
    for n in sizes:
        rows.append(measure(n, repeats=3 if n <= 2000 else 2))
        print(times_table(rows[-1:])[-1], file=sys.stderr, flush=True)
    text = report(rows, arguments.threads)
    output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
