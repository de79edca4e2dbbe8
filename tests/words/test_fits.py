"""Reports, the command `spikecube fit`, and how many seeds a claim needs."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.cube.store import write_cube
from spikecube.scaling import fit_outliers, fit_power_law
from spikecube.scaling.errors import FitError
from spikecube.scaling.power import exponent_stderr, seeds_for_half_width, seeds_for_power
from spikecube.scaling.thresholds import fit_thresholds
from spikecube.words import fits
from spikecube.words.fit_rows import FitReport, Row
from spikecube.words.fits import LAWS, USES, fit_report
from spikecube.words.seeds import shortage, worth

SIZES = np.array([500.0, 1000.0, 2000.0, 4000.0])


@pytest.fixture(scope="module")
def reported(cube: xr.Dataset, prediction: xr.Dataset) -> Callable[[str], FitReport]:
    """What is said of the fit of each law, made once."""
    return functools.cache(
        lambda law: fit_report(cube, law, prediction=prediction if "prediction" in USES[law] else True)
    )


@pytest.mark.parametrize("law", LAWS)
def test_every_law_has_a_table_and_a_sentence(reported: Callable[[str], FitReport], law: str) -> None:
    report = reported(law)
    assert report.dataset is not None
    assert "could be fitted" in report.sentence
    tested = any(np.isfinite(row["p_fit"]) for row in report.rows if row["status"] not in ("no_data", "not_applicable"))
    assert ("The lack-of-fit test rejects" in report.sentence) == tested
    assert {"estimate", "low", "high", "theory", "z", "p_fit", "sizes", "status"} <= set(report.header())
    assert len(report.text()) <= len(report.rows)
    json.dumps(report.as_dict(), allow_nan=False)


def test_rows_are_the_numbers_of_the_dataset(reported: Callable[[str], FitReport]) -> None:
    report = reported("outliers")
    row = next(r for r in report.rows if (r["estimator"], r["degree"], r["alpha"]) == ("relative", 1.0, 0.3))
    one = report.dataset.sel(estimator="relative", degree=1, alpha=0.3, param="exponent")
    assert row["estimate"] == one.estimate.item()
    assert row["p_holm"] == one.pvalue_holm.item()
    assert row["worth"] > 20
    assert "Control variates make 20 seeds worth" in report.sentence


@pytest.mark.parametrize(("part", "words"), [({"n": [0, 1]}, "2 sizes and 20 seeds"), ({"seed": [0]}, "1 seed;")])
@pytest.mark.parametrize("law", LAWS)
def test_a_small_cube_gets_a_sentence_and_no_number(cube: xr.Dataset, law: str, part: dict, words: str) -> None:
    report = fit_report(cube.isel(part), law)
    assert report.dataset is None
    assert report.rows == []
    assert words in report.sentence
    assert "80 per cent power" in report.sentence


def test_an_unknown_law_is_declined(cube: xr.Dataset) -> None:
    with pytest.raises(FitError, match="law='some' is not one of outliers, gaps, limits, thresholds, collapse"):
        fit_report(cube, "some")


def test_seeds_that_are_asked_for_are_enough_and_no_more() -> None:
    """Power by simulation: 80 per cent within 3 standard errors at the count given, for a difference of 0.03."""
    spread, difference = 0.1, 0.03
    seeds = seeds_for_power(SIZES, spread, difference)
    rng = np.random.default_rng(1)
    clean = 2 * SIZES**0.25
    values = clean[:, None] * (1 + spread * rng.standard_normal((600, 4, seeds)))
    data = xr.DataArray(values, dims=("copy", "n", "seed"), coords={"n": SIZES})
    fit = fit_power_law(data, expected=0.25 + difference)
    rejected = (fit.pvalue.sel(param="exponent") < 0.05).mean().item()
    assert rejected == pytest.approx(
        0.8, abs=3 * np.sqrt(0.8 * 0.2 / 600) + 0.02
    )  # one seed more or less is 2 per cent
    assert fit.stderr.sel(param="exponent").mean().item() == pytest.approx(
        exponent_stderr(SIZES, spread, seeds), rel=0.05
    )


def test_more_precision_needs_more_seeds() -> None:
    few, many = seeds_for_half_width(SIZES, 0.1, 0.1), seeds_for_half_width(SIZES, 0.1, 0.01)
    assert few == 3
    assert many == pytest.approx((1.96 * 0.1 / 0.01) ** 2 / (5 * np.log(2) ** 2), rel=0.01)


def test_the_command_prints_tables_and_writes_groups(tmp_path: Path, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    write_cube(cube, tmp_path / "cube.nc")
    out = tmp_path / "fits.nc"
    arguments = ["fit", str(tmp_path / "cube.nc"), "--law", "thresholds", "-o", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "Thresholds as n grows" in done.stdout
    fit = xr.load_dataset(out, group="thresholds")
    assert fit.estimate.dims == ("degree", "param")
    assert fit.status.attrs["flag_meanings"].startswith("ok ")
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(done.stdout)[0]["law"] == "thresholds"


def test_the_command_fails_with_a_sentence(tmp_path: Path, cube: xr.Dataset) -> None:
    write_cube(cube.isel(n=[0, 1]), tmp_path / "cube.nc")
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "cube.nc"), "--law", "limits"])
    assert done.exit_code == 1
    assert "a fit needs at least 3 sizes" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "cube.nc"), "--law", "some"])
    assert done.exit_code == 1
    assert "law='some' is not one of" in done.stderr


def test_further_axes_are_more_curves(cube: xr.Dataset) -> None:
    """A cube with an axis of width ratios whose halves are equal gives every fit twice."""
    cube = cube.sel(alpha=[0.1, 0.3], lam=[0.1])
    wide = xr.concat([cube, cube], dim=xr.Variable("width_ratio", [0.5, 1.0]), data_vars="all")
    wide.attrs["study"] = cube.attrs["study"].replace("[axes]", "[axes]\nwidth_ratio = [0.5, 1.0]")
    wide = wide.transpose("alpha", "n", "seed", "lam", "rank", "degree", "ell", "width_ratio")
    for law, param in (("outliers", "exponent"), ("gaps", "exponent"), ("limits", "limit"), ("thresholds", "critical")):
        fit = fit_report(wide, law, prediction=False).dataset
        alone = fit_report(cube, law, prediction=False).dataset
        for ratio in (0.5, 1.0):
            one = fit.estimate.sel(width_ratio=ratio, param=param)
            np.testing.assert_allclose(one.squeeze(), alone.estimate.sel(param=param).squeeze(), rtol=1e-6)
    with pytest.raises(FitError, match="axis 'width_ratio'"):
        fit_report(wide, "collapse")
    chosen = fit_report(wide.isel(width_ratio=0, rank=[0]), "collapse")
    assert {row["degree"] for row in chosen.rows} == {1.0}


@pytest.mark.parametrize("law", ["outliers", "gaps"])
def test_a_chosen_window_is_said_in_the_sentence(cube: xr.Dataset, law: str) -> None:
    small = cube.sel(alpha=[0.1, 0.3], lam=[0.1])
    assert "order 1/n" in fit_report(small, law, prediction=False, n_min="auto").sentence
    assert "order 1/n" not in fit_report(small, law, prediction=False).sentence


def test_what_is_printed_of_a_cube_says_first_what_was_found_and_fits_into_80_columns(cube, tmp_path) -> None:
    write_cube(cube.isel(alpha=[1, 4, 5, 6], lam=[0]), tmp_path / "cube.nc")
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "cube.nc")])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[: len(LAWS)]] == list(LAWS)
    assert lines[0].startswith("outliers    20 of 20 fitted; ")
    assert lines[len(LAWS) :][:2] == ["", "outliers"]
    assert lines[len(LAWS) + 2].startswith("Exponents of n of the outliers")
    for law in LAWS:
        assert lines[lines.index(law) + 1].split()[0] not in ("estimator", "degree", "loss", "gap", "quantity")
    assert sum(line.endswith("  status") for line in lines) == len(LAWS)


def ragged(cube: xr.Dataset, counts: list[int]) -> xr.Dataset:
    """The cube with so many seeds at each size."""
    made = cube.isel(n=slice(len(counts)))
    kept = xr.DataArray(np.arange(20) < np.array(counts)[:, None], dims=("n", "seed"))
    lost = {name: v.where(kept) for name, v in made.data_vars.items() if "seed" in v.dims and v.dtype.kind == "f"}
    return made.assign(lost | {"status": made["status"].where(kept, 4).astype(np.int8)})


def test_sizes_count_that_have_seeds_enough(cube: xr.Dataset) -> None:
    few = shortage(ragged(cube, [20, 20, 2, 1]), "outliers")
    assert "has 4 sizes with 1 to 20 seeds, 2 of them with 3 or more; a fit needs" in few
    assert not shortage(ragged(cube, [20, 12, 3, 1]), "outliers")


def test_plain_means_of_a_ragged_cube_are_plain(cube: xr.Dataset) -> None:
    """What they are worth was held against the largest number of seeds, and praised control variates that were none."""
    made = ragged(cube, [20, 12, 6]).isel(alpha=[5, 6])
    plain = worth(fit_outliers(made, prediction=False, controls=False), made)
    assert plain == " Means are plain: 6 to 20 seeds, by size, give no control variate its place."
    sharp = worth(fit_outliers(made, prediction=False), made)
    assert sharp.startswith(" Control variates make 6 to 20 seeds, by size, worth ")
    assert sharp.endswith("times as many (median over sizes).")


def test_a_reason_is_told_once(cube: xr.Dataset, tmp_path: Path) -> None:
    """With one seed no law has a fit: the sentence that says why stands there once, and every law is named."""
    write_cube(cube.isel(seed=[0]), tmp_path / "one.nc")
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "one.nc")])
    assert done.exit_code == 1
    assert done.stdout.count("this cube has") == 1
    assert done.stdout.count("for the same reason") == len(LAWS) - 1
    assert all(f"\n{law}: no fit" in done.stdout for law in LAWS)


def test_a_wide_table_gives_way_down_to_the_first_words_of_its_labels() -> None:
    """Gaps of two losses at many places, with intervals of many digits, stay within 80 columns."""
    numbers = {"estimate": -0.12345, "low": -1.2345e-4, "high": -1.2345e-5, "p_fit": 0.5, "sizes": 3.0, "theory": 0.25}
    rows = [
        {"gap": gap, "loss": loss, "alpha": 0.3333, "lam": lam, **numbers, "status": "open_interval"}
        for gap in ("missing_spike", "finite_strength")
        for loss in ("train_loss", "test_loss")
        for lam in (0.01, 0.0316228)
    ]
    rows[-1] |= {"alpha": 0.45}
    header, table = FitReport("gaps", None, rows, "").narrow(80)
    assert sum(2 + max(map(len, column)) for column in zip(header, *table, strict=True)) <= 80
    assert {row[0] for row in table} == {"F − F_ℓ", "F_ℓ − limit"}


def test_a_long_table_shows_one_penalty_and_what_contradicts() -> None:
    """Of nine rows: those at the middle penalty, one whose interval misses theory, one rejected; the others counted."""
    agrees = {"estimate": 0.1, "low": 0.0, "high": 0.2, "theory": 0.1, "p_fit": 0.5, "sizes": 4.0, "status": "ok"}
    rows: list[Row] = [{"alpha": a, "lam": lam, **agrees} for a in (0.1, 0.2, 0.3) for lam in (0.01, 0.1, 1.0)]
    rows[0] |= {"theory": 0.3}
    rows[8] |= {"status": "rejected", "p_fit": 1e-5}
    report = FitReport("gaps", None, rows, "")
    shown, others = report.essential()
    assert [(r["alpha"], r["lam"]) for r in shown.rows] == [(0.1, 0.01), (0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (0.3, 1.0)]
    assert others == "Rows at lam = 0.1 and those that contradict theory or law; 4 more with --all."
    assert report.headline() == "9 of 9 fitted; 8 of 9 intervals hold theory; 1 law rejected"
    one = FitReport("gaps", None, rows[1::3], "")
    assert one.essential() == (one, "")
    assert FitReport("gaps", None, [], "").headline() == "no fit"


@pytest.mark.parametrize("law", ["gaps", "limits", "thresholds"])
def test_headline_and_sentence_count_the_same_curves(reported: Callable[[str], FitReport], law: str) -> None:
    """Those that the table shows: a loss without a limit at its alpha is no loss that could not be fitted."""
    report = reported(law)
    first = re.search(r"(\d+) of (\d+) \w+ could be fitted", report.sentence)
    assert first
    assert report.headline().startswith(f"{first[1]} of {first[2]} fitted")
    assert int(first[2]) == len(report.text())


def test_a_spike_that_would_detach_beyond_all_alphas_is_not_said_to_detach(
    cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same fit with its thresholds moved past the largest alpha; as it is, they are said."""
    said = fit_report(cube, "thresholds").sentence
    fit = fit_thresholds(cube)
    assert "spikes detach at alpha = " in said
    monkeypatch.setattr(fits, "fit_thresholds", lambda *_: fit.assign(threshold=fit["threshold"] + 1))
    assert "detach at" not in fit_report(cube, "thresholds").sentence
