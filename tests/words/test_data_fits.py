"""From a file of anybody's to a verdict, a table, a picture and LaTeX, on the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.pictures.figure_file import write_fit_picture
from spikecube.words.data_fits import DATA_LAWS, fit_file
from spikecube.words.fits import FitReport

SIZES = 2.0 ** np.arange(3, 10)


@pytest.fixture
def energy(tmp_path: Path) -> Path:
    noise = 0.001 * np.random.default_rng(1).standard_normal(7)
    rows = [f"{n:g},{1.5 + 2 * n**-0.8 + e:.6f},0.001" for n, e in zip(SIZES, noise, strict=True)]
    path = tmp_path / "energy.csv"
    path.write_text("\n".join(["L,E,dE", *rows]))
    return path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["fit", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_verdict_comes_first_and_fits_into_80_columns(energy: Path) -> None:
    code, text = run(energy, "--size", "L", "--value", "E", "--stderr", "dE", "--law", "offset")
    assert code == 0
    assert text.startswith("exponent = -0.79")
    assert "y = L + A n^b" in text
    assert max(map(len, text.splitlines())) <= 80
    code, text = run(energy, "--size", "L", "--value", "E", "--stderr", "dE", "--law", "power")
    assert code == 0
    assert "The law is rejected" in " ".join(text.split())


def test_the_numbers_are_those_of_the_fit(energy: Path, tmp_path: Path) -> None:
    columns = ["--size", "L", "--value", "E", "--stderr", "dE", "--law", "offset"]
    target = tmp_path / "fit.nc"
    code, text = run(energy, *columns, "--json", "-o", target)
    (curve,) = json.loads(text)["curves"]
    kept = xr.load_dataset(target, group="offset")
    assert code == 0
    for name in ("offset", "amplitude", "exponent"):
        assert curve["params"][name]["estimate"] == float(kept.estimate.sel(param=name))
    assert abs(curve["params"]["offset"]["estimate"] - 1.5) < 4 * curve["params"]["offset"]["stderr"]


def test_any_netcdf_file_with_a_control_gives_one_fit_for_each(tmp_path: Path) -> None:
    alpha, n = xr.DataArray([0.5, 0.7], dims="x"), xr.DataArray(SIZES, dims="n")
    data = xr.Dataset({"y": n**alpha}, {"n": SIZES, "x": ["half", "more"]})
    data.to_netcdf(tmp_path / "a.nc")
    code, text = run(tmp_path / "a.nc", "--size", "n", "--value", "y")
    assert code == 0
    assert "x = half: exponent = 0.5" in text
    assert "x = more: exponent = 0.7" in text


def test_a_collapse_from_a_table_and_its_page(tmp_path: Path) -> None:
    rng, x = np.random.default_rng(2), np.linspace(-0.5, 0.5, 16)
    rows = [
        f"{n:g} {t:.4f} {n**-0.5 / (1 + np.exp(4 * (t - 0.1) * n**0.5)) + 1e-3 * rng.standard_normal():.6f} 0.001"
        for n in SIZES[:4]
        for t in x
    ]
    path = tmp_path / "curves.txt"
    path.write_text("\n".join(["L T m dm", *rows]))
    page = tmp_path / "collapse.html"
    columns = ["--size", "L", "--control", "T", "--value", "m", "--stderr", "dm"]
    code, text = run(path, *columns, "--law", "collapse", "--plot", page)
    assert code == 0
    assert text.startswith("critical = 0.1")
    written = page.read_text()
    assert "L = 8" in written
    assert "critical = 0.1" in written
    assert "https://" not in written.split("<script")[0]


@pytest.fixture
def growth(tmp_path: Path) -> Path:
    """A width w = L^{1/2} f(t/L^{3/2}) in seconds and metres: critical 0, nu -2/3, zeta -1/3."""
    rng, rows = np.random.default_rng(7), ["L,t,w,dw"]
    for n in (16, 32, 64, 128, 256):
        for t in np.geomspace(4, 3e3, 25):
            w = n**0.5 * (t / n**1.5 / (t / n**1.5 + 1)) ** 0.5
            rows.append(f"{n},{1e-9 * t:.6g},{1e-6 * w * (1 + 0.01 * rng.standard_normal()):.6g},{1e-8 * w:.6g}")
    path = tmp_path / "growth.csv"
    path.write_text("\n".join(rows))
    return path


def test_the_form_of_a_collapse_is_given_by_options(growth: Path) -> None:
    columns = [growth, "--size", "L", "--control", "t", "--value", "w", "--stderr", "dw", "--law", "collapse"]
    code, text = run(*columns, "--fixed", "critical=0", "--json")
    (curve,) = json.loads(text)["curves"]
    assert code == 0
    for name, exact in (("nu", -2 / 3), ("zeta", -1 / 3), ("1/nu", -1.5), ("zeta/nu", 0.5)):
        found = curve["params"][name]
        assert found["ci_low"] < exact < found["ci_high"]
    assert curve["params"]["critical"] == {"estimate": 0, "stderr": None, "ci_low": None, "ci_high": None}
    code, text = run(*columns, "--fixed", "critical=0,nu=-0.6667", "--latex")
    assert r"$\zeta/\nu$ & $0.50" in text
    assert r"$1/\nu$ & $-1.5$ & $-$" in text.replace("-1.4999", "-1.5")
    code, text = run(*columns, "--window", "-1,2", "--correction", "0.5")
    assert "f(u) + n^(-0.5) g(u)" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert "e-1" in rows["critical"]  # seconds: no row of zeros
    assert max(map(len, text.splitlines())) <= 80


def test_a_correction_belongs_to_power_laws_too(energy: Path) -> None:
    code, text = run(energy, "--size", "L", "--value", "E", "--stderr", "dE", "--correction", "1")
    assert code == 0
    assert "correction_amplitude" in text


def test_rows_of_one_size_are_told_to_be_replicates(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("N,D,loss\n" + "\n".join(f"{n},{d},{2 + n**-0.3 + d**-0.3}" for n in (4, 8, 16) for d in (1, 2, 3)))
    code, text = run(path, "--size", "N", "--value", "loss")
    assert code == 0
    assert "Values of one N are replicates, 3 at each place" in text


def test_pages_of_all_laws_draw_points_law_and_residuals(energy: Path, tmp_path: Path) -> None:
    n, d = (a.ravel() for a in np.meshgrid(SIZES, SIZES))
    plane = tmp_path / "plane.csv"
    plane.write_text("N,D,y\n" + "\n".join(f"{a},{b},{1 + 1 / a + 2 * b**-0.5}" for a, b in zip(n, d, strict=True)))
    cases = [(energy, law, {"size": "L", "value": "E", "stderr": "dE"}) for law in ("power", "offset", "log")]
    for path, law, columns in [*cases, (plane, "two-size", {"size": "N,D", "value": "y"})]:
        fit = fit_file(path, law, **columns)
        written = write_fit_picture(fit.dataset, tmp_path / f"{law}.html", fit.verdict()).read_text()
        assert fit.dataset.attrs["law"] in written
        assert ("residual in standard errors" in written) == (law != "two-size")


@pytest.mark.parametrize(
    ("options", "sentence", "code"),
    [
        (["--size", "K", "--value", "E"], "has no column 'K'; it has L, E, dE", 1),
        (["--size", "L", "--value", "E", "--law", "limits"], "law='limits' is not one of power, offset", 1),
        (["--size", "L", "--value", "E", "--law", "collapse"], "a collapse needs a control", 1),
        (["--size", "L", "--value", "E", "--law", "two-size"], "the law two-size needs two, say N,D", 1),
        (
            ["--size", "L", "--value", "E", "--plot", "a.bmp"],
            "pictures are written as .html, .png, .svg, .pdf, got .bmp",
            1,
        ),
        (["--size", "L", "--value", "E", "--window", "3"], "window= is for the law collapse, not for power", 1),
        (["--size", "L", "--value", "E", "--fixed", "nu"], "--fixed: '' is no number", 2),
        (["--size", "L", "--value", "E", "--correction", "x"], 'no number; allowed: an exponent, or "free"', 2),
        (["--correction", "free"], "--correction is for data other than cubes", 2),
        (["--law", "offset"], "is a table: name its columns with --size and --value", 2),
        (["--value", "E"], "--value is for data other than cubes, which need --size and --value", 2),
    ],
)
def test_mistakes_are_one_line(energy: Path, options: list[str], sentence: str, code: int) -> None:
    found, text = run(energy, *options)
    assert found == code
    assert sentence in " ".join(text.replace("│", " ").split())


def test_latex_compiles_in_shape_and_where_there_is_a_tex(energy: Path) -> None:
    fit = fit_file(energy, "offset", size="L", value="E", stderr="dE")
    text = fit.latex()
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert all(row.count("&") == 2 for row in rows)
    assert text.startswith("% exponent = -0.79")
    if shutil.which("pdflatex"):
        with tempfile.TemporaryDirectory() as home:
            Path(home, "a.tex").write_text(rf"\documentclass{{article}}\begin{{document}}{text}\end{{document}}")
            done = subprocess.run(["pdflatex", "-interaction=batchmode", "a.tex"], cwd=home, timeout=60, check=False)
            assert done.returncode == 0


def test_data_that_admit_no_fit_say_so(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("L,E\n8,1\n16,2\n")
    for law in DATA_LAWS[:4]:
        code, text = run(path, "--size", "L", "--value", "E", "--law", law)
        assert code == 1
        assert text.startswith("There are fewer sizes with data")


def test_a_narrow_table_keeps_what_matters() -> None:
    row = {"estimator": "relative", "degree": 2.0, "alpha": 0.123456, "lam": 0.1, "estimate": -0.123456, "low": -0.2}
    row |= {"high": -0.1, "theory": -0.12345, "z": 1.0, "p": 0.1, "p_fit": 0.123456, "sizes": 7.0, "status": "ok"}
    other = row | {"alpha": 0.2, "estimator": "corrected", "status": "open_interval", "high": np.inf, "degree": 1.0}
    report = FitReport("outliers", None, [row, other, row | {"status": "no_data"}], "")
    for width in (60, 70, 80, 100):
        header, rows = report.narrow(width)
        assert {"estimate", "interval", "status"} <= set(header)
        assert "lam" not in header
        assert len(rows) == 2
        assert 2 * len(header) + sum(max(map(len, column)) for column in zip(header, *rows, strict=True)) <= max(
            width, 70
        )
    assert report.narrow(100)[1][1][report.narrow(100)[0].index("interval")] == "[-0.2, inf]"
