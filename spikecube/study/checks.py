"""What is wrong with a study: every mistake at once, those of single tables and those that need several of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from spikecube.model.checks import Mistake, StudyError, mistake, unknown_key
from spikecube.model.parameters import ALLOWED, Model, model_mistakes
from spikecube.study.fields import TABLES, Axes, Measure, axis_label, axis_values

_MAX_CELL_BYTES = 2**44  # 16 TiB: no machine holds a cell larger than this


def study_mistakes(data: Mapping[str, Any], keys: Sequence[str]) -> list[Mistake]:
    """Every mistake of a study given as nested mappings; `keys` are those that a study has."""
    found = [unknown_key(key, keys) for key in data if key not in keys]
    if not isinstance(data.get("title", ""), str):
        found.append(mistake("title", data["title"], "text"))
    found += _chunk_mistakes(data.get("chunks", {}))
    if "axes" not in data:
        found.append(Mistake("axes", "missing; allowed: a table with alpha, n, seed and lam"))
    parts = {name: _part(name, data[name], found) for name in TABLES if name in data}
    further = _further(data.get("axes"))
    found += [m.within("axes") for name, raw in further.items() if (m := _further_mistake(name, raw))]
    model, axes = parts.get("model", Model()), parts.get("axes")
    if isinstance(axes, Axes):
        found += _seed_mistakes(axes)
        models = _models(model or Model(), further)
        measure = parts.get("measure") or Measure()
        found += (
            _ratio_mistakes(models, axes) + _measure_mistakes(models, axes, measure) + _bytes_mistakes(models, axes)
        )
    return found


def _part(name: str, data: Any, found: list[Mistake]) -> Any:
    """One table of the study, its mistakes added to `found`; what is right in it is kept for further checks."""
    section = TABLES[name]
    if isinstance(data, section):
        return data
    if not isinstance(data, Mapping):
        found.append(mistake(name, data, f"a table [{name}]"))
        return None
    try:
        return section(**data)
    except StudyError as error:
        found.extend(m.within(name) for m in error.mistakes)
        bad = {m.key for m in error.mistakes}
    try:
        return section(**{k: v for k, v in data.items() if k not in bad})
    except StudyError:
        return None


def _chunk_mistakes(chunks: Any) -> list[Mistake]:
    ok = isinstance(chunks, Mapping) and all(
        k == "alpha" and isinstance(v, int) and not isinstance(v, bool) and v >= 1 for k, v in chunks.items()
    )
    return [] if ok else [mistake("chunks", chunks, "{ alpha = k } with a whole number k >= 1")]


def _further(axes: Any) -> dict[str, Any]:
    """What a table of axes holds beside the four that each has, whatever is wrong with those."""
    if isinstance(axes, Axes):
        return axes.model_extra or {}
    return {k: v for k, v in axes.items() if k not in Axes.model_fields} if isinstance(axes, Mapping) else {}


def _further_mistake(name: str, raw: Any) -> Mistake | None:
    """The first mistake of a further axis."""
    if name not in ALLOWED:
        return unknown_key(name, [*Axes.model_fields, *ALLOWED], "an axis or a field of [model], one of")
    values = _further_values(raw)
    if not values:
        return mistake(name, raw, f"a value or a list of values, each {ALLOWED[name]}")
    for value in values:
        if wrong := model_mistakes({name: value}):
            return wrong[0]
    if len(set(map(axis_label, values))) < len(values):
        return mistake(name, values, "no value twice", "a value twice")
    if not isinstance(axis_label(values[0]), str) and list(values) != sorted(values):
        return mistake(name, values, "numbers in ascending order", "not ascending")
    return None


def _seed_mistakes(axes: Axes) -> list[Mistake]:
    """Counts by size must name the sizes of the study, each of them and no other."""
    if not axes.counts:
        return []
    lacking, foreign = [n for n in axes.n if n not in axes.counts], [n for n in axes.counts if n not in axes.n]
    why = [f"no count for n = {n}" for n in lacking[:1]] + [f"n = {n} is not on the axis n" for n in foreign[:1]]
    allowed = f"a count for each n of the study: {', '.join(map(str, axes.n))}"
    return [mistake("axes.seed", axes.counts, allowed, " and ".join(why))] if why else []


def _further_values(raw: Any) -> tuple[Any, ...]:
    """The values of a further axis, none where they cannot be read."""
    try:
        return axis_values(raw)
    except ValueError:
        return ()


def _models(model: Model, further: Mapping[str, Any]) -> list[Model]:
    """The model at every place of the further axes that are right."""
    axis = {}
    for name, raw in further.items():
        values = _further_values(raw)
        if values and not any(model_mistakes({name: v}) for v in values):
            axis[name] = values
    places = itertools.product(*axis.values())
    return [dataclasses.replace(model, **dict(zip(axis, place, strict=True))) for place in places]


def _ratio_mistakes(models: Sequence[Model], axes: Axes) -> list[Mistake]:
    """Ratios with which a size of the smallest network rounds to nothing."""
    small, found = min(axes.n), []
    for name, size in (("dim_ratio", "dim"), ("width_ratio", "width"), ("step_ratio", "step_samples")):
        if any(getattr(m, size)(small) < 1 for m in models):
            low = min(getattr(m, name) for m in models)
            text = (
                f"given {low} with n = {small}, so that {size} rounds to 0; allowed: {name} * n at least 1 for every n"
            )
            table = "axes" if name in (axes.model_extra or {}) else "model"
            found.append(Mistake(f"{table}.{name}", text))
    return found


def _measure_mistakes(models: Sequence[Model], axes: Axes, measure: Measure) -> list[Mistake]:
    """More singular values than there are, or more degrees than singular values."""
    small, found = min(axes.n), []
    least = min(min(small, m.width(small)) for m in models)
    if measure.rank > least >= 1:
        allowed = f"at most {least}, the smallest of n and width in this study"
        found.append(mistake("measure.rank", measure.rank, allowed))
    if measure.degree > measure.rank:
        allowed = f"at most measure.rank = {measure.rank}, since a spike is compared with its singular vector"
        found.append(mistake("measure.degree", measure.degree, allowed))
    return found


def _bytes_mistakes(models: Sequence[Model], axes: Axes) -> list[Mistake]:
    """A size whose matrices no machine holds."""
    large = max(axes.n)
    need = max(8.0 * (large * (m.dim(large) + m.width(large)) + m.width(large) * m.dim(large)) for m in models)
    if need <= _MAX_CELL_BYTES:
        return []
    most = f"{_MAX_CELL_BYTES / 2**40:.3g} TiB"
    text = f"given {large}, whose matrices alone need {need / 2**40:.3g} TiB; "
    return [Mistake("axes.n", f"{text}allowed: sizes whose cells fit in memory, {most} at the very most")]
