"""The views by name, as report and app offer them: the axes that each is chosen along, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from spikecube.explore import plotdata, predicted, views
from spikecube.explore.marks import Brush
from spikecube.explore.picture import Picture, note
from spikecube.explore.plotdata import Missing
from spikecube.explore.views import picture_of


@dataclass(frozen=True)
class Scene:
    """What the views draw: a cube, and the prediction and fits that are there."""

    cube: xr.Dataset
    prediction: xr.Dataset | None = None
    fits: Mapping[str, xr.Dataset] = field(default_factory=dict)
    _scores: dict[str, xr.Dataset] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.prediction is not None:
            object.__setattr__(self, "prediction", plotdata.aligned(self.prediction, self.cube))

    def scores(self, variable: str) -> xr.Dataset:
        """The z-scores of a variable, computed once.

        Raises
        ------
        Missing
            If there is no prediction, or no error to hold it against.
        """
        if self.prediction is None:
            raise Missing("The agreement map needs a prediction.")
        if variable not in self._scores:
            self._scores[variable] = plotdata.z_scores(self.cube, self.prediction, variable)
        return self._scores[variable]


Draw = Callable[..., Picture]


@dataclass(frozen=True)
class Entry:
    """A view: its title, the axes with a slider, whether alpha lies on its x axis, and how it is drawn.

    `draw(scene, brush, **labels)` takes labels for the axes and for the further axes of the cube.
    """

    title: str
    axes: tuple[str, ...]
    draw: Draw
    alpha_axis: bool = False


def _spectrum(scene: Scene, brush: Brush, **at: Any) -> Picture:
    density = None if scene.prediction is None else predicted.bulk(scene.cube, **at)
    return picture_of(views.spectrum)(scene.cube, scene.prediction, density, **at)


def _outliers(scene: Scene, brush: Brush, **at: Any) -> Picture:
    theory = scene.prediction
    detachment = None
    if theory is not None and "singular_value" in theory:
        detachment = predicted.detachment(scene.cube, theory, **at)
    return picture_of(views.outlier_count)(scene.cube, detachment, brush=brush, **at)


def _singular(scene: Scene, brush: Brush, **at: Any) -> Picture:
    return picture_of(views.singular_values)(scene.cube, scene.prediction, brush=brush, **at)


def _losses(kind: views.Kind) -> Draw:
    return lambda scene, brush, **at: picture_of(views.loss)(scene.cube, scene.prediction, kind=kind, brush=brush, **at)


def _penalty(kind: views.Kind) -> Draw:
    return lambda scene, brush, **at: picture_of(views.loss_against_penalty)(
        scene.cube, scene.prediction, kind=kind, **at
    )


def _alignment(scene: Scene, brush: Brush, **at: Any) -> Picture:
    return picture_of(views.alignments)(scene.cube, brush=brush, **at)


def _agreement(variable: str) -> Draw:
    def draw(scene: Scene, brush: Brush, **at: Any) -> Picture:
        try:
            scores = scene.scores(variable)
        except Missing as missing:
            return note(str(missing))
        return picture_of(views.agreement)(scene.cube, None, scores, variable=variable, **at)

    return draw


def _gap(gap: views.Gap, kind: views.Kind) -> Draw:
    def draw(scene: Scene, brush: Brush, **at: Any) -> Picture:
        return picture_of(views.gaps)(scene.cube, scene.prediction, scene.fits.get("gaps"), gap=gap, kind=kind, **at)

    return draw


def _limits(kind: views.Kind) -> Draw:
    def draw(scene: Scene, brush: Brush, **at: Any) -> Picture:
        return picture_of(views.limits)(scene.cube, scene.prediction, scene.fits.get("limits"), kind=kind, **at)

    return draw


def _exponents(scene: Scene, brush: Brush, **at: Any) -> Picture:
    if "outliers" not in scene.fits:
        return note("Nothing is fitted yet.")
    return picture_of(views.exponents)(scene.fits["outliers"], brush=brush)


def _collapse(k: int) -> Draw:
    return lambda scene, brush, **at: picture_of(views.collapse)(scene.cube, k=k, brush=brush, **at)


CATALOGUE: dict[str, Entry] = {
    "spectrum": Entry("Spectrum of one cell", ("alpha", "n"), _spectrum),
    "outliers": Entry("Number of outliers", (), _outliers, alpha_axis=True),
    "singular": Entry("Singular values against α", ("n",), _singular, alpha_axis=True),
    "alignment": Entry("Alignments", ("n",), _alignment, alpha_axis=True),
    "test": Entry("Test loss against α", ("lam",), _losses("test"), alpha_axis=True),
    "train": Entry("Training loss against α", ("lam",), _losses("train"), alpha_axis=True),
    "penalty_test": Entry("Test loss against λ", ("alpha", "n"), _penalty("test")),
    "penalty_train": Entry("Training loss against λ", ("alpha", "n"), _penalty("train")),
    "limit_test": Entry("Test loss against n", ("alpha", "lam"), _limits("test")),
    "gap_limit": Entry("Gap to the limit, test loss", ("alpha", "lam"), _gap("limit", "test")),
    "gap_spiked": Entry("Gap to F_ℓ, training loss", ("alpha", "lam"), _gap("spiked", "train")),
    "gap_strength": Entry("Gap of F_ℓ to the limit, training loss", ("alpha", "lam"), _gap("strength", "train")),
    "exponents": Entry("Fitted exponents of the outliers", (), _exponents, alpha_axis=True),
    "collapse1": Entry("Collapse of the spike of degree 1", (), _collapse(1)),
    "collapse2": Entry("Collapse of the spike of degree 2", (), _collapse(2)),
    "agree_test": Entry("Agreement, test loss", ("lam",), _agreement("test_loss")),
    "agree_train": Entry("Agreement, training loss", ("lam",), _agreement("train_loss")),
    "agree_singular": Entry("Agreement, first outlier", (), _agreement("singular_value")),
}
