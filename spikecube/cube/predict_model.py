"""Every predicted variable of one model of a study, as plain arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from spikecube.cube.assemble import place_text
from spikecube.cube.missing import Unpredicted
from spikecube.cube.predict_remainders import REMAINDERS, few_sizes, losses_of_size, relative_remainders, remainders
from spikecube.study.fields import Model
from spikecube.study.study import Study
from spikecube.theory import (
    best_linear_loss,
    bulk_edge,
    chosen_degrees,
    detection_edge,
    finite_losses,
    initial_losses,
    initial_outliers,
    limit_losses,
    spike_count,
)
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.edge import conditional_edge
from spikecube.theory.conditional.spikes import ConditionalSpectrum, conditional_spectra, spike_alignments
from spikecube.theory.losses import block_losses, relative_change
from spikecube.theory.moments import Moments
from spikecube.theory.staircase import UNBOUNDED

_Index = tuple[int | slice, ...]
Losses = Callable[[tuple[float, ...]], tuple[np.ndarray, np.ndarray]]
T = TypeVar("T")
Values = TypeVar("Values", bound=Sequence[Any])
_LOSSES = ("train_loss", "test_loss")


@dataclass(frozen=True)
class OfModel:
    """Fills the arrays of the wanted variables of one model, their dims in the order of the schema.

    What theory does not find stays as it is, and is missing.
    """

    study: Study
    model: Model
    arrays: dict[str, np.ndarray]
    degrees: int | None
    labels: dict[str, float | str]
    missing: Unpredicted

    def fill(self, tick: Callable[[], None]) -> None:
        """Fills all of them; `tick` is called after each (n, alpha)."""
        stepped = self.model.initial_output == "vanishing"
        self._find(["best_linear_loss"], (), {}, lambda: [best_linear_loss(self.model)])
        if stepped:
            self._limits()
        degrees = {}
        for j, n in enumerate(self.study.axes.n):
            kept = self.degrees or self._attempt(self.arrays, {"n": n}, partial(chosen_degrees, self.model, n))
            if kept is not None:
                degrees[n] = kept
                self._of_size(j, kept, stepped, tick)
        if stepped:
            self._remainders(degrees)

    def _of_size(self, j: int, degrees: int, stepped: bool, tick: Callable[[], None]) -> None:
        moments = self._moments(self.study.axes.n[j], degrees)
        radius = self._initial(j, moments, stepped, degrees)
        if stepped:
            self._spectra(j, degrees)
        for i in range(len(self.study.axes.alpha)):
            if stepped:
                self._point((i, j), moments, radius, degrees)
            tick()

    def _remainders(self, degrees: dict[int, int]) -> None:
        study, model, names = self.study, self.model, [name for name in REMAINDERS if name in self.arrays]
        relative: dict[int, np.ndarray] = {}
        for n in few_sizes(study) if names else ():
            if n in degrees:
                found = self._attempt(names, {"n": n}, partial(relative_remainders, study, model, n, degrees[n]))
                relative |= {} if found is None else {n: found}
        if relative:
            values = remainders(study, relative, self._losses_of_all(names, degrees))
            self._store([*values], (slice(None),), [*values.values()])

    def _losses_of_all(self, names: Sequence[str], degrees: dict[int, int]) -> list[np.ndarray]:
        """Train and test losses of F for what is made of them, (alpha, n, lam), where they are not among the wanted."""
        study, model = self.study, self.model
        if set(_LOSSES) <= self.arrays.keys():
            return [self.arrays[name] for name in _LOSSES]
        losses = np.full((2, *(study.shape[d] for d in ("alpha", "n", "lam"))), np.nan)
        for j, n in enumerate(study.axes.n):
            if n in degrees:
                found = self._attempt(names, {"n": n}, partial(losses_of_size, study, model, n, degrees[n]))
                losses[:, :, j] = np.nan if found is None else found
        return list(losses)

    def _limits(self) -> None:
        for i, alpha in enumerate(self.study.axes.alpha):
            ell = spike_count(alpha)
            if ell != UNBOUNDED:
                self._losses("_limit", (i,), {"alpha": alpha}, partial(limit_losses, self.model, ell=ell))

    def _moments(self, n: int, degrees: int) -> Moments | None:
        names, lam = [f"{loss}_{of}" for loss in _LOSSES for of in ("init", "spiked")], self.study.axes.lam
        return self._attempt(names, {"n": n}, lambda: bulk_of(self.model, n, degrees).moments(lam))

    def _initial(self, j: int, moments: Moments | None, stepped: bool, degrees: int) -> np.ndarray | None:
        """What is known of F_0; what the length of inputs does to its losses, over those of a typical length."""
        model, n, lam = self.model, self.study.axes.n[j], self.study.axes.lam
        spot, losses = {"n": n}, None
        if moments is not None:
            names = [f"{loss}_{of}" for of in ("init", "spiked") for loss in _LOSSES]
            losses = self._find(names, (j,), spot, lambda: initial_losses(model, lam, n, degrees=degrees))
        self._find(["singular_value_init"], (j,), spot, lambda: [self._ranked(initial_outliers(model, n, degrees))])
        if not stepped:
            self._find(["bulk_edge"], (slice(None), j), spot, lambda: [bulk_edge(model, n, degrees=degrees)])
        if losses is None:
            return None
        return 1 + relative_change(np.array(losses), np.array(block_losses(model, lam, n, moments=moments)))

    def _point(self, place: tuple[int, int], moments: Moments | None, radius: np.ndarray | None, degrees: int) -> None:
        model, axes = self.model, self.study.axes
        alpha, n, lam = axes.alpha[place[0]], axes.n[place[1]], axes.lam
        spot = {"alpha": alpha, "n": n}
        self._losses("", place, spot, lambda lam: finite_losses(model, lam, n, alpha, degrees=degrees))
        for k in range(self.study.measure.ell if moments is not None else 0):
            names = ("train_loss_spiked", "test_loss_spiked")
            found = self._attempt(names, spot, partial(block_losses, model, lam, n, alpha, k + 1, moments=moments))
            if found is not None and radius is not None:
                self._store(names, (*place, slice(None), k), found * radius)

    def _spectra(self, j: int, degrees: int) -> None:
        model, n, alphas = self.model, self.study.axes.n[j], list(self.study.axes.alpha)

        def edges_of(some: list[float]) -> np.ndarray:
            known = [found[alphas.index(alpha)] for alpha in some]
            edges = [spectrum.edge for spectrum in known if spectrum is not None]
            return detection_edge(model, n, some, degrees=degrees, edges=edges if len(edges) == len(some) else None)

        wanted = ("singular_value", "alignment", "outlier_count")
        found = self._of_alphas(wanted, n, lambda some: conditional_spectra(model, n, some, degrees))
        edges = self._of_alphas(("detection_edge", "outlier_count"), n, edges_of)
        for i, (spectrum, edge) in enumerate(zip(found, edges, strict=True)):
            self._spectrum((i, j), {"alpha": alphas[i], "n": n}, spectrum, degrees)
            if edge is not None:
                counts = [] if spectrum is None else [np.sum(spectrum.outliers > edge)]
                self._store(["detection_edge", "outlier_count"], (i, j), [edge, *counts])

    def _of_alphas(self, names: Sequence[str], n: int, compute: Callable[[list[float]], Iterable[T]]) -> list[T | None]:
        alphas, wanted = self.study.axes.alpha, [name for name in names if name in self.arrays]
        if not wanted:
            return [None] * len(alphas)
        places = [place_text({"alpha": alpha, "n": n, **self.labels}) for alpha in alphas]
        return self.missing.attempt_all(wanted, places, alphas, compute)

    def _spectrum(
        self, place: tuple[int, int], spot: dict[str, float], found: ConditionalSpectrum | None, degrees: int
    ) -> None:
        model, n, alpha = self.model, int(spot["n"]), spot["alpha"]
        if found is None:
            self._find(["bulk_edge"], place, spot, lambda: [math.sqrt(conditional_edge(model, n, alpha, degrees).x)])
            return
        self._store(["singular_value", "bulk_edge"], place, [self._ranked(found.outliers), math.sqrt(found.edge.x)])
        self._find(["alignment"], place, spot, lambda: [spike_alignments(model, found, self.study.measure.degree)])

    def _ranked(self, outliers: np.ndarray) -> np.ndarray:
        """Outliers as a row of `singular_value`: the first of them, then NaN."""
        row = np.full(self.study.measure.rank, np.nan)
        row[: len(outliers)] = outliers[: len(row)]
        return row

    def _losses(self, of: str, index: _Index, spot: Mapping[str, float | str], compute: Losses) -> None:
        """Both losses at all penalties at once, or one by one where that fails."""
        names = [f"{loss}{of}" for loss in _LOSSES]
        if not set(names) & self.arrays.keys():
            return
        try:
            with np.errstate(all="ignore"):
                self._store(names, index, compute(self.study.axes.lam))
        except Exception:  # the reason is that of each penalty
            for i, lam in enumerate(self.study.axes.lam):
                self._find(names, (*index, slice(i, i + 1)), {**spot, "lam": lam}, partial(compute, (lam,)))

    def _attempt(self, names: Iterable[str], spot: Mapping[str, float | str], compute: Callable[[], T]) -> T | None:
        wanted = [name for name in names if name in self.arrays]
        return self.missing.attempt(wanted, place_text({**spot, **self.labels}), compute) if wanted else None

    def _find(
        self,
        names: Sequence[str],
        index: _Index,
        spot: Mapping[str, float | str],
        compute: Callable[[], Values],
    ) -> Values | None:
        """What is computed, stored under the first of the names; None where it fails, for all of them."""
        found = self._attempt(names, spot, compute)
        self._store(names, index, () if found is None else found)
        return found

    def _store(self, names: Iterable[str], index: _Index, values: Iterable[Any]) -> None:
        for name, value in zip(names, values, strict=False):
            if name in self.arrays:
                self.arrays[name][index] = value
