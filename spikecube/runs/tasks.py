"""What is left to compute: tasks of one cell each, the most expensive first, in balanced shares."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from spikecube.study.fields import Measure, Model
from spikecube.study.study import Cell, Study

Points = tuple[tuple[float, ...], tuple[float, ...]]
"""Alphas and lams of a rectangle of points of one cell."""


class Task(NamedTuple):
    """Some alphas and lams of one cell."""

    cell: Cell
    alphas: tuple[float, ...]
    lams: tuple[float, ...]


class CellCost(Protocol):
    """A cost of one task: floating-point operations, or bytes at its peak."""

    def __call__(self, model: Model, measure: Measure, *, n: int, num_alpha: int, num_lam: int) -> float: ...


def task_cost(study: Study, cost: CellCost) -> Callable[[Task], float]:
    """The cost of tasks of a study."""

    def of(task: Task) -> float:
        model, num_alpha, num_lam = study.models[task.cell.further], len(task.alphas), len(task.lams)
        return cost(model, study.measure, n=task.cell.n, num_alpha=num_alpha, num_lam=num_lam)

    return of


def missing_tasks(study: Study, present: Mapping[Cell, Sequence[Points]]) -> Iterator[Task]:
    """The tasks that give every point of the study that is not present; `chunks` splits alphas."""
    alphas, lams = study.axes.alpha, study.axes.lam
    chunk = study.chunks.get("alpha", len(alphas))
    for cell in study.cells():
        for wanted_alphas, wanted_lams in _missing_points(alphas, lams, present.get(cell, ())):
            for start in range(0, len(wanted_alphas), chunk):
                yield Task(cell, wanted_alphas[start : start + chunk], wanted_lams)


def _missing_points(alphas: tuple[float, ...], lams: tuple[float, ...], present: Sequence[Points]) -> Iterator[Points]:
    """Rectangles that cover exactly what is missing: alphas that miss the same lams go together."""
    if not present:
        yield alphas, lams
        return
    known = np.zeros((len(alphas), len(lams)), dtype=bool)
    for some_alphas, some_lams in present:
        known |= np.isin(alphas, some_alphas)[:, None] & np.isin(lams, some_lams)[None, :]
    groups: dict[tuple[float, ...], list[float]] = {}
    for alpha, row in zip(alphas, known, strict=True):
        missed = tuple(lam for lam, there in zip(lams, row, strict=True) if not there)
        if missed:
            groups.setdefault(missed, []).append(alpha)
    for missed, together in groups.items():
        yield tuple(together), missed


def by_falling_cost(tasks: Sequence[Task], cost: Callable[[Task], float]) -> list[Task]:
    """Tasks by falling cost; equal ones keep their order."""
    return sorted(tasks, key=cost, reverse=True)


def share(study: Study, index: int, count: int, cost: Callable[[Task], float]) -> set[Cell]:
    """The cells of share `index` (1 ... count): each cell, by falling cost, goes to the share with the least work.

    The shares depend on the study alone, so that jobs started at different times agree on them.
    """
    whole = [Task(cell, study.axes.alpha, study.axes.lam) for cell in study.cells()]
    loads = [(0.0, i) for i in range(1, count + 1)]
    mine = set()
    for task in by_falling_cost(whole, cost):
        load, i = heapq.heappop(loads)
        heapq.heappush(loads, (load + cost(task), i))
        if i == index:
            mine.add(task.cell)
    return mine


def parse_share(text: str) -> tuple[int, int]:
    """Index (from 1) and count of a share `i/N`.

    >>> parse_share("2/16")
    (2, 16)
    """
    index, _, count = text.partition("/")
    if index.isascii() and index.isdigit() and count.isascii() and count.isdigit() and 1 <= int(index) <= int(count):
        return int(index), int(count)
    raise ValueError(f"given {text!r}; allowed: i/N with i from 1 to N")
