"""What is wrong with a study: every mistake at once, those of single tables and those that need several of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikecube.model.checks import Mistake, StudyError, mistake, unknown_key
from spikecube.model.parameters import ALLOWED, Model, model_mistakes
from spikecube.study.fields import TABLES, Axes, Measure, axis_label, axis_values

_MAX_CELL_BYTES = 2**44  # 16 TiB: no machine holds a cell larger than this


def checked(data: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A study given as nested mappings, its tables read; `keys` are those that a study has.

    Every mistake is told by one StudyError.
    """
    found = [unknown_key(key, keys) for key in data if key not in keys]
    if not isinstance(data.get("title", ""), str):
        found.append(mistake("title", data["title"], "text"))
    if not _are_chunks(data.get("chunks", {})):
        found.append(mistake("chunks", data["chunks"], "{ alpha = k } with a whole number k >= 1"))
    if "axes" not in data:
        found.append(Mistake("axes", "missing; allowed: a table with alpha, n, seed and lam"))
    parts = {name: _part(name, data[name], found) for name in TABLES if name in data}
    further = _further(data.get("axes"), found)
    model, axes, measure = parts.get("model") or Model(), parts.get("axes"), parts.get("measure") or Measure()
    if axes:
        places = itertools.product(*further.values())
        models = [dataclasses.replace(model, **dict(zip(further, place, strict=True))) for place in places]
        found += [*_seed_mistakes(axes), *_ratio_mistakes(models, axes), *_measure_mistakes(models, axes, measure)]
        found += _bytes_mistakes(models, max(axes.n))
    if found:
        raise StudyError(found)
    return {**data, **parts}


def _are_chunks(chunks: Any) -> bool:
    return isinstance(chunks, Mapping) and all(
        k == "alpha" and isinstance(v, int) and not isinstance(v, bool) and v >= 1 for k, v in chunks.items()
    )


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


def _further(axes: Any, found: list[Mistake]) -> dict[str, tuple[Any, ...]]:
    """Further axes whose values are right one by one, whatever is wrong with other axes; mistakes go to `found`."""
    if isinstance(axes, Axes):
        axes = axes.model_extra
    right = {}
    for name, raw in axes.items() if isinstance(axes, Mapping) else ():
        if name in Axes.model_fields:
            continue
        values = _values(raw)
        wrong = [m for value in values for m in model_mistakes({name: value})]
        if name not in ALLOWED:
            wrong = [unknown_key(name, [*Axes.model_fields, *ALLOWED], "an axis or a field of [model], one of")]
        elif not values:
            wrong = [mistake(name, raw, f"a value or a list of values, each {ALLOWED[name]}")]
        elif not wrong:
            right[name] = values
            wrong = _disorder(name, values)
        found += [m.within("axes") for m in wrong[:1]]
    return right


def _values(raw: Any) -> tuple[Any, ...]:
    """The values of a further axis, none where they cannot be read."""
    try:
        return axis_values(raw)
    except ValueError:
        return ()


def _disorder(name: str, values: tuple[Any, ...]) -> list[Mistake]:
    """Labels that are there twice, or numbers that do not ascend."""
    if len(set(map(axis_label, values))) < len(values):
        return [mistake(name, values, "no value twice", "a value twice")]
    if not isinstance(axis_label(values[0]), str) and list(values) != sorted(values):
        return [mistake(name, values, "numbers in ascending order", "not ascending")]
    return []


def _seed_mistakes(axes: Axes) -> Iterator[Mistake]:
    """Counts by size must name the sizes of the study, each of them and no other."""
    if axes.counts:
        lacking, foreign = [n for n in axes.n if n not in axes.counts], [n for n in axes.counts if n not in axes.n]
        why = [f"no count for n = {n}" for n in lacking[:1]] + [f"n = {n} is not on the axis n" for n in foreign[:1]]
        if why:
            allowed = f"a count for each n of the study: {', '.join(map(str, axes.n))}"
            yield mistake("axes.seed", axes.counts, allowed, " and ".join(why))


def _ratio_mistakes(models: Sequence[Model], axes: Axes) -> Iterator[Mistake]:
    """Ratios with which a size of the smallest network rounds to nothing."""
    small = min(axes.n)
    for name, size in (("dim_ratio", "dim"), ("width_ratio", "width"), ("step_ratio", "step_samples")):
        if any(getattr(m, size)(small) < 1 for m in models):
            low = min(getattr(m, name) for m in models)
            text = (
                f"given {low} with n = {small}, so that {size} rounds to 0; allowed: {name} * n at least 1 for every n"
            )
            yield Mistake(f"{'axes' if name in (axes.model_extra or {}) else 'model'}.{name}", text)


def _measure_mistakes(models: Sequence[Model], axes: Axes, measure: Measure) -> Iterator[Mistake]:
    """More singular values than there are, or more degrees than singular values."""
    small = min(axes.n)
    least = min(min(small, m.width(small)) for m in models)
    if measure.rank > least >= 1:
        yield mistake("measure.rank", measure.rank, f"at most {least}, the smallest of n and width in this study")
    if measure.degree > measure.rank:
        allowed = f"at most measure.rank = {measure.rank}, since a spike is compared with its singular vector"
        yield mistake("measure.degree", measure.degree, allowed)


def _bytes_mistakes(models: Sequence[Model], n: int) -> Iterator[Mistake]:
    """A size whose matrices no machine holds."""
    need = max(8.0 * (n * (m.dim(n) + m.width(n)) + m.width(n) * m.dim(n)) for m in models)
    if need > _MAX_CELL_BYTES:
        most = f"{_MAX_CELL_BYTES / 2**40:.3g} TiB"
        text = f"given {n}, whose matrices alone need {need / 2**40:.3g} TiB; "
        yield Mistake("axes.n", f"{text}allowed: sizes whose cells fit in memory, {most} at the very most")
