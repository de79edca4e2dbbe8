"""The page of claims says what its cubes say, its cubes are those of their studies, and all of it can be made again."""

from __future__ import annotations

import dataclasses
import doctest
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from scripts import paper
from scripts.claims import cubes, equivalence, odd, page, sizes, spikes, thresholds, verdicts
from scripts.claims.catalogue import CLAIMS
from scripts.claims.cubes import CUBES, STUDIES, Place, made
from scripts.claims.verdicts import CONFIRMED, OPEN, REFUTED
from spikecube.cube.store import open_cube
from spikecube.means.controls import control_expectations
from spikecube.means.seeds import seed_means
from spikecube.runs.verify import verify
from spikecube.study.study import Study

ROOT = Path(__file__).parents[1]
PLACE = Place(ROOT / CUBES, ROOT / "paper-work")


@pytest.mark.parametrize("module", [verdicts, sizes, spikes, equivalence, thresholds])
def test_the_rules_do_what_their_examples_say(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("letter", [letter for letter, claim in CLAIMS.items() if not claim.predicts])
def test_the_page_holds_what_the_cubes_say(letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cubes, "run", None)  # a cube of another study is a failure, not a reason to compute
    text = (ROOT / paper.PAGE).read_text(encoding="utf-8")
    rows = page.table({letter: paper.judged(PLACE, letter)}).splitlines()[2:]
    assert len(rows) >= 3
    for row in rows:
        assert row in text


def test_a_cube_that_says_otherwise_is_judged_otherwise() -> None:
    """Sizes the other way round: angles then grow with n."""
    cube = open_cube(ROOT / CUBES / "j_output.nc")
    turned = cube.assign(
        gradient_alignment=cube["gradient_alignment"].copy(data=cube["gradient_alignment"].values[::-1])
    )
    words = [CLAIMS["j"].judge(c, xr.Dataset())[0].verdict.word for c in (cube, turned)]
    assert words == [CONFIRMED, REFUTED]


def test_the_cubes_are_those_of_the_studies_and_of_the_checksums() -> None:
    table = made(ROOT / CUBES)
    assert sorted(table) == sorted(path.name for path in (ROOT / CUBES).glob("*.nc"))
    for name, one in table.items():
        path = ROOT / CUBES / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == one["sha256"]
        cube, study = open_cube(path), Study.from_file(ROOT / STUDIES / f"{path.stem}.toml")
        assert Study.from_toml(str(cube.attrs["study"])) == study
        assert np.isin(cube["status"], (1, 4)).all()
        assert path.stat().st_size < 4e6


@pytest.mark.parametrize("path", sorted((ROOT / CUBES).glob("*.nc")), ids=lambda path: path.stem)
def test_cells_of_a_cube_are_computed_again(path: Path) -> None:
    """The cheapest kind: two draws at the smallest size, at one label of each further axis."""
    cube = open_cube(path)
    first = {name: [0] for name in Study.from_toml(str(cube.attrs["study"])).further}
    found = verify(cube.isel(n=[0], seed=[1, 2], **first), sample=2, rng=0)
    assert len(found.deviations) == 2
    assert max(found.deviations.values()) <= 1e-8, found


def _as_theory(cube: xr.Dataset) -> xr.Dataset:
    """The means over seeds under the names of a prediction, with a remainder of 2 per cent."""
    means = cube.drop_vars("status").mean("seed", keep_attrs=True)
    means = means.assign({k: seed_means(cube, k)["mean"] for k in ("train_loss", "test_loss")})
    more = {f"{k}_remainder": 0.02 * means[k] for k in ("train_loss", "test_loss")}
    more |= {f"{k}_limit": means[k].isel(n=-1, drop=True) for k in ("train_loss", "test_loss")}
    more |= {"bulk_edge": means["detection_edge"], "outlier_count": means["outlier_count"].round()}
    return means.assign(more)


@pytest.mark.parametrize("letter", list(CLAIMS))
def test_every_claim_is_judged_at_tiny_sizes(letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws at the smallest sizes of its cube: as many rows as the page has, each with a verdict and a reason.

    What theory alone says of larger n has tests of its own, and takes seconds.
    """
    monkeypatch.setattr(odd, "first_size", lambda *_: 28_000.0)
    monkeypatch.setattr(odd, "first_alpha", lambda *_: 0.3)
    claim = CLAIMS[letter]
    whole = open_cube(ROOT / CUBES / f"{claim.study}.nc")
    cube = whole.isel(n=slice(0, 3), seed=slice(0, 4))
    rows = claim.judge(cube, _as_theory(cube))
    text = (ROOT / paper.PAGE).read_text(encoding="utf-8")
    assert f"[{letter}{len(rows)}](#claim-{letter})" in text
    assert f"[{letter}{len(rows) + 1}](#claim-{letter})" not in text
    assert all(row.verdict.word in page.WORDS and row.statement and row.why for row in rows)


def test_a_growth_without_a_size_that_is_clear_is_not_resolved() -> None:
    """As the small run has it: all its sizes lie below those at which the third spike stands clear."""
    cube = open_cube(ROOT / CUBES / "m_third.nc").isel(n=[0, 1])
    assert odd._growth(cube, _as_theory(cube)).verdict.word == OPEN


@pytest.mark.parametrize("letter", list(CLAIMS))
def test_the_small_study_of_every_claim_has_its_points_at_small_sizes(letter: str) -> None:
    place = Place(ROOT / CUBES, ROOT / "paper-work")
    whole, small = place.study(CLAIMS[letter]), dataclasses.replace(place, small=True).study(CLAIMS[letter])
    assert small.axes.alpha == whole.axes.alpha
    assert small.further == whole.further
    assert max(small.axes.n) <= 128


def test_the_norm_of_a_spike_is_that_of_draws() -> None:
    """|c_2 (c_1 eta)^2| |(X beta)^2| |a^2|/sqrt n of 200 draws, beta of its mean length: four standard errors."""
    place = Place(ROOT / CUBES, ROOT / "paper-work")
    model, rng, n, alpha = place.study(CLAIMS["d"]).model, np.random.default_rng(5), 400, 0.33
    b = np.sqrt(control_expectations(model, n)["beta_power"])
    squares = [
        ((b * rng.standard_normal(n)) ** 4).sum() * (rng.standard_normal(n) ** 4).sum() / n**2 for _ in range(200)
    ]
    c = np.array(model.activation, dtype=float)
    drawn = np.mean(squares) * (c[2] * (c[1] * model.eta(n, alpha)) ** 2) ** 2 / n
    error = np.std(squares) / 200**0.5 / np.mean(squares)
    assert equivalence.missing_norm(model, n, alpha, 2) ** 2 == pytest.approx(drawn, rel=4 * error)


def test_every_row_leads_to_figure_cube_and_command_and_to_what_was_chosen() -> None:
    text = (ROOT / paper.PAGE).read_text(encoding="utf-8")
    assert list(page.RECORD) == list(CLAIMS)
    folder = (ROOT / paper.PAGE).parent
    for letter, known in page.RECORD.items():
        assert known["seeds"] in text
        section = text[text.index(f"(claim-{letter})=\n") :].split("\n(claim-")[0]
        linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)|\{download\}`[^<]+<([^>]+)>`", section)
        assert [(folder / one / other).is_file() for one, other in linked] == [True] * 3  # figure, study and cube
        assert f"python scripts/paper.py {letter} " in section
        rows = [row for row in text.splitlines() if row.startswith(f"| [{letter}")]
        assert [i for i, row in enumerate(rows, 1) if "** † |" in row] == known.get("rows", [])


def test_losses_far_from_the_theory_are_refuted() -> None:
    """The same draws against their own means, and against a theory that lies a fifth higher."""
    cube = open_cube(ROOT / CUBES / "i_shapes.nc")
    near = _as_theory(cube)
    far = near.assign({k: 1.2 * near[k] for k in ("train_loss", "test_loss")})
    words = [{row.verdict.word for row in CLAIMS["i"].judge(cube, theory)} for theory in (near, far)]
    assert words == [{CONFIRMED}, {REFUTED}]


def test_a_small_run_makes_cubes_rows_and_page_and_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import Client

    arguments = ["j", "--small", "--no-figures", "--folder", str(tmp_path)]
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        found = paper.main(arguments, client=client)
    first = made(tmp_path / CUBES)
    assert list(found) == ["j"]
    assert set(first) == {"j_output.nc"}
    text = (tmp_path / paper.PAGE).read_text(encoding="utf-8")
    assert page.counts_text(found["j"]) in text
    assert "spikecube run data/studies/paper/j_output.toml" in text
    assert paper.main(arguments) == found  # nothing is run: there is no client
    assert made(tmp_path / CUBES) == first
    assert "statements" in capsys.readouterr().out


@pytest.mark.slow
def test_a_small_run_of_all_claims_makes_every_row(tmp_path: Path) -> None:
    """As many rows as the page has, each with a verdict; 2 to 3 minutes of one core."""
    from distributed import Client

    arguments = ["--small", "--no-figures", "--folder", str(tmp_path)]
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        found = paper.main(arguments, client=client)
    text = (ROOT / paper.PAGE).read_text(encoding="utf-8")
    assert {letter: len(rows) for letter, rows in found.items()} == {
        letter: text.count(f"(#claim-{letter}) |") for letter in CLAIMS
    }


def test_what_theory_errs_by_over_the_sizes_widens_an_exponent() -> None:
    """Outliers that are 0.9, 1 and 1.1 of the theory's at n = 100, 300 and 900, where their vectors point along."""
    n = np.array([100, 300, 900])
    shape = {"dims": ("alpha", "rank", "n"), "coords": {"alpha": [0.5], "rank": [1], "n": n}}
    theory = xr.Dataset({"singular_value": xr.DataArray(n**0.5 * np.ones((1, 1, 3)), **shape)})
    seen = (theory["singular_value"] * [0.9, 1.0, 1.1]).expand_dims(seed=2)
    along = xr.DataArray(np.full((1, 1, 3, 2), 0.9), dims=("alpha", "degree", "n", "seed"), coords={"degree": [1]})
    cube = xr.Dataset({"singular_value": seen, "alignment": along.assign_coords(alpha=[0.5], n=n)})
    assert thresholds.bend(cube, theory, 0.5, 1) == pytest.approx(np.log(1.1 / 0.9))
    astray = cube.assign(alignment=cube["alignment"].where(cube["n"] > 100, 0.1))
    assert thresholds.bend(astray, theory, 0.5, 1) == pytest.approx(np.log(1.1))
    assert thresholds.widened(verdicts.Interval(1.0, 0.5, 2.0), 0.25) == (1.0, 0.25, 2.25)
