"""A study: what to simulate, on which grid, with which random numbers, checked as a whole."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field, PrivateAttr

from spikecube.model.activations import resolve_activation
from spikecube.model.parameters import Model
from spikecube.model.spikes import nonzero_degrees
from spikecube.notebook import Shown
from spikecube.study.checks import checked
from spikecube.study.fields import Axes, Measure, Random, Section, StudyError, axis_label, axis_values
from spikecube.study.written import as_toml, with_lines

Further = tuple[tuple[str, float | str], ...]
"""A place along the further axes as ((name, label), ...)."""


class Cell(NamedTuple):
    """One task: its size, its replicate, and its place along the further axes."""

    n: int
    seed: int
    further: Further = ()

    def describe(self) -> str:
        """`n = 500, seed = 3, width_ratio = 0.5`."""
        return ", ".join(f"{k} = {v}" for k, v in (("n", self.n), ("seed", self.seed), *self.further))


class Place(NamedTuple):
    """A place along the further axes: its positions, its labels by name, and the model there."""

    position: tuple[int, ...]
    labels: dict[str, float | str]
    model: Model


class Study(Section, Shown):
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
    model: Model = Field(default_factory=Model, description="a table")
    axes: Axes = Field(description="a table with alpha, n, seed and lam")
    measure: Measure = Field(default_factory=Measure, description="a table")
    random: Random = Field(default_factory=Random, description="a table")
    _text: str = PrivateAttr("")

    def __init__(self, **data: Any) -> None:
        super().__init__(**checked(data, list(type(self).model_fields)))
        self._text = as_toml(data)

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The study that a TOML text describes; `to_toml` gives the text back unchanged."""
        text = text.removeprefix("\ufeff")  # the mark that some editors put before UTF-8
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StudyError([f"the study is not valid TOML: {error}"]) from None
        try:
            study = cls(**data)
        except StudyError as error:
            raise StudyError(with_lines(error.mistakes, text)) from None
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

    def on_axes(self, **axes: Sequence[float]) -> Self:
        """This study with one seed and other labels of its axes, which ascend: one that is checked is not read anew.

        >>> study = Study(axes={"alpha": [0.0, 0.2], "n": [200], "seed": 3, "lam": [0.1]})
        >>> study.on_axes(alpha=[0.0, 0.1, 0.2]).shape
        {'alpha': 3, 'n': 1, 'seed': 1, 'lam': 1, 'rank': 6, 'degree': 3, 'ell': 3}
        """
        labels = {name: tuple(values) for name, values in axes.items()}
        grid = Axes.model_construct(**{**self.axes.model_dump(), "seed": (0,), **labels})
        study = self.model_copy(update={"axes": grid})
        study.__dict__.pop("models", None)  # the copy has the cache of this one, whose further axes may be others
        study._text = as_toml(dict(study))
        return study

    def to_toml(self) -> str:
        """The study as TOML text: the text it was read from, or that of the keywords it was made from."""
        return self._text

    def __str__(self) -> str:
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

    def models_along(self, name: str) -> list[Model]:
        """The models along a further axis, all else as in [model]; that of [model] alone if there is no such axis."""
        labels = self.labels(name) if name in self.further else ()
        return [self.model_at(**{name: label}) for label in labels] or [self.model]

    def places(self) -> list[Place]:
        """Every place along the further axes, the last of them running fastest; one without any."""
        found = []
        for place in itertools.product(*(enumerate(self.labels(name)) for name in self.further)):
            labels = {name: label for name, (_, label) in zip(self.further, place, strict=True)}
            found.append(Place(tuple(i for i, _ in place), labels, self.model_at(**labels)))
        return found

    @functools.cached_property
    def models(self) -> dict[Further, Model]:
        """The model at every place along the further axes."""
        return {tuple(place.labels.items()): place.model for place in self.places()}

    def cells(self) -> Iterator[Cell]:
        """Every cell (n, seed, further) that the study asks for, further axes outermost."""
        for further in self.models:
            for n in self.axes.n:
                yield from (Cell(n, seed, further) for seed in self.axes.seeds(n))

    @property
    def shape(self) -> dict[str, int]:
        """Length of every dim of the cube, in the order of the schema."""
        axes = {name: len(getattr(self.axes, name)) for name in ("alpha", "n", "seed", "lam")}
        measured = {"rank": self.measure.rank, "degree": self.measure.degree, "ell": self.measure.ell}
        bins = {"bin": self.measure.spectrum_bins} if self.measure.spectrum_bins else {}
        return axes | measured | bins | {name: len(v) for name, v in self.further.items()}


def spike_degrees(model: Model, most: int) -> tuple[int, ...]:
    """The degrees k with c_k != 0 up to `most`, the ones that carry a spike: the j-th of them is the j-th outlier.

    >>> spike_degrees(Model(activation="tanh"), 5)
    (1, 3, 5)
    """
    return nonzero_degrees(resolve_activation(model.activation).coefficients(most), most)


@functools.lru_cache(maxsize=64)
def study_from(text: str) -> Study:
    """The study of a text that a cube carries, read once however many ask for it."""
    return Study.from_toml(text)
