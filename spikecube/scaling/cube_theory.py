"""What a fit takes from a cube, prepared once: its study, the degrees that carry spikes, controls and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.predict import PredictionError, predict_typical
from spikecube.means.controls import controls_of
from spikecube.means.seeds import priority
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import check_names, sizes_of, some
from spikecube.scaling.samples import Sample, from_seeds
from spikecube.study.fields import Model
from spikecube.study.study import Study, spike_degrees, study_from
from spikecube.theory.exponents import EXPONENTS

_NEAR = 0.02  # an exponent closer to zero than this belongs to a transition, where nothing converges at any size


@dataclass(frozen=True)
class CubeTheory:
    """The study of a cube and what follows from its model.

    Attributes
    ----------
    model : that of the study, with the activation and the target of the cube where these are axes of the study.
    degrees : degrees k with c_k != 0 up to the largest one measured; the j-th of them is the j-th spike.
    """

    study: Study
    model: Model
    degrees: tuple[int, ...]

    def rank(self, degree: int) -> int:
        """Which spike (1 is the largest) belongs to a degree."""
        return self.degrees.index(degree) + 1

    def exponent(self, name: str, alpha: float, k: int) -> float:
        """A row of the theory's table of exponents; NaN where its condition fails or it all but vanishes.

        At a transition exponents of convergence pass through zero, and nothing converges at any size.
        """
        row = EXPONENTS[name]
        value = row.value(alpha, k) if row.holds(self.model, alpha, k) else np.nan
        return value if name == "outlier" or value < -_NEAR else np.nan


def theory_of(cube: xr.Dataset) -> CubeTheory:
    """Read the study that stands in the cube.

    Raises
    ------
    ValueError
        If there is none, or if the cube has several activations or targets: degrees then have no common meaning.
    """
    if "study" not in cube.attrs:
        raise FitError("the cube has no attribute 'study'; fit_power_law and collapse take any DataArray instead")
    study = study_from(cube.attrs["study"])
    chosen = [name for name in ("activation", "target") if name in study.further]
    for name in chosen:
        if name not in cube.coords or cube[name].size > 1 or cube[name].item() not in study.labels(name):
            raise FitError(f"the cube has an axis {name!r}: select one of its values and keep its label, then fit")
    model = study.model_at(**{name: cube[name].item() for name in chosen})
    degree = int(cube["degree"].max()) if cube.sizes.get("degree") else study.measure.degree
    return CubeTheory(study, model, spike_degrees(model, degree))


@dataclass(frozen=True)
class CubeData:
    """What a fit takes from a cube.

    Attributes
    ----------
    cube : in the form of the schema.
    theory : its study and what follows from it.
    controls : its control variates; None if they are not wanted or cannot be made.
    predicted : the predicted variables at the labels of the cube, or None; `note` says where they are from, or why not.
    """

    cube: xr.Dataset
    theory: CubeTheory
    controls: xr.DataArray | None
    predicted: xr.Dataset | None
    note: str

    def sample(self, name: str, values: xr.DataArray) -> Sample:
        """Means over seeds of values made of the variable `name`, with the controls that help it most first."""
        controls = self.controls
        if controls is not None:
            controls = controls.sel(control=[c for c in priority(name) if c in controls["control"].values])
        return from_seeds(values, controls=controls)


def cube_data(
    cube: xr.Dataset | str | Path,
    needed: tuple[str, ...],
    *,
    controls: bool = True,
    prediction: xr.Dataset | bool = False,
    predicted: tuple[str, ...] = (),
) -> CubeData:
    """Read and check a cube for a fit.

    Parameters
    ----------
    needed : axes and variables that must be there.
    controls : whether control variates are wanted.
    prediction : one that was given, True for that of the study, or False for none.
    predicted : the variables of it that the fit uses.

    Raises
    ------
    ValueError
        If something needed is missing, the study has no degrees common to all the cube, or a prediction that was given
        lacks a label of the cube.
    """
    cube = as_cube(cube, *needed)
    check_names(cube)
    sizes_of(cube, "n")
    theory = theory_of(cube)
    centred = controls_of(cube, theory.study) if controls else None
    return CubeData(cube, theory, centred, *_predicted_for(theory, cube, prediction, predicted))


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


def _predicted_for(
    known: CubeTheory, cube: xr.Dataset, prediction: xr.Dataset | bool, names: tuple[str, ...]
) -> tuple[xr.Dataset | None, str]:
    """The prediction that was given, or that of the study (True), or none (False, or declined); and a note which.

    It is taken at the labels of the cube, in their order.

    Raises
    ------
    ValueError
        If one that was given lacks a label of the cube.
    """
    if prediction is False:
        return None, "not wanted"
    note, name = "given", "the prediction"
    if prediction is True:
        try:
            prediction = predict_typical(known.study, names)
        except PredictionError as reason:
            return None, f"none: {reason}"
        lost = prediction.attrs.get("declined")
        note = "made from the study of the cube" + (f"; in part: {lost}" if lost else "")
        name = "the study's prediction"
    if not isinstance(prediction, xr.Dataset):
        raise FitError(f"prediction={prediction!r} is not True, False or an open prediction (open_cube opens a file)")
    return at_labels(prediction, cube, ["alpha", "n", "lam", *known.study.further], name), note


def at_labels(value: xr.Dataset, like: xr.Dataset, dims: Sequence[str], name: str) -> xr.Dataset:
    """A larger dataset at the labels of a smaller one, in the order of these.

    Raises
    ------
    ValueError
        If it lacks one of them.

    Examples
    --------
    >>> like = xr.Dataset(coords={"n": [200, 100]})
    >>> at_labels(xr.Dataset({"y": ("n", [1.0, 2.0])}, {"n": [100, 200]}), like, ["n"], "the theory").y.values.tolist()
    [2.0, 1.0]
    """
    for dim in dims:
        if dim in value.indexes and dim in like.indexes:
            places = value.indexes[dim].get_indexer(like.indexes[dim])
            if (places < 0).any():
                missing = like.indexes[dim][places < 0]
                raise FitError(f"{name} has no {dim} = {some(missing)}; it has {some(value.indexes[dim])}")
            value = value.isel({dim: places})
    return value
