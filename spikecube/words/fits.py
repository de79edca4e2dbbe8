"""Fits of a cube as tables and sentences: what `spikecube fit` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube, refuse_prediction, require
from spikecube.cube.missing import missing_edges
from spikecube.cube.schema import STATUS as CELL_STATUS
from spikecube.cube.store import StoreError
from spikecube.scaling import losses, outliers, thresholds
from spikecube.scaling.collapse import collapse
from spikecube.scaling.cube_theory import measured_spikes, theory_of
from spikecube.scaling.errors import FitError
from spikecube.scaling.losses import fit_gaps, fit_limits
from spikecube.scaling.outliers import fit_outliers
from spikecube.scaling.power import seeds_for_half_width, seeds_for_power
from spikecube.scaling.results import SOLVED, STATUS
from spikecube.scaling.thresholds import fit_thresholds, points_along
from spikecube.scaling.window import refuse_beyond
from spikecube.theory.staircase import threshold
from spikecube.words.slow_edge import missed_limits
from spikecube.words.verdicts import held_text, rejection, tally

HALF_WIDTH = 0.05
ASSUMED_SPREAD = 0.1
_LEAST_SIZES = {"outliers": 3, "gaps": 3, "limits": 3, "thresholds": 3, "collapse": 3}
_LEAST_SEEDS = 3
_NEEDED = {
    "outliers": outliers.NEEDED,
    "gaps": losses.GAPS_NEED,
    "limits": losses.LIMITS_NEED,
    "thresholds": thresholds.NEEDED,
    "collapse": (
        "alpha",
        "n",
        "seed",
        "rank",
        "degree",
        "singular_value",
        "alignment",
        "outlier_count",
        "detection_edge",
    ),
}
_COUNTING = ("outliers", "thresholds", "collapse")  # laws that rest on the detection edge
_SILENT = ("no_data", "not_applicable")

Row = dict[str, str | float | None]


@dataclass(frozen=True)
class FitReport:
    """The fit of one law: the whole result, one row for each curve, and what they mean.

    Attributes
    ----------
    law : outliers, gaps, limits, thresholds or collapse.
    dataset : the fit, or None where the cube is too small for one.
    rows : labels, estimate, interval, theory, z, p-value of the lack of fit, sizes used, seeds' worth, status.
    sentence : what the table says, or what the cube lacks.
    """

    law: str
    dataset: xr.Dataset | None
    rows: list[Row]
    sentence: str

    def header(self) -> list[str]:
        """The columns of the table."""
        return list(self.rows[0]) if self.rows else []

    def text(self) -> list[list[str]]:
        """The rows as text, numbers with four significant digits; curves that no law speaks of are left out."""
        return [[_shown(v) for v in row.values()] for row in self.rows if row["status"] not in _SILENT]

    def narrow(self, width: int) -> tuple[list[str], list[list[str]]]:
        """The columns of the table that matter most and fit into `width`, and their rows as text.

        Labels that are the same in all rows are left out; columns, then digits give way.
        """
        kept = [row for row in self.rows if row["status"] not in _SILENT]
        labels = [c for c in self.header() if c not in _COLUMNS and len({str(row[c]) for row in self.rows}) > 1]
        for digits, without in _WAYS:
            table = [{c: _shown(row[c]) for c in labels} | _essence(row, digits) for row in kept]
            columns = [*labels, *(c for c in _ESSENCE if c not in without and any(r[c] != "-" for r in table))]
            if sum(2 + max([len(c), *(len(row[c]) for row in table)]) for c in columns) <= width:
                break
        return columns, [[row[c] for c in columns] for row in table]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers that are not finite become null."""
        rows = [{k: _plain(v) for k, v in row.items()} for row in self.rows]
        return {"law": self.law, "sentence": self.sentence, "rows": rows}


_ESSENCE = ("estimate", "interval", "theory", "p_fit", "sizes", "status")
_COLUMNS = {*_ESSENCE, "low", "high", "z", "p", "p_holm", "n_min", "worth", "points"}


_WAYS: tuple[tuple[int, tuple[str, ...]], ...] = (
    *((4, ()), (4, ("sizes",)), (4, ("sizes", "p_fit")), (3, ("sizes", "p_fit"))),
    *((3, ("sizes", "p_fit", "theory")), (2, ("sizes", "p_fit", "theory"))),
)


def _essence(row: Row, digits: int) -> dict[str, str]:
    """The columns of a narrow table."""
    low, high = (_shown(row.get(end), digits) for end in ("low", "high"))
    short = {name: _shown(row.get(name), digits) for name in _ESSENCE if name != "interval"}
    return short | {"interval": "-" if low == high == "-" else f"[{low}, {high}]"}


@dataclass(frozen=True)
class Options:
    """How the laws along n are fitted."""

    prediction: xr.Dataset | bool = True
    controls: bool = True
    n_min: float | str | None = None

    def keywords(self) -> dict[str, Any]:
        """For `fit_outliers` and its like."""
        return {"prediction": self.prediction, "controls": self.controls, "n_min": self.n_min}


def _plain(value: str | float | None) -> str | float | None:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _shown(value: str | float | None, digits: int = 4) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def fit_report(
    cube: xr.Dataset | str | Path,
    law: str,
    *,
    prediction: xr.Dataset | bool = True,
    controls: bool = True,
    n_min: float | str | None = None,
) -> FitReport:
    """Fit one law of a cube and put it in a table and a sentence.

    A cube with too few sizes or seeds, or without a variable that the law needs, gets a sentence on what it lacks, and
    no numbers.

    Parameters
    ----------
    cube, law : what is fitted.
    prediction, controls, n_min : as in `fit_outliers`; thresholds and collapse have no use for them.

    Raises
    ------
    FitError
        If the law is not one of outliers, gaps, limits, thresholds, collapse, or n_min is beyond all sizes.
    StoreError
        If the cube is a prediction.
    """
    if law not in LAWS:
        raise FitError(f"law={law!r} is not one of {', '.join(LAWS)}, the laws of a cube")
    cube = as_cube(cube)
    refuse_prediction(cube)
    refuse_beyond(n_min, cube["n"].values if "n" in cube else np.empty(0))
    try:
        require(cube, ("study", *_NEEDED[law]))
    except StoreError as error:
        return FitReport(law, None, [], f"{law}: no fit, since {error}.")
    lacking = shortage(cube, law)
    report = FitReport(law, None, [], lacking) if lacking else LAWS[law](cube, Options(prediction, controls, n_min))
    lost = missing_edges(cube) if law in _COUNTING else ""
    return replace(report, sentence=f"{report.sentence} Note: {lost}.") if lost else report


def shortage(cube: xr.Dataset, law: str) -> str:
    """What a cube lacks for a law and how much would do, from the spread of its first outlier; empty if nothing."""
    n_sizes, n_seeds = cube.sizes["n"], cube.sizes["seed"]
    if n_sizes >= _LEAST_SIZES[law] and n_seeds >= _LEAST_SEEDS:
        return ""
    spread = _spread(cube)
    sizes = _enough_sizes(cube["n"].values.astype(float), max(n_sizes, _LEAST_SIZES[law] + 1))
    known = f"relative spread {spread:.2g} over the seeds at hand"
    if not np.isfinite(spread):
        spread, known = ASSUMED_SPREAD, f"a relative spread of {ASSUMED_SPREAD:g} over seeds, assumed"
    interval, power = seeds_for_half_width(sizes, spread, HALF_WIDTH), seeds_for_power(sizes, spread, HALF_WIDTH)
    return (
        f"{law}: no fit, since this cube has {_count(n_sizes, 'size')} and {_count(n_seeds, 'seed')}; a fit needs at "
        f"least {_LEAST_SIZES[law]} sizes (one more than parameters, for a test of fit) and {_LEAST_SEEDS} seeds. With "
        f"n = {', '.join(f'{s:g}' for s in sizes)} and {known}, {interval} seeds give an exponent to "
        f"+-{HALF_WIDTH:g}, and {power} tell it from one that is {HALF_WIDTH:g} away with 80 per cent power."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _spread(cube: xr.Dataset) -> float:
    """Relative spread of the first outlier over seeds at the largest alpha, pooled over n; NaN from one seed."""
    if cube.sizes["seed"] < 2 or not {"singular_value", "rank"} <= set(cube.variables):
        return np.nan
    values = cube["singular_value"].isel(rank=0, alpha=-1)
    spread = values.std("seed", ddof=1) / values.mean("seed")
    return float(np.sqrt((spread**2).mean()))


def _enough_sizes(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """The sizes at hand, carried on by factors of 2."""
    found = list(sizes)
    while len(found) < wanted:
        found.append(2 * found[-1])
    return np.array(found)


def _rows(fit: xr.Dataset, param: str, dims: list[str]) -> list[Row]:
    """One row for each curve, in the order of `dims`."""
    chosen = fit.sel(param=param)
    rows: list[Row] = []
    names = {v: k for k, v in STATUS.items()}
    for place in np.ndindex(*(fit.sizes[d] for d in dims)):
        at = dict(zip(dims, place, strict=True))
        one = chosen.isel(at)
        labels: Row = {d: _label(fit[d].values[i]) for d, i in at.items()}
        rows.append(labels | _numbers(one) | {"status": names[int(one["status"])]})
    return rows


def _label(value: Any) -> str | float:
    return str(value) if isinstance(value, str) else float(value)


def _numbers(one: xr.Dataset) -> Row:
    columns = {
        "estimate": "estimate",
        "low": "ci_low",
        "high": "ci_high",
        "theory": "expected",
        "z": "z",
        "p": "pvalue",
        "p_holm": "pvalue_holm",
        "p_fit": "gof_pvalue",
        "sizes": "nobs",
        "n_min": "n_min",
        "worth": "seeds_worth",
    }
    return {column: float(one[name]) for column, name in columns.items() if name in one}


def _dims(fit: xr.Dataset) -> list[str]:
    return [str(d) for d in fit["status"].dims]


def _verdict(rows: list[Row], what: str) -> str:
    """How many curves were fitted, how many agree with theory, how many laws do not hold."""
    solved = [r for r in rows if r["status"] in SOLVED]
    text = f"{len(solved)} of {len(rows)} {what} could be fitted"
    if not solved:
        return text
    counted = tally(*([_float(r.get(c)) for r in solved] for c in ("low", "high", "theory", "p_fit")))
    held = f", and {held_text(counted)}" if counted.compared else ""
    return f"{text}{held}. {rejection(counted)}"


def _float(value: str | float | None) -> float:
    return float(value) if isinstance(value, float | int) else float("nan")


def _worth(rows: list[Row], cube: xr.Dataset) -> str:
    values = [r["worth"] for r in rows if isinstance(r.get("worth"), float) and np.isfinite(r["worth"])]  # type: ignore[arg-type]
    if not values:
        return ""
    n_seeds = cube.sizes["seed"]
    if all(v == n_seeds for v in values):
        return f" Means are plain: {_count(n_seeds, 'seed')} give no control variate its place."
    return f" Control variates make {_seeds_by_size(cube)} worth {float(np.median(values)):.3g} (median)."  # type: ignore[arg-type]


def _seeds_by_size(cube: xr.Dataset) -> str:
    """`20 seeds`, or `3 to 12 seeds, by size,` where sizes have seeds of their own number."""
    count = cube.sizes["seed"]
    if "status" not in cube or not {"n", "seed"} <= set(cube["status"].dims):
        return _count(count, "seed")
    asked = (cube["status"] != CELL_STATUS["absent"]).any([d for d in cube["status"].dims if d not in ("n", "seed")])
    counts = asked.sum("seed")
    least, most = int(counts.min()), int(counts.max())
    return _count(most, "seed") if least == most else f"{least} to {most} seeds, by size,"


def _outliers(cube: xr.Dataset, options: Options) -> FitReport:
    fit = fit_outliers(cube, **options.keywords())
    rows = _rows(fit, "exponent", _dims(fit))
    lines = []
    for estimator in fit["estimator"].values:
        mine = [r for r in rows if r["estimator"] == estimator]
        lines.append(f"{estimator}: {_verdict(mine, 'outliers')}.")
    sentence = "Exponents of n of the outliers. " + " ".join(lines) + _line_sentence(fit)
    sentence += _worth(rows, cube) + _choice(options)
    return FitReport("outliers", fit, rows, f"{sentence} Only {SELECTED}")


SELECTED = (
    "sizes enter at which the spike is detached in at least 95% of the seeds and aligned with its monomial; p_holm is "
    "adjusted by Holm's method over all curves of an estimator."
)


def _line_sentence(fit: xr.Dataset) -> str:
    """The joint tests of intercept and slope, where no further axis multiplies them."""
    text = ""
    if fit["line_pvalue"].dims != ("estimator", "degree"):
        return text
    for estimator in fit["estimator"].values:
        for k in fit["degree"].values:
            one = fit.sel(estimator=estimator, degree=k)
            if np.isfinite(one["line_pvalue"]):
                (a, b), (da, db) = one["line"].values, one["line_stderr"].values
                text += (
                    f" Degree {k}, {estimator}: exponent = {a:.3f}({da:.3f}) + {b:.3f}({db:.3f}) alpha against "
                    f"{0.5 - k / 2:g} + {k:g} alpha, joint p = {float(one['line_pvalue']):.2g}."
                )
    return text


def _gaps(cube: xr.Dataset, options: Options) -> FitReport:
    fit = fit_gaps(cube, **options.keywords())
    rows = _rows(fit, "exponent", _dims(fit))
    sentence = f"Exponents of n of the signed gaps: {_verdict(rows, 'gaps')}."
    return FitReport("gaps", fit, rows, sentence + _choice(options) + _note(fit))


def _choice(options: Options) -> str:
    """What the intervals of plain power laws are when the data chose the window."""
    if options.n_min != "auto":
        return ""
    return (
        " The data chose the smallest size of each fit: intervals and p-values of plain power laws are those of the "
        "law with a correction of order 1/n."
    )


def _limits(cube: xr.Dataset, options: Options) -> FitReport:
    fit = fit_limits(cube, **options.keywords())
    rows = _rows(fit, "limit", _dims(fit))
    sentence = f"Limits of the losses with the theory's leading exponent: {_verdict(rows, 'losses')}."
    return FitReport("limits", fit, rows, sentence + _worth(rows, cube) + _note(fit))


def _note(fit: xr.Dataset) -> str:
    note = str(fit.attrs.get("prediction", ""))
    if note.startswith("none"):
        return f" No prediction: {note.removeprefix('none: ')}."
    _, in_part, lost = note.partition("; in part: ")
    return f" The prediction lacks values: {lost}." if in_part else ""


def _thresholds(cube: xr.Dataset, options: Options) -> FitReport:
    fit = fit_thresholds(cube)
    rows = _rows(fit, "critical", _dims(fit))
    kept = [r for r in rows if r["status"] != "not_applicable"]
    ends = fit["threshold"].isel(n=-1).values.ravel()
    ends = ends[np.isfinite(ends)]
    largest = f" At n = {fit['n'].values[-1]:g} spikes detach at alpha = {', '.join(_shown(float(v)) for v in ends)}."
    sentence = f"Thresholds as n grows: {_verdict(kept, 'thresholds')}." + (largest if len(ends) else "")
    known = theory_of(cube).study
    reason = "" if known.further else missed_limits(fit, known.model)
    fit = fit.assign_attrs(reason=reason)
    return FitReport("thresholds", fit, rows, " ".join(filter(None, (sentence + _strays(fit), reason))))


def _strays(fit: xr.Dataset) -> str:
    """The degrees whose outliers point elsewhere."""
    most = fit["stray_fraction"].max([d for d in fit["stray_fraction"].dims if d != "degree"])
    named = [
        f"{k:g} (up to {share:.0%} of the draws)"
        for k, share in zip(fit["degree"].values, most.values, strict=True)
        if share > 0
    ]
    if not named:
        return ""
    return (
        f" Outliers that do not point along their monomial, and are no spikes, stand at the rank of degree "
        f"{', '.join(named)}."
    )


def _collapse(cube: xr.Dataset, options: Options) -> FitReport:
    """Singular value over the detection edge, and alignment, of each spike in (alpha - alpha_k) ln n."""
    known = theory_of(cube)
    if known.study.further:
        raise FitError(f"the cube has the axis {next(iter(known.study.further))!r}: select one value, then collapse")
    parts: list[xr.Dataset] = []
    rows: list[Row] = []
    names = {v: k for k, v in STATUS.items()}
    for k in measured_spikes(cube, known, aligned=True):
        if not (points_along(cube, k) & (cube["outlier_count"] >= known.rank(k))).any():
            for quantity in ("singular_value/edge", "alignment"):
                rows.append({"quantity": quantity, "degree": float(k), "theory": threshold(k), "status": "not_aligned"})
            continue
        spike = cube["singular_value"].sel(rank=known.rank(k)) / cube["detection_edge"]
        for quantity, values in (("singular_value/edge", spike), ("alignment", cube["alignment"].sel(degree=k))):
            plain = values.drop_vars([c for c in values.coords if c not in values.dims])
            fit = collapse(plain, ansatz="log", expected={"critical": threshold(k)})
            parts.append(_with_its_curve(fit).assign_coords(curve=f"{quantity}, degree {k}"))
            one = fit.sel(param="critical")
            labels: Row = {"quantity": quantity, "degree": float(k)}
            numbers = _numbers(one)
            n_sizes = values.notnull().any([d for d in values.dims if d != "n"]).sum()
            numbers |= {"points": numbers["sizes"], "sizes": float(n_sizes)}
            rows.append(labels | numbers | {"status": names[int(one["status"])]})
    result: xr.Dataset | None = xr.concat(parts, dim="curve") if parts else None
    rows = _with_all_columns(rows)
    absent = sorted({f"{r['degree']:g}" for r in rows if r["status"] == "not_aligned"})
    sentence = f"Critical alpha from collapse in (alpha - critical) ln n: {_verdict(rows, 'spikes')}."
    if absent:
        sentence += (
            f" No spike of degree {', '.join(absent)} is there to collapse: no outlier points along its monomial."
        )
    return FitReport("collapse", result, rows, sentence)


def _with_all_columns(rows: list[Row]) -> list[Row]:
    """The same columns in every row, those of the longest; nothing where a row has none."""
    columns = max(rows, key=len, default={})
    return [{name: row.get(name) for name in columns} for row in rows]


def _with_its_curve(fit: xr.Dataset) -> xr.Dataset:
    """A collapse whose master curve has its argument as a variable, so that several can stand side by side."""
    if "scaled_grid" not in fit.coords:
        return fit
    return fit.drop_vars("scaled_grid").assign(master_control=("scaled_grid", fit["scaled_grid"].values))


LAWS: dict[str, Callable[[xr.Dataset, Options], FitReport]] = {
    "outliers": _outliers,
    "gaps": _gaps,
    "limits": _limits,
    "thresholds": _thresholds,
    "collapse": _collapse,
}
