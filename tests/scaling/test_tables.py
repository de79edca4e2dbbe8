"""Tables of anybody become labelled data, and mistakes in them sentences that name the line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.tables import read_data

ROWS = [("L", "T", "m", "dm"), ("8", "2.0", "0.9", "0.01"), ("16", "2.5", "0.3", "0.02"), ("8", "2.5", "0.5", "0.01")]


@pytest.mark.parametrize(
    ("name", "separator", "head"),
    [("a.csv", ",", ""), ("a.csv", "; ", ""), ("a.tsv", "\t", ""), ("a.txt", "   ", ""), ("a.dat", " ", "# ")],
)
def test_separators_are_found_and_the_grid_is_ragged(tmp_path: Path, name: str, separator: str, head: str) -> None:
    path = tmp_path / name
    path.write_text("\n" + head + "\n".join(separator.join(row) for row in ROWS) + "\n# the end\n\n")
    table = sc.read_table(path, size="L", control="T", value="m", stderr="dm")
    assert table.m.dims == table.dm.dims == ("L", "T")
    np.testing.assert_array_equal(table.m, [[0.9, 0.5], [np.nan, 0.3]])
    np.testing.assert_array_equal(table.dm, [[0.01, 0.01], [np.nan, 0.02]])
    assert table.L.values.tolist() == [8, 16]


def test_rows_with_the_same_labels_are_replicates(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"L","m ($x, y$)"\n8,1\n16,2\n8,3\n8,5\n16,nan\n')
    table = sc.read_table(path, size="L", value="m ($x, y$)")
    np.testing.assert_array_equal(table["m ($x, y$)"], [[1, 3, 5], [2, np.nan, np.nan]])
    assert table["m ($x, y$)"].dims == ("L", "seed")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "L;m\n8;0,5\n16;0,25\n"),
        ("a.dat", "L m\n8 5.0D-1\n16 2.5d-01\n"),
        ("a.csv", "\ufeffL , m\r\n 16 , .25\r\n8, +0.5\r\n"),
        ("a.csv", "L,m,\n8,0.5,\n16,25e-2,\n"),
        ("a.txt", "# L\tm\n16\t0,25\n#8\t7\n8\t0,5\n"),
    ],
)
def test_tables_as_people_keep_them(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    table = sc.read_table(tmp_path / name, size="L", value="m")
    assert dict(zip(table.L.values, table.m.values, strict=True)) == {8.0: 0.5, 16.0: 0.25}


def test_numbers_that_may_mean_two_things_are_refused(tmp_path: Path) -> None:
    for cell in ("1,024", "0.50(1)", "1,2,3", "d3"):
        (tmp_path / "a.tsv").write_text(f"L\tm\n8\t{cell}\n")
        with pytest.raises(ValueError, match="is no number"):
            sc.read_table(tmp_path / "a.tsv", size="L", value="m")
    (tmp_path / "b.csv").write_text('L,m\n8,"1,024"\n')
    with pytest.raises(ValueError, match="'1,024' in line 2"):
        sc.read_table(tmp_path / "b.csv", size="L", value="m")


def test_parquet_is_read_or_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(ValueError, match="Parquet needs pyarrow, which is not installed: pip install pyarrow"):
        sc.read_table(tmp_path / "a.parquet", size="L", value="m")
    monkeypatch.undo()
    pytest.importorskip("pyarrow")
    pd.DataFrame({"L": [8, 16], "m": [0.5, 0.25]}).to_parquet(tmp_path / "a.parquet")
    assert sc.read_table(tmp_path / "a.parquet", size="L", value="m").m.values.tolist() == [0.5, 0.25]


def test_two_sizes_stay_points(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    n, d = (a.ravel() for a in np.meshgrid([1e7, 1e8, 1e9, 1e10], [1e9, 1e10, 1e11]))
    loss = 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28
    path.write_text("N,D,loss\n" + "\n".join(f"{a:.17g},{b:.17g},{c:.17g}" for a, b, c in zip(n, d, loss, strict=True)))
    table = sc.read_table(path, size=("N", "D"), value="loss")
    fit = sc.fit_law(table.loss, "two_size", dim=("N", "D"))
    np.testing.assert_allclose(fit.estimate, [1.69, 406.4, 0.34, 410.7, 0.28], rtol=1e-7)


@pytest.mark.parametrize(
    ("text", "change", "sentence"),
    [
        ("L,m\n8,1\n", {"value": "M"}, "has no column 'M'; it has L, m"),
        ("L,m,m\n8,1,2\n", {}, "has two columns 'm'; it has L, m, m"),
        ("L,m\n8,one\n", {}, "'one' in line 2, column 'm', is no number"),
        ("L,m\n8,1\n\n9\n", {}, "line 4 has 1 cells, the first line names 2 columns"),
        ("L,m\n,1\n", {}, "the column 'L' is empty in line 2"),
        ("L,m\n8,\n", {}, "the column 'm' holds no number"),
        ("L,m\n", {}, "the column 'm' holds no number"),
        ("", {}, "is empty: its first line must name the columns"),
        ("L,m,e\n8,1,1\n8,2,1\n", {"stderr": "e"}, "line 3 is another row with L = 8; such rows are replicates"),
        ("L,m\n8,1\n", {"size": ("L", "D", "E")}, "must be the name of a column, or a pair of names"),
        ("L,m\n8,1\n", {"value": "L"}, "the column 'L' is asked for twice"),
        ("L,m\n8,1\n", {"size": ("L", "D"), "control": "T"}, "a law of two sizes has no control"),
        ("L,seed,m\n8,1,1\n", {"control": "seed"}, "a column 'seed' is not needed"),
    ],
)
def test_mistakes_name_the_line(tmp_path: Path, text: str, change: dict, sentence: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sc.read_table(path, **({"size": "L", "value": "m"} | change))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        sc.read_table(tmp_path / "none.csv", size="L", value="m")
    (tmp_path / "b.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="is not a text file"):
        sc.read_table(tmp_path / "b.csv", size="L", value="m")
    (tmp_path / "c.nc").write_text("no netCDF")
    with pytest.raises(ValueError, match="cannot be read as netCDF"):
        read_data(tmp_path / "c.nc", size="L", value="m")


def test_a_netcdf_file_keeps_its_dims(tmp_path: Path) -> None:
    data = xr.Dataset({"m": (("L", "T", "seed"), np.ones((2, 3, 4)))}, {"L": [8, 16], "T": [1.0, 2.0, 3.0]})
    data.to_netcdf(tmp_path / "a.nc")
    assert read_data(tmp_path / "a.nc", size="L", value="m", control="T").m.dims == ("L", "T", "seed")
    with pytest.raises(ValueError, match="has no variable 'M'; it has m"):
        read_data(tmp_path / "a.nc", size="L", value="M")
    with pytest.raises(ValueError, match="'m' has no coordinate 'n'; it has L, T"):
        read_data(tmp_path / "a.nc", size="n", value="m")
