"""Every sentence of the report follows its numbers: it differs where they do, and is absent where nothing is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from scripts.madeup import fill, made_prediction
from spikecube.cube.assemble import empty_cube
from spikecube.cube.cuts import as_cube
from spikecube.means import spikes
from spikecube.means.comparisons import compared
from spikecube.means.spikes import study_of
from spikecube.pictures import views
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.pictures.entry import picture_of
from spikecube.pictures.report import SECTIONS
from spikecube.pictures.views import spikes as spike_views
from spikecube.study.study import Study
from spikecube.words.findings import agreement_line, findings, loss_drop
from spikecube.words.seen import seen
from spikecube.words.spikes_found import edge_moves, spikes_seen
from spikecube.words.when import first_size

ALPHAS = [0.0, 0.2, 0.3, 0.4, 0.45]
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "cubic": [0.0, 1.0, 0.0, 0.3]}


def of(activation: str, **axes: object) -> xr.Dataset:
    """A made-up cube of an activation; two singular values leave the bulk whatever it is."""
    known = {"alpha": ALPHAS, "n": [250, 1000], "seed": 4, "lam": [0.1, 1.0], **axes}
    measure = {"rank": 4, "degree": 3, "ell": 3}
    return fill(Study(model={"activation": ACTIVATIONS[activation]}, axes=known, measure=measure))


@pytest.mark.parametrize(("name", "degrees"), [("relu", (1, 2, 4)), ("tanh", (1, 3, 5)), ("cubic", (1, 3))])
def test_degrees_without_a_coefficient_have_no_threshold(name: str, degrees: tuple[int, ...]) -> None:
    cube = of(name)
    assert spikes.degrees(cube) == degrees
    (lines,) = [la for la in picture_of(views.outlier_count)(cube).layers[1:2] if la.kind == "verticals"]
    np.testing.assert_allclose(lines.column(0), [(k - 1) / (2 * k) for k in degrees if k > 1])
    text = spikes_seen(seen(compared(cube, made_prediction(cube))).outliers)
    assert "degree 1" in text
    assert ("degree 2" in text) == (name == "relu")
    assert ("degree 3" in text) == (name != "relu")


def test_the_map_and_the_panel_beside_it_draw_one_theory() -> None:
    """A line of the map is where the predicted singular value passes the edge; the second of tanh has degree 3."""
    cube = of("tanh")
    prediction = made_prediction(cube)
    alphas = spikes.detachment(cube, prediction)
    assert alphas["degree"].values.tolist() == [1, 3, 5]
    curve = prediction["singular_value"].sel(n=1000, rank=2)
    alpha = float(alphas.sel(n=1000, degree=3))
    detached = curve["alpha"].values[(curve > 1.65).values]
    assert curve["alpha"].values[curve["alpha"] < detached[0]][-1] <= alpha <= detached[0]
    none = prediction.assign(singular_value=prediction["singular_value"].where(prediction["rank"] < 2))
    assert np.isnan(spikes.detachment(cube, none).sel(degree=3)).all()


def test_a_spike_of_a_degree_that_is_not_there_does_not_collapse() -> None:
    (text,) = next(iter(views.collapse(of("tanh"), k=2)))["text"]
    assert text.replace("\n", " ") == "The activation has c₂ = 0: there is no spike of degree 2."
    assert "singular value 2, the spike of degree 3" in picture_of(spike_views.collapse)(of("tanh"), k=3).title


def test_outliers_that_point_nowhere_are_named_as_such() -> None:
    cube = of("tanh")
    along = spikes_seen(seen(compared(cube)).outliers)
    assert "the second" in along
    assert "no monomial" not in along
    astray = cube.assign(alignment=cube["alignment"].where(cube["degree"] < 3, 0.001))
    text = spikes_seen(seen(compared(astray)).outliers)
    assert "the second" not in text
    assert "Not seen: degree 3 (in the limit beyond 0.333)" in text
    assert "that point along no monomial (squared cosine with its own below n^(−1/2) = 0.032): outliers" in text
    nothing = spikes_seen(seen(compared(cube.assign(outlier_count=0 * cube["outlier_count"]))).outliers)
    assert "no spike stands clear" in nothing
    assert "no monomial" not in nothing


@pytest.mark.parametrize(("last", "said"), [(1.9, "moves out"), (1.5, "moves in"), (1.651, "")])
def test_which_way_the_edge_moves_is_read_off(last: float, said: str) -> None:
    cube = of("relu")
    edge = cube["detection_edge"].copy()
    edge[-1] = last
    text = edge_moves(seen(compared(cube.assign(detection_edge=edge))).edge)
    assert said in text
    assert bool(text) == bool(said)


def test_the_limit_is_near_or_far_by_its_numbers() -> None:
    cube = of("tanh")
    prediction = made_prediction(cube)
    exact = prediction.assign(test_loss_limit=cube["test_loss"].sel(n=1000).mean("seed"))
    (near,) = [s for s in findings(seen(compared(cube, exact))) if "limit of infinite n" in s]
    assert "up to 0 per cent" in near or "e-1" in near
    double = exact.assign(test_loss_limit=2 * exact["test_loss_limit"])
    (far,) = [s for s in findings(seen(compared(cube, double))) if "limit of infinite n" in s]
    assert "up to 50 per cent" in far
    without = double.assign(singular_value=prediction["singular_value"].where(prediction["rank"] < 2))
    (text,) = [s for s in findings(seen(compared(cube, without))) if "limit of infinite n" in s]
    assert "theory at this n does not have: of degree 3 at α = 0.4, 0.45; of degree 5 at α = 0.45" in text


def test_a_loss_falls_rises_or_stays_by_its_errors() -> None:
    cube = of("relu")
    assert "the test loss falls" in loss_drop(seen(compared(cube)))
    rising = cube.assign(test_loss=(2 - cube["test_loss"]).assign_attrs(cube["test_loss"].attrs))
    assert "the test loss rises" in loss_drop(seen(compared(rising)))
    flat = (
        cube["test_loss"] * 0
        + 1
        + 0.01 * xr.DataArray(np.random.default_rng(1).standard_normal((5, 4)), dims=("alpha", "seed"))
    )
    assert "does not change by more than two" in loss_drop(seen(compared(cube.assign(test_loss=flat))))
    assert "no error to judge by" in loss_drop(seen(compared(of("relu", seed=1))))


def test_what_is_not_known_is_not_said() -> None:
    """An empty cube has nothing to say but that it is not complete; one without counts says nothing of spikes."""
    empty = empty_cube(Study(axes={"alpha": ALPHAS, "n": [100], "seed": 2, "lam": [0.1]}, measure={"rank": 3}))
    assert [s[:25] for s in findings(seen(compared(empty)))] == ["The cube is not complete:"]
    text = " ".join(findings(seen(compared(of("relu").drop_vars(["outlier_count", "singular_value", "alignment"])))))
    assert "spike" not in text
    partial = of("relu")
    partial = partial.where(partial.n < 1000).assign(status=partial["status"], detection_edge=partial["detection_edge"])
    assert "At n = 250, in at least half of 4 seeds" in " ".join(findings(seen(compared(partial))))
    one = " ".join(findings(seen(compared(of("relu", seed=1)))))
    assert "in the one seed," in one
    assert "standard errors" not in one


CUTS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "large n": lambda c: c.sel(n=slice(500, None)),
    "masked": lambda c: c.where(c["status"] == 1),
    "transposed": lambda c: c.transpose(),
    "one size": lambda c: c.isel(n=0),
    "one penalty": lambda c: c.sel(lam=0.1),
    "one alpha": lambda c: c.isel(alpha=3),
    "one seed": lambda c: c.isel(seed=0),
    "no seed": lambda c: c.mean("seed", keep_attrs=True),
    "one rank": lambda c: c.isel(rank=[0]),
    "no penalty": lambda c: c.drop_dims("lam"),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_cube_is_told_of_and_drawn(name: str) -> None:
    """No exception and no warning; what a view lacks it says."""
    whole = of("relu")
    prediction = made_prediction(whole).assign_coords({c: whole[c] for c in ("dim", "width")})
    cube = as_cube(CUTS[name](whole), "study", "alpha", "n")
    assert findings(seen(compared(cube, prediction)))
    scene = Scene(cube, prediction)
    notes = {view: entry.draw(scene, None).note for view, entry in CATALOGUE.items()}
    assert ("limit_test" in {view for view, note in notes.items() if note}) == (name == "no penalty")


def test_fixed_texts_claim_no_result() -> None:
    fixed = " ".join(SECTIONS.values())
    for claim in ("falls", "rises", "slowly", "first one", "leave the bulk", "Left", "noise"):
        assert claim not in fixed


def test_a_share_is_of_the_seeds_that_tell() -> None:
    cube = of("relu")
    half = cube.where(cube["seed"] < 2)
    assert float(spikes.outlier_share(half.sel(n=1000), 1).sel(alpha=0.45)) == 1


def test_a_spike_that_is_not_seen_has_the_size_from_which_theory_has_it() -> None:
    """The cubic spike of tanh, at alpha = 0.45: some thousands, and the answer of `spikecube when`."""
    cube = of("tanh")
    prediction = made_prediction(cube)
    none = prediction.assign(singular_value=prediction["singular_value"].where(prediction["rank"] < 2))
    astray = cube.assign(alignment=cube["alignment"].where(cube["degree"] < 3, 0.001))
    text = spikes_seen(seen(compared(astray, none)).outliers)
    size = float(f"{first_size(study_of(cube).model, 0.45, 2):.2g}")
    assert f"degree 3 (theory at this n: not up to 0.45; there from n of about {size:,.0f}, in the limit" in text


def test_outliers_are_compared_where_they_are() -> None:
    """Where most seeds have none, the edge of the bulk stands at its rank, which says nothing of the theory."""
    cube = of("relu")
    prediction = made_prediction(cube)
    text = agreement_line(seen(compared(cube, prediction)), "singular_value")
    points = int(((cube["outlier_count"] >= cube["rank"]).mean("seed") >= 0.95).sum())
    assert text.startswith("Outliers that stand clear in 95 per cent of the seeds against theory")
    assert f"of {points} points" in text
    none = cube.assign(outlier_count=0 * cube["outlier_count"])
    assert agreement_line(seen(compared(none, prediction)), "singular_value") == ""


def test_a_loss_between_two_steps_wants_two_of_them() -> None:
    """Fails when one step is compared with itself, or when an axis is cut to a label that has values elsewhere."""
    cube = of("relu")
    assert loss_drop(seen(compared(cube))).startswith("From α = 0 to 0.45 the test loss ")
    assert loss_drop(seen(compared(cube.isel(alpha=[-1])))) == ""
    lost = cube.assign(test_loss=cube["test_loss"].where((cube["alpha"] > 0.41) | (cube["lam"] > 0.5)))
    assert loss_drop(seen(compared(lost))) == ""


def test_a_spectrum_stands_at_the_only_label_of_a_further_axis() -> None:
    """Fails when an axis of one label, which has no slider, is not chosen."""
    both = of("relu", width_ratio=[0.5, 1.0])
    edge = both["detection_edge"] * xr.DataArray([1.0, 1.1], {"width_ratio": both["width_ratio"]})  # as runs have it
    both = both.assign(detection_edge=edge.assign_attrs(both["detection_edge"].attrs))
    one = as_cube(both.isel(width_ratio=[1]))
    by_name = picture_of(views.spectrum)(as_cube(both), width_ratio=1.0)
    alone = picture_of(views.spectrum)(one)
    assert [layer.kind for layer in alone.layers] == [layer.kind for layer in by_name.layers]
    for mine, its in zip(alone.layers, by_name.layers, strict=True):
        np.testing.assert_array_equal(mine.column(0), its.column(0))
