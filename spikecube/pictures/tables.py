"""Tables of the report as HTML: fits, means, provenance; every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spikecube.model.parameters import Model
from spikecube.pictures import style
from spikecube.text import number, with_error
from spikecube.words import captions, symbols
from spikecube.words.deviations import HEADER, FarPoints
from spikecube.words.seen import Seen
from spikecube.words.spikes_found import alpha_text, size_text

MOST_ROWS, MOST_FAR = 200, 60
_FIT_COLUMNS = {
    "estimate": "estimate",
    "stderr": "standard error",
    "ci_low": "95 % from",
    "ci_high": "to",
    "expected": "theory",
    "z": "z",
    "pvalue_holm": "p (Holm)",
    "gof_pvalue": "lack of fit p",
    "n_min": "from n",
    "nobs": "sizes",
}
_POINTS = "points"  # what the observations of a collapse are


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], text: Sequence[int] = ()) -> str:
    """An HTML table; columns in `text` are set to the left."""
    kinds = [' class="text"' if i in text else "" for i in range(len(header))]
    head = "".join(f"<th{kind}>{html.escape(name)}</th>" for kind, name in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{_written(v)}</td>" for k, v in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _written(value: Any) -> str:
    """A value as HTML: a dash for what is not there."""
    if isinstance(value, str):
        return symbols.cell(value)
    if value is None or not np.isfinite(value):
        return "–"
    return number(float(value)).replace("-", "−")


def fit_table(fit: xr.Dataset) -> str:
    """Every estimate that theory has a value for, with its interval; what gave none is counted by its reason."""
    if not {"estimate", "expected"} <= set(fit) or "param" not in fit["estimate"].dims:
        return ""
    names, shown = [str(d) for d in fit["estimate"].dims], [c for c in _FIT_COLUMNS if c in fit]
    kept = [c for c in (*shown, "message") if c in fit]
    data = fit[kept].reset_coords(drop=True).to_dataframe(dim_order=names).reset_index()
    data = data[np.isfinite(data["expected"])]
    solved = np.isfinite(data["estimate"])
    rows = [
        [*(_label(row[name]) for name in names), *_fit_cells({c: row[c] for c in shown})]
        for row in data[solved].to_dict("records")
    ]
    named = _FIT_COLUMNS | ({"nobs": _POINTS} if "scaled_data" in fit else {})
    header = [*map(symbols.symbol, names), *(named[c] for c in shown)]
    left_out = f"<p>{len(rows) - MOST_ROWS} more rows are not shown.</p>" if len(rows) > MOST_ROWS else ""
    text = [i for i, name in enumerate(names) if fit[name].dtype.kind not in "iuf"]
    made = table(header, rows[:MOST_ROWS], text) if rows else ""
    return made + left_out + (_reasons(data["message"][~solved]) if "message" in data else "")


def appearance_table(seen: Seen) -> str:
    """When each spike appears: seen at the largest size, and expected by theory up to the largest alpha."""
    if seen.outliers is None or not seen.outliers.spikes:
        return ""
    last, at_n = float(seen.cube["alpha"].max()), f"at n = {number(seen.outliers.n)}"
    rows = [
        [_called(s.degree), s.seen, alpha_text(s), size_text(s, last), f"α > {s.limit:.3g}"]
        for s in seen.outliers.spikes
    ]
    header = ["spike", f"measured {at_n}", f"expected {at_n}", f"expected at α = {number(last)}", "in the limit"]
    note = "expected: theory alone, to 0.005 in α and 5 per cent in n, as spikecube when says it"
    lead = f'<h2 id="when-does-each-spike-appear">When does each spike appear? <small>{note}</small></h2>'
    return f'<div class="answer">{lead}<div class="scroll">{table(header, rows, range(5))}</div></div>'


def _called(degree: int) -> str:
    word = {1: " (linear)", 2: " (quadratic)", 3: " (cubic)"}.get(degree, "")
    return f"degree {degree}{word}"


def deviation_table(found: FarPoints | None) -> str:
    """The points beyond 3 standard errors, each with what explains it; nothing where nothing can be compared."""
    if found is None:
        return ""
    lead = f"<p>{html.escape(found.text)}</p>"
    return lead + table(HEADER, found.rows, (0, 1, 5)) + _others(found.others) if found.rows else lead


def _others(lines: Sequence[str]) -> str:
    """The points that have no row, a line for each curve, folded."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<details><summary>the others, curve by curve</summary><ul>{items}</ul></details>" if lines else ""


def _reasons(messages: pd.Series) -> str:
    counts = messages.astype(str).value_counts().sort_index()
    items = "".join(f"<li>{n} without an estimate: {html.escape(r)}</li>" for r, n in counts.items())
    return f"<ul>{items}</ul>" if items else ""


def _fit_cells(values: dict[str, float]) -> list[Any]:
    """A row of a fit: estimate and interval with the digits that the error has."""
    stderr = values.get("stderr", np.nan)
    if not stderr > 0 or not np.isfinite(stderr):
        return list(values.values())
    digits = max(0, 1 - math.floor(math.log10(stderr)))
    written = dict.fromkeys(("ci_low", "ci_high"), lambda v: f"{v:.{digits}f}") | {
        "estimate": lambda v: with_error(v, stderr), "z": lambda v: f"{v:+.1f}",
        "pvalue_holm": lambda v: f"{v:.2g}", "gof_pvalue": lambda v: f"{v:.2g}", "stderr": lambda v: f"{v:.{digits}f}",
    }  # fmt: skip
    return [written[c](v).replace("-", "−") if c in written and np.isfinite(v) else v for c, v in values.items()]


def _label(value: Any) -> Any:
    return symbols.label(value) if isinstance(value, str) else float(value)


def mean_table(seen: Seen) -> str:
    """Mean number of outliers, first singular value and losses at the largest size and the middle penalty.

    They are those that `info` prints: with control variates where the cube has them, and the lead says which.
    """
    means = list(seen.means.values())
    if not means:
        return ""
    rows = [
        [float(alpha), *(_with_error(data.isel(alpha=i)) for data in means)]
        for i, alpha in enumerate(seen.cube["alpha"].values)
    ]
    middle = {"n": -1, "lam": seen.cube.sizes.get("lam", 1) // 2}
    spot = symbols.labels_text(seen.cube.isel(middle, missing_dims="ignore"), ("n", "lam"))
    brackets = "; standard errors of the last digits in brackets" if seen.cube.sizes.get("seed", 1) > 1 else ""
    lead = f"<p>At {html.escape(spot)}: {captions.means_text(*means)}{brackets}.</p>"
    named = [symbols.symbol(name).replace("sᵢ", "s₁") for name in seen.means if name != "outlier_count"]
    header = ["α", *(["outliers"] if "outlier_count" in seen.means else []), *named]
    return lead + table(header, style.thin(rows, MOST_ROWS // 4))


def _with_error(data: xr.Dataset) -> str:
    mean = float(data["mean"])
    return with_error(mean, float(data["stderr"])) if np.isfinite(mean) else "–"


def provenance_table(cube: xr.Dataset) -> str:
    """All attributes of the cube but the study, which stands by itself."""
    rows = [(str(k), str(v)) for k, v in cube.attrs.items() if k not in ("study", "title")]
    return table(("attribute", "value"), rows, text=(0, 1))


def model_sentence(m: Model) -> str:
    """A model in words."""
    target = m.target if isinstance(m.target, str) else f"with Hermite coefficients {_list(m.target)}"
    activation = m.activation if isinstance(m.activation, str) else f"Hermite coefficients {_list(m.activation)}"
    return (
        f"A two-layer network ({activation}) after one gradient step of size η = {number(m.eta_scale)} · n^α, "
        f"then ridge regression. Target {target}, noise {number(m.noise)}; d/n = {number(m.dim_ratio)}, "
        f"N/n = {number(m.width_ratio)}."
    )


def _list(values: Sequence[float]) -> str:
    return "[" + ", ".join(number(v) for v in values) + "]"
