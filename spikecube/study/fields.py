"""The tables of a study file: each field with its type and, as its description, what is allowed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from spikecube.model.checks import Mistake, as_written, mistake, plain, unknown_key, unknown_name
from spikecube.model.checks import StudyError as StudyError
from spikecube.model.parameters import Model as Model


def _whole(value: Any) -> Any:
    """5.0 is a whole number, 5.5 is not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Number = Annotated[float, BeforeValidator(plain), Field(strict=True, allow_inf_nan=False)]
_Whole = Annotated[int, BeforeValidator(plain), Field(strict=True)]
_Positive = Annotated[_Number, Field(gt=0)]


def _mistakes(section: type[BaseModel], error: ValidationError, data: Mapping[str, Any]) -> list[Mistake]:
    """One for each mistaken key, whatever number of things pydantic finds wrong with it."""
    fields = section.model_fields
    found: dict[str, Mistake] = {}
    for item in error.errors():
        key = str(item["loc"][0]) if item["loc"] else "?"
        if item["type"] == "extra_forbidden":
            wrong = unknown_key(key, fields)
        elif item["type"] == "missing":
            wrong = Mistake(key, f"missing; allowed: {fields[key].description}")
        else:
            why = str(item["ctx"]["error"]) if item["type"] == "value_error" and len(item["loc"]) == 1 else ""
            if item["type"] == "literal_error" and isinstance(data[key], str):
                why = unknown_name(data[key], get_args(fields[key].annotation))
            wrong = mistake(key, data.get(key), str(fields[key].description), why)
        found.setdefault(key, wrong)
    return list(found.values())


class Section(BaseModel):
    """A table of the study file: frozen, no unknown keys, mistakes as sentences; a description is what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise StudyError(_mistakes(type(self), error, data)) from None


class Grid(Section):
    """An axis by its ends: `num` values from `start` to `stop`, evenly spaced or evenly in the logarithm."""

    start: _Number = Field(description="a number")
    stop: _Number = Field(description="a number")
    num: Annotated[_Whole, Field(ge=1, le=1_000_000)] = Field(description="a whole number >= 1")
    spacing: Literal["linear", "log"] = Field("linear", description="linear or log")

    def values(self) -> tuple[float, ...]:
        """The values, rounded to 12 significant digits so that they read as they are meant."""
        if self.spacing == "log":
            if min(self.start, self.stop) <= 0:
                raise ValueError("a logarithmic axis needs start > 0 and stop > 0")
            raw = np.geomspace(self.start, self.stop, self.num)
        else:
            raw = np.linspace(self.start, self.stop, self.num)
        return tuple(float(f"{v:.12g}") for v in raw)


def axis_values(value: Any) -> tuple[Any, ...]:
    """A list stays a list, a table {start, stop, num} becomes its values, one value stands for a list of it."""
    value = plain(value)
    if isinstance(value, Mapping):
        return Grid(**value).values()
    return value if isinstance(value, tuple) else (value,)


def _whole_values(value: Any) -> Any:
    return tuple(_whole(v) for v in axis_values(value))


def _size_values(value: Any) -> Any:
    """Sizes; those of a table are rounded to whole numbers."""
    if isinstance(value, Mapping):
        return tuple(round(v) for v in Grid(**value).values())
    return _whole_values(value)


MOST_SEEDS = 1_000_000
_SEEDS_END = 2**62


def _seed_values(value: Any) -> Any:
    """A count k stands for the replicates 0 ... k - 1; of counts by size the largest decides how long the axis is."""
    value = _whole(plain(value))
    if counts := seed_counts(value):
        return tuple(range(max(counts.values())))
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(range(_count(value)))
    return _whole_values(value)


def seed_counts(table: Any) -> dict[int, int]:
    """Replicates by size, sizes ascending, where seeds are given so, else empty; as keys of TOML sizes are text."""
    found: dict[int, int] = {}
    if not isinstance(table, Mapping) or set(table) & set(Grid.model_fields):
        return found
    for key, count in table.items():
        size = _whole(plain(key))
        if isinstance(size, str) and size.isascii() and size.isdigit() and not size.startswith("0"):
            size = int(size)
        if not isinstance(size, int) or isinstance(size, bool):
            raise ValueError(f"{key!r} is not a size")
        if size in found:
            raise ValueError(f"two counts for n = {size}")
        found[size] = _count(plain(count), f" at n = {size}")
    if not found:
        raise ValueError("no size")
    return dict(sorted(found.items()))


def _count(value: Any, where: str = "") -> int:
    """A number of replicates."""
    value = _whole(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{as_written(value)} is no count{where}")
    if value < 1:
        raise ValueError(f"at least one seed is needed{where}")
    if value > MOST_SEEDS:
        raise ValueError(f"at most {MOST_SEEDS} seeds are possible{where}")
    return value


_ORDER = "or a list of them, ascending, none twice; or { start, stop, num }"


class Axes(Section):
    """The grid of a study: alpha, n, seed, lam, and any fields of [model] as further axes.

    >>> axes = Axes(alpha=[0.0], n=[250, 500], seed={250: 3, 500: 1}, lam=[0.1])
    >>> axes.seed, axes.seeds(500)
    ((0, 1, 2), (0,))
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    _counts: dict[int, int] = PrivateAttr(default_factory=dict)

    alpha: Annotated[tuple[Annotated[_Number, Field(ge=0, le=0.5)], ...], BeforeValidator(axis_values)] = Field(
        min_length=1, description=f"a number from 0 to 0.5, {_ORDER}"
    )
    n: Annotated[tuple[Annotated[_Whole, Field(ge=2)], ...], BeforeValidator(_size_values)] = Field(
        min_length=1, description=f"a whole number >= 2, {_ORDER}"
    )
    seed: Annotated[tuple[Annotated[_Whole, Field(ge=0, lt=_SEEDS_END)], ...], BeforeValidator(_seed_values)] = Field(
        min_length=1,
        description=f"a count from 1 to {MOST_SEEDS}, such counts by size, say {{ 250 = 2000, 500 = 80 }}, or whole "
        f"numbers from 0 to {_SEEDS_END - 1}, ascending, none twice",
    )
    lam: Annotated[tuple[_Positive, ...], BeforeValidator(axis_values)] = Field(
        min_length=1, description=f"a number > 0, {_ORDER}"
    )

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        self._counts = seed_counts(data.get("seed"))

    @property
    def counts(self) -> dict[int, int]:
        """Replicates by size where the study gives them so, else empty."""
        return dict(self._counts)

    def seeds(self, n: int) -> tuple[int, ...]:
        """The replicates of a size."""
        return tuple(range(self._counts[n])) if self._counts else self.seed

    def as_given(self) -> dict[str, Any]:
        """All axes, with the seeds as counts by size where they were given so."""
        return self.model_dump() | ({"seed": self.counts} if self._counts else {})

    @field_validator("alpha", "n", "seed", "lam", mode="after")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in itertools.pairwise(values)):
            raise ValueError("not in ascending order or with a value twice")
        return values


class Measure(Section):
    """What is measured in each cell: the table [measure]."""

    rank: Annotated[_Whole, Field(ge=1)] = Field(6, description="a whole number >= 1")
    degree: Annotated[_Whole, Field(ge=1, le=20)] = Field(3, description="a whole number from 1 to 20")
    ell: Annotated[_Whole, Field(ge=1, le=20)] = Field(3, description="a whole number from 1 to 20")
    test_risk: Literal["sample", "exact"] = Field("sample", description="sample or exact")
    test_samples: Annotated[_Whole, Field(ge=1)] | Literal["n"] = Field("n", description='"n" or a whole number >= 1')
    spectrum_bins: Annotated[_Whole, Field(ge=0, le=100_000)] = Field(
        0, description="a whole number from 0 (no histogram) to 100000"
    )
    precision: Literal["float64", "float32"] = Field("float64", description="float64 or float32")


class Random(Section):
    """The table [random]."""

    entropy: Annotated[_Whole, Field(ge=0)] = Field(20231011, description="a whole number >= 0")


TABLES: dict[str, type[Section] | type[Model]] = {"model": Model, "axes": Axes, "measure": Measure, "random": Random}
"""The tables of a study file that hold more than one value."""


def axis_label(value: Any) -> float | str:
    """A value of a further axis as a coordinate: a number stays, a name stays, coefficients become `[0, 1, 0.3]`."""
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{v:g}" for v in value) + "]"
    return value if isinstance(value, str) else float(value)
