"""Fits of a cube as tables and sentences: what `spikecube fit` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube, refuse_prediction, require
from spikecube.cube.missing import missing_edges
from spikecube.cube.store import StoreError
from spikecube.scaling import losses, outliers, thresholds
from spikecube.scaling.collapse import collapse
from spikecube.scaling.cube_theory import measured_spikes, theory_of
from spikecube.scaling.errors import FitError
from spikecube.scaling.losses import fit_gaps, fit_limits
from spikecube.scaling.outliers import fit_outliers
from spikecube.scaling.results import SOLVED
from spikecube.scaling.thresholds import fit_thresholds, points_along
from spikecube.scaling.window import from_size, refuse_beyond
from spikecube.theory.staircase import threshold
from spikecube.words import fit_rows, seeds
from spikecube.words.fit_rows import FitReport, Row
from spikecube.words.missed_limits import missed_limits, plain_gap
from spikecube.words.verdicts import held_text, rejection

_OF_SPIKES = ("singular_value", "alignment", "outlier_count", "detection_edge")
_NEEDED = {
    "outliers": outliers.NEEDED,
    "gaps": losses.GAPS_NEED,
    "limits": losses.LIMITS_NEED,
    "thresholds": thresholds.NEEDED,
    "collapse": ("alpha", "n", "seed", "rank", "degree", *_OF_SPIKES),
}
USES = {
    **dict.fromkeys(("outliers", "gaps", "limits"), ("prediction", "controls", "n_min")),
    **dict.fromkeys(("thresholds", "collapse"), ("n_min",)),
}
"""The options that change what each law finds."""
Given = dict[str, Any]  # prediction, controls, n_min: how the laws along n are fitted
_COUNTING = ("outliers", "thresholds", "collapse")  # laws that rest on the detection edge


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
    prediction, controls, n_min : as in `fit_outliers`; thresholds and collapse take a number as n_min alone.

    Raises
    ------
    FitError
        If the law is not one of outliers, gaps, limits, thresholds, collapse, has no use for an option, or n_min is
        beyond all sizes.
    StoreError
        If the cube is a prediction.
    """
    if law not in LAWS:
        raise FitError(f"law={law!r} is not one of {', '.join(LAWS)}, the laws of a cube")
    _refuse_unused(law, prediction, controls)
    cube = as_cube(cube)
    refuse_prediction(cube)
    refuse_beyond(n_min, cube["n"].values if "n" in cube else np.empty(0))
    try:
        require(cube, ("study", *_NEEDED[law]))
    except StoreError as error:
        return FitReport(law, None, [], f"{law}: no fit, since {error}.")
    lacking = seeds.shortage(cube, law)
    given = {"prediction": prediction, "controls": controls, "n_min": n_min}
    report = FitReport(law, None, [], lacking) if lacking else LAWS[law](cube, given)
    lost = missing_edges(cube) if law in _COUNTING else ""
    return replace(report, sentence=f"{report.sentence} Note: {lost}.") if lost else report


def _refuse_unused(law: str, prediction: xr.Dataset | bool, controls: bool) -> None:
    """Refuses a prediction and means without controls where a law rests on neither."""
    given = {"prediction": isinstance(prediction, xr.Dataset), "controls": not controls}
    for name, is_given in given.items():
        if is_given and name not in USES[law]:
            raise FitError(f"{name} is not for {law}, which rests on single draws; it is for outliers, gaps and limits")


def _verdict(rows: list[Row], what: str) -> str:
    """How many curves were fitted, how many agree with theory, how many laws do not hold."""
    rows = fit_rows.rows_of_note(rows) or rows
    solved = [r for r in rows if r["status"] in SOLVED]
    text = f"{len(solved)} of {len(rows)} {what} could be fitted"
    if not solved:
        return text
    counted = fit_rows.tally_of(solved)
    held = f", and {held_text(counted)}" if counted.compared else ""
    return f"{text}{held}. {rejection(counted)}"


def _outliers(cube: xr.Dataset, given: Given) -> FitReport:
    fit = fit_outliers(cube, **given)
    rows = fit_rows.rows_of(fit, "exponent")
    lines = []
    for estimator in fit["estimator"].values:
        mine = [r for r in rows if r["estimator"] == estimator]
        lines.append(f"{estimator}: {_verdict(mine, 'outliers')}.{plain_gap(fit) if estimator == 'plain' else ''}")
    sentence = "Exponents of n of the outliers. " + " ".join(lines) + _line_sentence(fit)
    sentence += seeds.worth(fit, cube) + _choice(given)
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


def _gaps(cube: xr.Dataset, given: Given) -> FitReport:
    fit = fit_gaps(cube, **given)
    rows = fit_rows.rows_of(fit, "exponent")
    sentence = f"Exponents of n of the signed gaps: {_verdict(rows, 'gaps')}."
    return FitReport("gaps", fit, rows, sentence + _choice(given) + _note(fit))


def _choice(given: Given) -> str:
    """What the intervals of plain power laws are when the data chose the window."""
    if given["n_min"] != "auto":
        return ""
    return (
        " The data chose the smallest size of each fit: intervals and p-values of plain power laws are those of the "
        "law with a correction of order 1/n."
    )


def _limits(cube: xr.Dataset, given: Given) -> FitReport:
    fit = fit_limits(cube, **given)
    rows = fit_rows.rows_of(fit, "limit")
    sentence = f"Limits of the losses with the theory's leading exponent: {_verdict(rows, 'losses')}."
    chosen = " The data chose the smallest size of each fit." if given["n_min"] == "auto" else ""
    return FitReport("limits", fit, rows, sentence + seeds.worth(fit, cube) + chosen + _note(fit))


def _note(fit: xr.Dataset) -> str:
    note = str(fit.attrs.get("prediction", ""))
    if note.startswith("none"):
        return f" No prediction: {note.removeprefix('none: ')}."
    _, in_part, lost = note.partition("; in part: ")
    return f" The prediction lacks values: {lost}." if in_part else ""


def _thresholds(cube: xr.Dataset, given: Given) -> FitReport:
    fit = fit_thresholds(cube, given["n_min"])  # "auto" is refused there
    rows = fit_rows.rows_of(fit, "critical")
    ends = fit["threshold"].isel(n=-1).values.ravel()
    ends = ends[(ends >= cube["alpha"].values.min()) & (ends <= cube["alpha"].values.max())]
    largest = (
        f" At n = {fit['n'].values[-1]:g} spikes detach at alpha = {', '.join(fit_rows.shown(float(v)) for v in ends)}."
    )
    sentence = f"Thresholds as n grows: {_verdict(rows, 'thresholds')}." + (largest if len(ends) else "")
    known = theory_of(cube).study
    reason = "" if known.further else missed_limits(fit, known.model)
    fit = fit.assign_attrs(reason=reason)
    return FitReport("thresholds", fit, rows, " ".join(filter(None, (sentence + _strays(fit), reason))))


def _strays(fit: xr.Dataset) -> str:
    most = fit["stray_fraction"].max([d for d in fit["stray_fraction"].dims if d != "degree"])
    shares = zip(fit["degree"].values, most.values, strict=True)
    named = ", ".join(f"{k:g} (up to {share:.0%} of the draws)" for k, share in shares if share > 0)
    what = "Outliers that do not point along their monomial, and are no spikes, stand at the rank of degree"
    return f" {what} {named}." if named else ""


def _collapse(cube: xr.Dataset, given: Given) -> FitReport:
    """Singular value over the detection edge, and alignment, of each spike in (alpha - alpha_k) ln n."""
    cube = from_size(cube, given["n_min"], "collapse")
    known = theory_of(cube)
    several = [name for name in known.study.further if cube.sizes.get(name, 1) > 1]
    if several:
        raise FitError(f"the cube has the axis {several[0]!r}: select one value, then collapse")
    cube = cube.isel({name: 0 for name in known.study.further if name in cube.dims}, drop=True)
    parts: list[xr.Dataset] = []
    rows: list[Row] = []
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
            numbers = fit_rows.numbers_of(one)
            n_sizes = values.notnull().any([d for d in values.dims if d != "n"]).sum()
            numbers |= {"points": numbers["sizes"], "sizes": float(n_sizes)}
            rows.append(labels | numbers | {"status": fit_rows.STATUS_NAMES[int(one["status"])]})
    result: xr.Dataset | None = xr.concat(parts, dim="curve") if parts else None
    rows = fit_rows.with_all_columns(rows)
    absent = sorted({f"{r['degree']:g}" for r in rows if r["status"] == "not_aligned"})
    sentence = f"Critical alpha from collapse in (alpha - critical) ln n: {_verdict(rows, 'spikes')}."
    if absent:
        sentence += (
            f" No spike of degree {', '.join(absent)} is there to collapse: no outlier points along its monomial."
        )
    return FitReport("collapse", result, rows, sentence)


def _with_its_curve(fit: xr.Dataset) -> xr.Dataset:
    """A collapse whose master curve has its argument as a variable, so that several can stand side by side."""
    if "scaled_grid" not in fit.coords:
        return fit
    return fit.drop_vars("scaled_grid").assign(master_control=("scaled_grid", fit["scaled_grid"].values))


LAWS: dict[str, Callable[[xr.Dataset, Given], FitReport]] = {
    "outliers": _outliers,
    "gaps": _gaps,
    "limits": _limits,
    "thresholds": _thresholds,
    "collapse": _collapse,
}
