"""What a cube knows of itself: its study, the degrees that carry spikes, and what theory predicts along its axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.model.activations import resolve_activation
from spikecube.model.spikes import nonzero_degrees
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import at_labels
from spikecube.study.study import Study
from spikecube.theory.exponents import EXPONENTS

_NEAR = 0.02  # an exponent closer to zero than this belongs to a transition, where nothing converges at any size


@dataclass(frozen=True)
class CubeTheory:
    """The study of a cube and what follows from its model.

    Attributes
    ----------
    degrees : degrees k with c_k != 0 up to the largest one measured; the j-th of them is the j-th spike.
    """

    study: Study
    degrees: tuple[int, ...]

    def rank(self, degree: int) -> int:
        """Which spike (1 is the largest) belongs to a degree."""
        return self.degrees.index(degree) + 1

    def exponent(self, name: str, alpha: float, k: int) -> float:
        """A row of the theory's table of exponents; NaN where its condition fails or it all but vanishes.

        At a transition exponents of convergence pass through zero, and nothing converges at any size.
        """
        row = EXPONENTS[name]
        value = row.value(alpha, k) if row.holds(self.study.model, alpha, k) else np.nan
        return value if name == "outlier" or value < -_NEAR else np.nan


def theory_of(cube: xr.Dataset) -> CubeTheory:
    """Read the study that stands in the cube.

    Raises
    ------
    ValueError
        If there is none, or if the activation or the target is an axis: the degrees then have no common meaning.
    """
    if "study" not in cube.attrs:
        raise FitError("the cube has no attribute 'study'; fit_power_law and collapse take any DataArray instead")
    study = Study.from_toml(cube.attrs["study"])
    for name in ("activation", "target"):
        if name in study.further:
            raise FitError(f"the cube has an axis {name!r}: select one of its values, then fit")
    degree = int(cube["degree"].max()) if cube.sizes.get("degree") else study.measure.degree
    return CubeTheory(study, nonzero_degrees(resolve_activation(study.model.activation).coefficients(degree), degree))


def measured_spikes(cube: xr.Dataset, known: CubeTheory, *, aligned: bool) -> list[int]:
    """The degrees whose singular value the cube holds, and whose alignment if that is needed too.

    Raises
    ------
    FitError
        If there is none.
    """
    ranks = set(cube["rank"].values.tolist())
    labels = set(cube["degree"].values.tolist()) if aligned else set(known.degrees)
    degrees = [k for k in known.degrees if known.rank(k) in ranks and k in labels]
    if not degrees:
        raise FitError(
            f"the cube holds no spike: degrees with c_k != 0 are {', '.join(map(str, known.degrees)) or 'none'}, "
            f"its ranks {', '.join(map(str, sorted(ranks)))}"
            + (f", its degrees {', '.join(map(str, sorted(labels)))}" if aligned else "")
        )
    return degrees


def spikes_kept(cube: xr.Dataset) -> list[int | None]:
    """ell(alpha) for each alpha; None where it is unbounded or not measured."""
    measured = set(cube["ell"].values.tolist()) if "ell" in cube.coords else set()
    return [int(v) if int(v) in measured else None for v in cube["ell_alpha"].values]


def predicted_for(
    known: CubeTheory, cube: xr.Dataset, prediction: xr.Dataset | bool, names: list[str]
) -> tuple[xr.Dataset | None, str]:
    """The prediction that was given, or that of the study (True), or none (False, or declined); and a note which.

    It is taken at the labels of the cube, in their order.

    Raises
    ------
    ValueError
        If one that was given lacks a label of the cube.
    """
    if isinstance(prediction, xr.Dataset):
        return at_labels(prediction, cube, _axes(known), "the prediction"), "given"
    if not isinstance(prediction, bool):
        raise FitError(f"prediction={prediction!r} is not True, False or an open prediction (open_cube opens a file)")
    if not prediction:
        return None, "not wanted"
    from spikecube.cube.predict import PredictionError, predict

    try:
        made = predict(known.study, only=names)
    except PredictionError as reason:
        return None, f"none: {reason}"
    lost = made.attrs.get("declined")
    note = "made from the study of the cube" + (f"; in part: {lost}" if lost else "")
    return at_labels(made, cube, _axes(known), "the study's prediction"), note


def _axes(known: CubeTheory) -> list[str]:
    return ["alpha", "n", "lam", *map(str, known.study.further)]
