"""The first screen: the numbers to quote, when each spike appears, and what lies far from theory, follow the cube."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from scripts.madeup import fill, made_prediction
from spikecube.means.comparisons import compared
from spikecube.means.spikes import clear_only, study_of
from spikecube.pictures.tables import appearance_table
from spikecube.study.study import Study
from spikecube.words.deviations import Deviations, deviations, deviations_text
from spikecube.words.headlines import Headline, exponent, headlines, least_loss, spikes_of_all, thresholds
from spikecube.words.seen import seen
from spikecube.words.spikes_found import NOT_MEASURED, NOT_SEEN, Outliers, alpha_text, size_text
from spikecube.words.when import first_alpha, first_size


def of(activation: str, **model: str) -> xr.Dataset:
    """A made-up cube; two singular values leave the bulk whatever the activation is."""
    axes = {"alpha": [0.0, 0.2, 0.3, 0.4, 0.45], "n": [250, 800], "seed": 4, "lam": [0.1, 1.0]}
    return fill(Study(model={"activation": activation, **model}, axes=axes, measure={"rank": 4, "degree": 3, "ell": 3}))


@pytest.fixture(scope="module")
def tanh() -> xr.Dataset:
    return of("tanh")


def unseen(cube: xr.Dataset) -> xr.Dataset:
    """The cube with its cubic vectors pointing nowhere."""
    return cube.assign(alignment=cube["alignment"].where(cube["degree"] < 3, 0.001))


def outliers(cube: xr.Dataset) -> Outliers:
    """What is seen of its spikes."""
    found = seen(compared(cube)).outliers
    assert found is not None
    return found


def spikes_line(cube: xr.Dataset) -> Headline:
    line = spikes_of_all(outliers(cube), 0.45)
    assert line is not None
    return line


def test_the_cubic_spike_of_tanh_is_not_seen_and_comes_where_theory_has_it(tanh: xr.Dataset) -> None:
    n, found = outliers(unseen(tanh)).n, outliers(unseen(tanh)).spikes
    assert n == 800
    assert found is not None
    assert [s.degree for s in found] == [1, 3, 5]
    assert found[0].is_seen
    assert [s.seen for s in found[1:]] == [NOT_SEEN, NOT_MEASURED]
    model = study_of(tanh).model
    assert found[1].size == first_size(model, 0.45, 2)
    assert found[0].alpha == first_alpha(model, 800, 1)
    assert alpha_text(found[1]) == "not below α = 0.48"
    assert size_text(found[1], 0.45).startswith("from n of about ")
    assert size_text(found[1], 0.3) == "never: below its limit"
    others = outliers(tanh).spikes
    assert others is not None
    assert others[1].seen.startswith("from α = ")
    assert '<td class="text">degree 3 (cubic)</td><td class="text">not seen</td>' in appearance_table(
        seen(compared(unseen(tanh)))
    )


def test_where_theory_declines_nothing_is_expected() -> None:
    cube = of("relu", initial_output="full")
    found = outliers(cube).spikes
    assert found
    assert [(s.alpha, s.size) for s in found] == [(None, None)] * len(found)
    assert {size_text(s, 0.45) for s in found} == {alpha_text(s) for s in found} == {"–"}
    assert spikes_line(cube).holds is None


def test_spikes_are_counted_against_theory_at_that_size(tanh: xr.Dataset) -> None:
    as_expected = spikes_line(unseen(tanh))
    assert (as_expected.value, as_expected.holds) == ("1, expected 1", True)
    more = spikes_line(tanh)
    assert (more.value, more.holds) == ("2, expected 1", False)
    assert "degrees 1, 3; theory at this n: degree 1" in more.beside
    none = spikes_line(tanh.assign(outlier_count=0 * tanh["outlier_count"]))
    assert (none.value, none.holds) == ("0, expected 1", False)


def outlier_fit(low: float, high: float) -> xr.Dataset:
    """The fit of one exponent at three alphas, of which the last has no interval."""
    values = {"estimate": (low + high) / 2, "stderr": (high - low) / 4, "ci_low": low, "ci_high": high}
    data = {name: ("alpha", [v, v, np.nan]) for name, v in values.items()}
    fit = xr.Dataset(data | {"expected": ("alpha", [0.2, 0.3, 0.4])}, coords={"alpha": [0.2, 0.3, 0.4]})
    return fit.expand_dims(degree=[1], param=["exponent"])


def test_an_exponent_is_quoted_with_its_interval_and_claim(tanh: xr.Dataset) -> None:
    line = exponent(outlier_fit(0.28, 0.36), {})
    assert line.name == "Exponent of outlier 1 at α = 0.3"
    assert (line.value, line.holds) == ("0.320(20)", True)
    assert line.beside == "95 %: 0.280 to 0.360; theory 0.3, inside"
    assert exponent(outlier_fit(0.31, 0.36), {}).holds is False
    assert exponent(outlier_fit(np.nan, np.nan), {}) is None


def test_thresholds_agree_or_not_by_their_intervals(tanh: xr.Dataset) -> None:
    data = {"estimate": [0.1, 0.3, np.nan], "ci_low": [0.05, 0.2, np.nan], "ci_high": [0.15, 0.4, np.nan]}
    fit = xr.Dataset({k: (("degree",), v) for k, v in data.items()} | {"expected": ("degree", [0.0, 0.25, 1 / 3])})
    fit = fit.assign_coords(degree=[1, 2, 3]).expand_dims(param=["critical"])
    line = thresholds(fit, {})
    assert (line.value, line.holds) == ("1 of 2 agree", False)
    assert line.beside == "95 %: α₁: 0.05 to 0.15, theory 0; α₂: 0.20 to 0.40, theory 0.25"
    assert "see the fits" in thresholds(fit.assign_attrs(reason="The law is too short."), {}).beside
    assert thresholds(fit.isel(degree=[1]), {}).holds is True
    long = fit.isel(degree=[1]).assign(ci_high=fit["ci_low"] + 0.6)  # longer than all that alpha can be
    assert thresholds(long, {}) is None


def test_the_loss_stands_beside_its_limit(tanh: xr.Dataset) -> None:
    prediction = made_prediction(tanh)
    line = least_loss(seen(compared(tanh, prediction)))
    best = tanh["test_loss"].sel(n=800, alpha=0.45).mean("seed")
    assert float(line.value.split("(")[0]) == pytest.approx(float(best.min()), rel=1e-2)
    limit = float(prediction["test_loss_limit"].sel(alpha=0.45)[int(best.argmin("lam"))])
    assert f"limit of infinite n {limit:.4g}" in line.beside
    assert least_loss(seen(compared(tanh))).beside == "no theory beside it"
    assert line.name.endswith(f", the least of {tanh.sizes['lam']} λ")
    assert "least" not in least_loss(seen(compared(tanh.isel(lam=[0]), prediction))).name


def test_what_a_cube_lacks_is_not_quoted(tanh: xr.Dataset) -> None:
    names = [line.name.split(" at ")[0] for line in headlines(seen(compared(tanh)))]
    assert names == ["Measured up to", "Spikes seen", "Test loss"]
    bare = tanh.drop_vars(["outlier_count", "test_loss"])
    assert [line.name for line in headlines(seen(compared(bare)))] == ["Measured up to"]
    pending = tanh.assign(status=tanh["status"].where(tanh["seed"] < 3, 0))
    assert "only 30 of 40 points are there" in headlines(seen(compared(pending)))[0].beside


def deviating(cube: xr.Dataset, prediction: xr.Dataset) -> Deviations:
    found = deviations(seen(compared(cube, prediction)))
    assert found is not None
    return found


def test_points_far_from_theory_are_all_listed(tanh: xr.Dataset) -> None:
    prediction = made_prediction(tanh)
    data = tanh["train_loss"]
    far = prediction.drop_vars("train_loss_remainder").assign(train_loss=1.5 * prediction["train_loss"])
    z = (data.mean("seed") - far["train_loss"]) * 2 / data.std("seed", ddof=1)
    found = [d for d in deviating(tanh, far).far if d.variable == "train_loss"]
    assert len(found) == int((abs(z) > 3).sum()) > 10
    assert found[0].z == pytest.approx(float(z.values.ravel()[np.abs(z.values).argmax()]))
    assert {d.reason for d in found} == {"not explained"}
    assert "0 of them" in deviations_text(deviating(tanh, far))


def test_a_remainder_explains_what_it_reaches_and_nothing_else(tanh: xr.Dataset) -> None:
    prediction = made_prediction(tanh)
    far = prediction.assign(train_loss=1.5 * prediction["train_loss"])
    for size, word in ((1.0, "within"), (1e-3, "beyond")):
        wide = far.assign(train_loss_remainder=0 * far["train_loss"] + size)
        found = [d for d in deviating(tanh, wide).far if d.variable == "train_loss"]
        assert {d.reason.split(" the remainder")[0] for d in found} == {word}


def test_a_remainder_is_found_along_an_axis_of_names(tanh: xr.Dataset) -> None:
    prediction = made_prediction(tanh)
    wide = prediction.assign(train_loss=1.5 * prediction["train_loss"], train_loss_remainder=prediction["train_loss"])
    both = (xr.concat([d, d], xr.Variable("activation", ["erf", "tanh"])) for d in (tanh[["train_loss"]], wide))
    cube, known = (d.transpose(..., "activation") for d in both)
    far = deviating(cube.assign_attrs(tanh.attrs), known.isel(activation=[1, 0])).far
    assert {d.place.rpartition(" = ")[2] for d in far} == {"erf", "tanh"}
    assert all(d.reason.startswith("within the remainder") for d in far)


def test_exact_agreement_leaves_nothing_beyond(tanh: xr.Dataset) -> None:
    means = {name: tanh[name].mean("seed") for name in ("train_loss", "test_loss")}
    exact = made_prediction(tanh).assign(means | {"singular_value": clear_only(tanh)["singular_value"].mean("seed")})
    found = deviating(tanh, exact)
    assert found.far == ()
    assert found.by_chance == pytest.approx(found.compared * 0.0577, rel=0.01)  # two tails of t with 3 dof beyond 3
    assert deviations(seen(compared(tanh))) is None
