"""Pictures of fits to anybody's data: what they draw is what the fit says, as a view, a page and a figure."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.means.places import LabelError
from spikecube.pictures import figure_file
from spikecube.pictures.figure_file import write_fit_picture
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.any_fit import picture_of_fit
from spikecube.scaling.results import SENTENCES

SIZES = 2.0 ** np.arange(3, 9)
L = xr.DataArray(SIZES, dims="L", coords={"L": SIZES}, name="E")
NOISE = xr.DataArray(np.random.default_rng(1).standard_normal(6), dims="L")


@pytest.fixture(scope="module")
def power() -> xr.Dataset:
    return sc.fit_power_law((3 * L**0.5 * (1 + 0.01 * NOISE)).rename("E"), "L", stderr=0.03 * L**0.5)


def strips(picture: Picture) -> list[Picture]:
    return [] if picture.strip is None else [picture.strip, *strips(picture.strip)]


def columns(picture: Picture, label: str) -> tuple[np.ndarray, np.ndarray]:
    layer = next(layer for layer in picture.layers if layer.label == label)
    return layer.column(0), layer.column(1)


def test_the_picture_is_the_fit(power: xr.Dataset) -> None:
    made = picture_of_fit(power)
    assert (made.logx, made.logy) == (True, True)
    np.testing.assert_allclose(columns(made, "measured")[1], power.data)
    along, law = columns(made, "law")
    c, b = power.estimate.values
    np.testing.assert_allclose(law, np.exp(c) * along**b, rtol=1e-9)
    lower = columns(made, "95 % band")[1]
    np.testing.assert_allclose(
        lower[[0, -1]], (power.fitted * np.exp(-1.96 * power.fitted_stderr / power.fitted))[[0, -1]]
    )
    residual, local, rollout = strips(made)
    np.testing.assert_allclose(residual.layers[-1].column(1), power.residual)
    np.testing.assert_allclose(columns(local, "law")[1], b)
    np.testing.assert_allclose(columns(local, "measured")[1], np.diff(np.log(power.data)) / np.log(2))
    np.testing.assert_allclose(rollout.layers[-1].column(1), power.rollout_z.dropna("L"))
    assert [made.xlabel, residual.xlabel, local.xlabel, rollout.xlabel] == ["", "", "", "L"]


def test_a_law_with_an_offset_has_linear_data_and_residuals_in_per_cent_without_errors() -> None:
    made = picture_of_fit(sc.fit_law((0.1 * NOISE + 2 - 3 * L**-0.5).rename("E"), "offset", "L"))
    assert not made.logy
    assert strips(made)[0].ylabel == "residual, %"
    assert "local exponent" in [s.ylabel for s in strips(made)]
    signed = picture_of_fit(sc.fit_law((NOISE + 2 - 3 * L**0.5).rename("E"), "offset", "L"))
    assert "local exponent" not in [s.ylabel for s in strips(signed)]


def test_one_of_several_curves_and_what_has_none() -> None:
    data = (L**0.5 * (1 + 0.01 * NOISE)).expand_dims(t=[0.1, 0.2, 0.3]).copy()
    data[2] = np.nan
    fit = sc.fit_power_law(data, "L")
    assert "at t = 0.1" in picture_of_fit(fit, t=0.1).title
    assert "at t = 0.2" in picture_of_fit(fit).title
    assert picture_of_fit(fit, t=0.3).note == SENTENCES["no_data"]
    with pytest.raises(LabelError, match="the fit has no s; it has t"):
        picture_of_fit(fit, s=1)


def test_two_sizes_are_drawn_against_their_law() -> None:
    n, d = (xr.DataArray(10.0 ** np.arange(6, 11), dims=k, coords={k: 10.0 ** np.arange(6, 11)}) for k in ("N", "D"))
    fit = sc.fit_law(2 + 400 * n**-0.4 + 300 * d**-0.3, "two_size", ("N", "D"), stderr=0.01)
    made = picture_of_fit(fit)
    x, y = columns(made, "measured")
    np.testing.assert_allclose(x, y)
    assert len(x) == 25
    assert [s.ylabel for s in strips(made)] == ["residual"]


def test_a_collapse_shows_every_size_and_its_master_curve() -> None:
    u = np.linspace(-0.4, 0.6, 15)
    plane = xr.DataArray(np.tanh(u * SIZES[:4, None] ** 0.5), dims=("L", "T"), coords={"L": SIZES[:4], "T": u})
    fit = sc.collapse(plane + 0.01 * np.random.default_rng(2).standard_normal((4, 15)), "L", "T", stderr=0.01)
    made = picture_of_fit(fit)
    assert {"L = 8", "L = 16", "L = 32", "L = 64", "master curve"} <= {layer.label for layer in made.layers}
    assert [s.ylabel for s in strips(made)] == ["residual"]
    assert type(sc.views.collapse(fit)).__name__ == "Layout"
    both = xr.concat([fit, fit.assign(message="Nothing moves.")], dim=xr.Variable("observable", ["m", "chi"]))
    both["scaled_control"] = both["scaled_control"].where(both.observable == "m").transpose("observable", "T", "L")
    assert picture_of_fit(both, observable="m").title.endswith("at observable = m")
    assert picture_of_fit(both, observable="chi").note == "Nothing moves."


def test_the_view_is_a_layout_of_all_parts(power: xr.Dataset) -> None:
    assert len(sc.views.fit(power)) == 4


def test_a_file_that_cannot_be_written_is_a_sentence(
    power: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"written as .html, .png, .svg, .pdf, got .bmp"):
        write_fit_picture(power, tmp_path / "fit.bmp", "")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"Matplotlib, which is not installed: pip install matplotlib, or write .html"):
        write_fit_picture(power, tmp_path / "fit.png", "")


@pytest.mark.parametrize("suffix", figure_file.SUFFIXES)
def test_a_figure_for_a_paper(power: xr.Dataset, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    written = write_fit_picture(power, tmp_path / f"fit{suffix}", "")
    assert written.stat().st_size > 1000
