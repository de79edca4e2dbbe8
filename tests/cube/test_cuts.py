"""Cubes that were cut, masked, joined or transposed by ordinary xarray: everything works, or one sentence says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.cube.cuts import as_cube
from spikecube.cube.store import StoreError
from spikecube.means.comparisons import compared
from spikecube.means.seeds import summarize
from spikecube.pictures import tables
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.words.findings import findings
from spikecube.words.fits import fit_report
from spikecube.words.overview import overview
from spikecube.words.seen import seen

Cut = Callable[[xr.Dataset], xr.Dataset]
AXES = ("alpha", "n", "seed", "lam", "rank", "degree", "ell")


def _one(**labels: Any) -> Cut:
    return lambda cube: cube.isel(labels)


def _without(name: str) -> Cut:
    return lambda cube: cube.drop_vars(name)


LOSSLESS: dict[str, Cut] = {
    "masked": lambda cube: cube.where(cube.status == 1),
    "transposed": lambda cube: cube.transpose(*reversed(list(cube.dims))),
    "shuffled": lambda cube: cube.isel(n=[2, 0, 1], alpha=[1, 2, 0], lam=[1, 0], seed=[2, 1, 0]),
    "joined along alpha": lambda cube: xr.concat(
        [cube.isel(alpha=[0]), cube.isel(alpha=[1, 2])], "alpha", data_vars="all", coords="different", compat="equals"
    ),
    "joined along n": lambda cube: xr.concat(
        [cube.isel(n=[0]), cube.isel(n=[1, 2])], "n", data_vars="all", coords="different", compat="equals"
    ),
}
CUTS: dict[str, Cut] = {
    **LOSSLESS,
    **{f"one {name}": _one(**{name: -1}) for name in AXES},
    **{f"the last {name}": _one(**{name: [-1]}) for name in (*AXES, "bin")},
    **{f"no label of {name}": lambda cube, name=name: cube.isel({name: 0}, drop=True) for name in AXES[:4]},
    "empty": lambda cube: cube.sel(n=slice(1000, None)),
    "masked in n": lambda cube: cube.where(cube.n > 20),
    "masked in lam": lambda cube: cube.where(cube.train_loss > 0.4),
    "averaged": lambda cube: cube.mean("seed", keep_attrs=True),
    "bare": lambda cube: cube.drop_attrs(),
    "doubled": lambda cube: cube.isel(n=[0, 1, 1]),
    "stacked": lambda cube: cube.stack(point=("n", "alpha")),
    **{
        f"without {name}": _without(name)
        for name in ("status", "alignment", "detection_edge", "beta_power", "singular_value", "test_loss",
                     "outlier_count", "ell_alpha", "dim", "spectrum", "train_loss_spiked")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_loses_nothing_gives_the_cube_back(tiny_cube: xr.Dataset, name: str) -> None:
    xr.testing.assert_identical(as_cube(LOSSLESS[name](tiny_cube)), tiny_cube)


def test_a_whole_cube_is_returned_as_it_is(tiny_cube: xr.Dataset) -> None:
    assert as_cube(tiny_cube).status.variable is tiny_cube.status.variable


def test_one_label_is_an_axis_again_and_what_was_masked_is_pending(tiny_cube: xr.Dataset) -> None:
    for axis in ("alpha", "n", "seed", "lam"):
        xr.testing.assert_identical(as_cube(tiny_cube.isel({axis: 1})), tiny_cube.isel({axis: [1]}))
    masked = as_cube(tiny_cube.where(tiny_cube.n > 20))
    assert (masked.status.sel(n=20) == 0).all()
    assert (masked.status.sel(n=[24, 30]) == 1).all()
    assert masked.status.dtype == np.int8
    assert masked.beta_power.dims == ("n", "seed")


def test_a_value_that_cannot_differ_along_a_dim_is_refused(tiny_cube: xr.Dataset) -> None:
    spread = tiny_cube.assign(beta_power=tiny_cube.beta_power * (1 + tiny_cube.alpha))
    with pytest.raises(StoreError, match="beta_power of the cube differs along alpha, which it cannot depend on"):
        as_cube(spread)


@pytest.fixture(scope="module")
def looked_at() -> list[xr.Dataset]:
    """Cubes that were looked at: cuts that come to the same cube share one look."""
    return []


def _looked_at(cube: xr.Dataset, prediction: xr.Dataset, before: list[xr.Dataset]) -> None:
    """All that the report says and draws, but for the files of bokeh."""
    whole = as_cube(cube, "study", "alpha", "n", "seed", "lam")
    if any(whole.identical(other) for other in before):
        return
    before.append(whole)
    findings(seen(compared(whole, prediction)))
    tables.mean_table(seen(compared(whole)))
    scene = Scene(whole, prediction)
    for name in ("spectrum", "outliers", "singular", "alignment", "test", "penalty_train", "limit_test", "gap_spiked",
                 "gap_strength", "collapse1", "agree_test", "agree_singular"):  # fmt: skip
        CATALOGUE[name].draw(scene, None)


@pytest.mark.parametrize("name", CUTS)
def test_everything_works_or_says_what_is_missing(
    tiny_cube: xr.Dataset, tiny_prediction: xr.Dataset, looked_at: list[xr.Dataset], name: str
) -> None:
    """Anything but one of our own sentences fails the test, warnings too."""
    cut = CUTS[name](tiny_cube.sel(lam=[0.1, 1.0]))
    users: dict[str, Callable[[], object]] = {
        "info": lambda: overview(cut),
        "summarize": lambda: summarize(cut[[v for v in ("train_loss", "beta_power", "label_power") if v in cut]]),
        "verify": lambda: sc.verify(cut, 1, 0),
        "merge": lambda: sc.merge([cut]),
        "thresholds": lambda: sc.fit_thresholds(cut),
        "collapse": lambda: fit_report(cut, "collapse"),
        "looked at": lambda: _looked_at(cut, tiny_prediction, looked_at),
        "a view": lambda: sc.views.agreement(cut, tiny_prediction),
    }
    for user, use in users.items():
        try:
            use()
        except Exception as error:
            assert type(error).__module__.startswith("spikecube"), f"{user}: {error!r}"  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


FITS = ("masked", "one lam", "one alpha", "one n", "one ell", "one rank", "shuffled", "without beta_power", "empty")


@pytest.mark.parametrize("name", FITS)
def test_fits_of_cuts_work_or_say_what_is_missing(
    tiny_cube: xr.Dataset, tiny_prediction: xr.Dataset, name: str
) -> None:
    cut = CUTS[name](tiny_cube.sel(lam=[1.0], alpha=[0.0, 0.4]) if name != "shuffled" else tiny_cube)
    for fit in (sc.fit_outliers, sc.fit_limits, sc.fit_gaps):
        try:
            fit(cut, prediction=tiny_prediction)
        except Exception as error:
            assert type(error).__module__.startswith("spikecube"), f"{fit.__name__}: {error!r}"  # noqa: PT017


def test_a_fit_does_not_change_by_what_loses_nothing(tiny_cube: xr.Dataset, tiny_prediction: xr.Dataset) -> None:
    small = tiny_cube.sel(lam=[1.0])
    expected = sc.fit_limits(small, prediction=tiny_prediction)
    for cut in (small.where(small.status == 1), small.isel(n=[2, 0, 1], seed=[1, 2, 0]), small.isel(lam=0)):
        np.testing.assert_allclose(sc.fit_limits(cut, prediction=tiny_prediction).estimate, expected.estimate)


@pytest.mark.parametrize("given", [np.zeros(3), 4, None])
def test_what_is_no_cube_is_named(given: object) -> None:
    for use in (sc.fit_thresholds, sc.verify, overview, summarize, lambda cube: sc.merge([cube])):
        with pytest.raises(StoreError, match="allowed: a cube"):
            use(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["nothing", "nothing.nc", "nothing.run"])
def test_a_cube_that_is_not_there_is_named_as_it_would_be(given: str) -> None:
    with pytest.raises(StoreError, match=r"there is no cube nothing\.nc$"):
        sc.merge([given])
