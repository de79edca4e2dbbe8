"""A study: what to simulate, on which grid, with which random numbers, checked as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import tomlkit
from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr

from spikecube.model.checks import plain, show
from spikecube.model.parameters import ALLOWED, Model, model_mistakes
from spikecube.study.fields import Axes, Grid, Measure, Random, Section, StudyError, axis_values

MAX_CELL_BYTES = 2**44  # 16 TiB: no machine holds a cell larger than this


class Cell(NamedTuple):
    """One task: its size, its replicate, and its place along the further axes as ((name, label), ...)."""

    n: int
    seed: int
    further: tuple[tuple[str, float | str], ...] = ()

    def describe(self) -> str:
        """`n = 500, seed = 3, width_ratio = 0.5`."""
        return ", ".join(f"{k} = {v}" for k, v in (("n", self.n), ("seed", self.seed), *self.further))


_Model = Annotated[Model, BeforeValidator(lambda data: Model(**data) if isinstance(data, Mapping) else data)]


class Study(Section):
    """A title, a model, axes, measures and entropy, checked as a whole; every mistake is reported at once.

    Raises
    ------
    StudyError
        With one sentence a mistake: its key, what was given and what is allowed.

    Examples
    --------
    >>> study = Study(axes={"alpha": [0.0, 0.29], "n": [200, 400], "seed": 3, "lam": [0.1]})
    >>> study.axes.seed
    (0, 1, 2)
    >>> Study.from_toml(study.to_toml()) == study
    True
    """

    title: str = Field("", description="text")
    chunks: dict[str, int] = Field(default_factory=dict, description="{ alpha = k } with a whole number k >= 1")
    model: _Model = Field(default_factory=Model, description="a table")
    axes: Axes = Field(description="a table with alpha, n, seed and lam")
    measure: Measure = Field(default_factory=Measure, description="a table")
    random: Random = Field(default_factory=Random, description="a table")
    _text: str = PrivateAttr("")

    def __init__(self, **data: Any) -> None:
        problems = _check(data)
        if problems:
            raise StudyError(problems)
        super().__init__(**data)
        self._text = _toml(data)

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The study that a TOML text describes; `to_toml` gives the text back unchanged."""
        text = text.removeprefix("\ufeff")  # the mark that some editors put before UTF-8
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StudyError([f"the study is not valid TOML: {error}"]) from None
        study = cls(**data)
        study._text = text
        return study

    @classmethod
    def of(cls, study: object) -> Study:
        """A study, or that in a file.

        Raises
        ------
        StudyError
            When it is neither, or the file has mistakes.
        """
        if isinstance(study, Study):
            return study
        if isinstance(study, str | Path):
            return cls.from_file(study)
        kind = f"{type(study).__module__}.{type(study).__qualname__}"
        raise StudyError([f"study: given {kind}; allowed: a spikecube.Study or the name of a study file"])

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The study in a TOML file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StudyError([f"the study file {str(path)!r} cannot be read: {reason}"]) from None
        return cls.from_toml(text)

    def to_toml(self) -> str:
        """The study as TOML text: the text it was read from, or that of the keywords it was made from."""
        return self._text

    @property
    def sha256(self) -> str:
        """Hash of the TOML text."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @property
    def further(self) -> dict[str, tuple[Any, ...]]:
        """The further axes: fields of [model] and their values, in the order of the study."""
        return {name: axis_values(raw) for name, raw in (self.axes.model_extra or {}).items()}

    def labels(self, name: str) -> tuple[float | str, ...]:
        """The coordinate labels of a further axis: numbers, or text for names and coefficient lists."""
        return tuple(axis_label(v) for v in self.further[name])

    def model_at(self, **labels: float | str) -> Model:
        """The model at a place along the further axes, each given by its label."""
        values = {k: self.further[k][self.labels(k).index(label)] for k, label in labels.items()}
        return dataclasses.replace(self.model, **values)

    def cells(self) -> Iterator[Cell]:
        """Every cell (n, seed, further) of the study, further axes outermost."""
        places = itertools.product(*(self.labels(name) for name in self.further))
        for place, n, seed in itertools.product(places, self.axes.n, self.axes.seed):
            yield Cell(n, seed, tuple(zip(self.further, place, strict=True)))

    @property
    def shape(self) -> dict[str, int]:
        """Length of every dim of the cube, in the order of the schema."""
        axes = {name: len(getattr(self.axes, name)) for name in ("alpha", "n", "seed", "lam")}
        measured = {"rank": self.measure.rank, "degree": self.measure.degree, "ell": self.measure.ell}
        bins = {"bin": self.measure.spectrum_bins} if self.measure.spectrum_bins else {}
        return axes | measured | bins | {name: len(v) for name, v in self.further.items()}


def axis_label(value: Any) -> float | str:
    """A value of a further axis as a coordinate: a number stays, a name stays, coefficients become `[0, 1, 0.3]`."""
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{v:g}" for v in value) + "]"
    return value if isinstance(value, str) else float(value)


_PARTS: dict[str, type[Section] | type[Model]] = {"model": Model, "axes": Axes, "measure": Measure, "random": Random}


def _part(name: str, data: Any, problems: list[str]) -> Any:
    """One table of the study, its mistakes added to `problems`; what is right in it is kept for further checks."""
    section = _PARTS[name]
    if isinstance(data, section):
        return data
    if not isinstance(data, Mapping):
        problems.append(f"{name}: given {show(data)}; allowed: a table [{name}]")
        return None
    try:
        return section(**data)
    except StudyError as error:
        problems.extend(f"{name}.{problem}" for problem in error.problems)
        bad = {problem.split(":")[0] for problem in error.problems}
    try:
        return section(**{k: v for k, v in data.items() if k not in bad})
    except StudyError:
        return None


def _check(data: Mapping[str, Any]) -> list[str]:
    """Every mistake of a study given as nested mappings."""
    problems = [
        f"{key}: unknown key; allowed: one of {', '.join(Study.model_fields)}"
        for key in data
        if key not in Study.model_fields
    ]
    if not isinstance(data.get("title", ""), str):
        problems.append(f"title: given {show(data['title'])}; allowed: text")
    problems += _chunk_problems(data.get("chunks", {}))
    if "axes" not in data:
        problems.append("axes: missing; allowed: a table with alpha, n, seed and lam")
    parts = {name: _part(name, data[name], problems) for name in _PARTS if name in data}
    model, axes = parts.get("model", Model()), parts.get("axes")
    if isinstance(axes, Axes):
        problems += _further_problems(axes)
        models = _models(model or Model(), axes)
        measure = parts.get("measure") or Measure()
        problems += _size_problems(models, axes, measure)
    return problems


def _chunk_problems(chunks: Any) -> list[str]:
    ok = isinstance(chunks, Mapping) and all(
        k == "alpha" and isinstance(v, int) and not isinstance(v, bool) and v >= 1 for k, v in chunks.items()
    )
    return [] if ok else [f"chunks: given {show(chunks)}; allowed: {{ alpha = k }} with a whole number k >= 1"]


def _further_problems(axes: Axes) -> list[str]:
    problems = []
    for name, raw in (axes.model_extra or {}).items():
        key = f"axes.{name}"
        if name not in ALLOWED:
            problems.append(
                f"{key}: unknown key; allowed: alpha, n, seed, lam, or a field of [model], one of {', '.join(ALLOWED)}"
            )
            continue
        values = _further_values(raw)
        if not isinstance(values, tuple) or not values:
            problems.append(f"{key}: given {show(plain(raw))}; allowed: a list of values, each {ALLOWED[name]}")
            continue
        mistakes = [m for v in values for m in model_mistakes({name: v})]
        if mistakes:
            problems.append(f"axes.{mistakes[0]}")
        elif len(set(map(axis_label, values))) < len(values):
            problems.append(f"{key}: given {show(values)} (a value twice); allowed: no value twice")
        elif not isinstance(axis_label(values[0]), str) and list(values) != sorted(values):
            problems.append(f"{key}: given {show(values)} (not ascending); allowed: numbers in ascending order")
    return problems


def _further_values(raw: Any) -> Any:
    try:
        return axis_values(raw)
    except ValueError:
        return None


def _models(model: Model, axes: Axes) -> list[Model]:
    """The model at every place of the further axes that are right."""
    axis = {}
    for name, raw in (axes.model_extra or {}).items():
        values = _further_values(raw)
        if isinstance(values, tuple) and values and not any(model_mistakes({name: v}) for v in values):
            axis[name] = values
    places = itertools.product(*axis.values())
    return [dataclasses.replace(model, **dict(zip(axis, place, strict=True))) for place in places]


def _size_problems(models: Sequence[Model], axes: Axes, measure: Measure) -> list[str]:
    """Checks that need the model, the axes and the measures together."""
    problems = []
    small, large = min(axes.n), max(axes.n)
    for name, size in (("dim_ratio", "dim"), ("width_ratio", "width"), ("step_ratio", "step_samples")):
        if any(getattr(m, size)(small) < 1 for m in models):
            low = min(getattr(m, name) for m in models)
            problems.append(
                f"model.{name}: given {low} with n = {small}, so that {size} rounds to 0; "
                f"allowed: {name} * n at least 1 for every n"
            )
    least = min(min(small, m.width(small)) for m in models)
    if measure.rank > least >= 1:
        problems.append(
            f"measure.rank: given {measure.rank}; allowed: at most {least}, the smallest of n and width in this study"
        )
    if measure.degree > measure.rank:
        problems.append(
            f"measure.degree: given {measure.degree}; allowed: at most measure.rank = {measure.rank}, "
            "since a spike is compared with its singular vector"
        )
    bytes_ = max(8.0 * (large * (m.dim(large) + m.width(large)) + m.width(large) * m.dim(large)) for m in models)
    if bytes_ > MAX_CELL_BYTES:
        problems.append(
            f"axes.n: given {large}, whose matrices alone need {bytes_ / 2**40:.3g} TiB; "
            f"allowed: sizes whose cells fit in memory, {MAX_CELL_BYTES / 2**40:.3g} TiB at the very most"
        )
    return problems


def _toml(data: Mapping[str, Any]) -> str:
    """Keywords as TOML text in the order of the study file."""
    document = tomlkit.document()
    for key in ("title", "chunks"):
        if data.get(key):
            document.add(key, tomlkit.item(dict(data[key]) if key == "chunks" else data[key]))
    for name in _PARTS:
        if name not in data:
            continue
        table = tomlkit.table()
        for key, value in _fields(data[name]).items():
            table.add(key, _toml_value(value))
        document.add(name, table)
    return tomlkit.dumps(document)


def _fields(part: Any) -> Mapping[str, Any]:
    if isinstance(part, Model):
        return dataclasses.asdict(part)
    return part.model_dump() if isinstance(part, BaseModel) else part


def _toml_value(value: Any) -> Any:
    if isinstance(value, Grid):
        value = value.model_dump()
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update({k: _toml_value(v) for k, v in value.items()})
        return inline
    return _lists(plain(value))


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value
