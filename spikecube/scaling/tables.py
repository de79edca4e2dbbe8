"""Tables of measurements, as people keep them, as labelled data."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from spikecube.errors import reason_of
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import SEED
from spikecube.scaling.two_sizes import POINT

_NOTHING = ["", "-", "nan", "NaN", "NAN", "NA", "na", "null"]
_NUMBER = re.compile(r"([+-]?\d*)(?:[.,](\d*))?(?:[eEdD]([+-]?\d+))?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_SHOWN = 8  # columns that a sentence names


def read_table(
    path: str | Path,
    size: str | tuple[str, str],
    value: str,
    *,
    control: str | None = None,
    stderr: str | None = None,
) -> xr.Dataset:
    """Labelled data from a table in a text file (commas, semicolons, tabs or blanks) or Parquet.

    The variables keep the names of their columns, and the columns of size and control become dims. Places of the grid
    that the table does not hold are NaN. Rows with the same size and control are replicates, along `seed`.

    Parameters
    ----------
    path : a file whose first line names the columns; a "#" before it, and lines that begin with one, are allowed. So
        are decimal commas where the columns are not separated by commas, and exponents with a D. Parquet needs pyarrow.
    size : column of the sizes; for two sizes a pair, whose rows stay points along `point`.
    value : column of what was measured.
    control : column of a control parameter, say a temperature.
    stderr : column of the standard errors.

    Returns
    -------
    xr.Dataset
        Variables `value` and `stderr`, dims size, control and seed as there are.

    Raises
    ------
    ValueError
        If the file cannot be read, a column is missing or holds something that is no number, or rows with the same size
        and control have standard errors: the sentence names the line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.csv"
    >>> _ = path.write_text("L,m,dm\\n8,0.5,0.1\\n16,0.4,0.1\\n")
    >>> table = read_table(path, size="L", value="m", stderr="dm")
    >>> table.m.dims, table.m.values.tolist()
    (('L',), [0.5, 0.4])
    """
    sizes = (size,) if isinstance(size, str) else tuple(size)
    labels, measured = _given(*sizes, control), _given(value, stderr)
    _check_names([*labels, *measured], sizes, control)
    frame = _columns(_frame(Path(path)), [*labels, *measured], str(path))
    for name in labels:
        missing = frame.index[frame[name].isna()]
        if len(missing):
            raise FitError(f"{path}: the column {name!r} is empty in line {missing[0]}")
    kept = frame[frame[value].notna()]
    if not len(kept):
        raise FitError(f"{path}: the column {value!r} holds no number")
    if len(sizes) == 2:
        coords = {name: (POINT, kept[name].to_numpy()) for name in sizes}
        return xr.Dataset({name: (POINT, kept[name].to_numpy()) for name in measured}, coords=coords)
    return _grid(kept, labels, measured, stderr, str(path))


def read_data(path: str | Path, size: str | tuple[str, str], value: str, **columns: str | None) -> xr.Dataset:
    """The same from a table, or from the variables of a netCDF file, which keep their dims; `columns` as there.

    Raises
    ------
    ValueError
        If the file, a variable or a dim is not there.
    """
    if Path(path).suffix not in (".nc", ".nc4", ".h5"):
        return read_table(path, size, value, **columns)
    if not Path(path).is_file():
        raise FitError(f"there is no file {path}")
    try:
        data = xr.load_dataset(path)
    except (ValueError, OSError) as error:
        raise FitError(f"{path} cannot be read as netCDF: {reason_of(error)}") from None
    measured = _given(value, columns.get("stderr"))
    for name in measured:
        if name not in data.data_vars:
            raise FitError(f"{path} has no variable {name!r}; it has {_few(list(data.data_vars))}")
    for name in _given(*([size] if isinstance(size, str) else size), columns.get("control")):
        if name not in data[value].coords:
            raise FitError(f"{path}: {value!r} has no coordinate {name!r}; it has {_few(list(data[value].coords))}")
    return data[measured]


def _given(*names: str | None) -> list[str]:
    return [name for name in names if name is not None]


def _few(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _check_names(names: Sequence[str], sizes: Sequence[str], control: str | None) -> None:
    if len(sizes) not in (1, 2) or not all(isinstance(name, str) for name in names):
        raise FitError(f"size={tuple(sizes)!r} must be the name of a column, or a pair of names")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FitError(
            f"the column {twice[0]!r} is asked for twice: size, control, value and stderr are different columns"
        )
    if len(sizes) == 2 and control is not None:
        raise FitError(f"control={control!r} beside two sizes: a law of two sizes has no control")
    if SEED in names:
        raise FitError(f"a column {SEED!r} is not needed: rows with the same labels are replicates")


def _frame(path: Path) -> pd.DataFrame:
    """The table as text, indexed by the number of its line (of its row in Parquet)."""
    if not path.is_file():
        raise FitError(f"there is no file {path}")
    if path.suffix in (".parquet", ".pq"):
        try:
            frame = pd.read_parquet(path)
        except ImportError:
            raise FitError(f"{path}: Parquet needs pyarrow, which is not installed: pip install pyarrow") from None
        except (ValueError, OSError) as error:
            raise FitError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from None
        return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FitError(f"{path} is not a text file (CSV, tabs, blanks) nor named *.parquet") from None
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not filled:
        raise FitError(f"{path} is empty: its first line must name the columns")
    head = filled[0][1].lstrip("# ")
    rows = [(number, line) for number, line in filled[1:] if not line.lstrip().startswith("#")]
    separator = next((mark for mark in ("\t", ";", ",") if mark in head), None)
    cells = [(number, _split(line, separator)) for number, line in rows]
    columns = _split(head, separator)
    for number, row in cells:
        if len(row) != len(columns):
            raise FitError(f"{path}: line {number} has {len(row)} cells, the first line names {len(columns)} columns")
    plain = [[_plain_number(cell, separator != ",") for cell in row] for _, row in cells]
    return pd.DataFrame(plain, columns=columns, index=[n for n, _ in cells], dtype=object)


def _split(line: str, separator: str | None) -> list[str]:
    cells = line.split() if separator is None else next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _plain_number(cell: str, comma: bool) -> str:
    """A number with a decimal comma (if allowed), or an exponent as Fortran writes it, as Python reads it.

    All else stays, as does a comma that may part thousands.

    >>> _plain_number("0,5", True), _plain_number("1.0D-3", False), _plain_number("1,024", True)
    ('0.5', '1.0e-3', '1,024')
    """
    found = _NUMBER.fullmatch(cell)
    if not found or ("," in cell and (not comma or _THOUSANDS.fullmatch(cell))):
        return cell
    whole, part, exponent = found.groups()
    return f"{whole}{'' if part is None else '.' + part}{f'e{exponent}' if exponent else ''}"


def _columns(frame: pd.DataFrame, names: Sequence[str], path: str) -> pd.DataFrame:
    """The columns asked for, as numbers."""
    for name in names:
        count = int((frame.columns == name).sum())
        if count != 1:
            found = "two columns" if count else "no column"
            raise FitError(f"{path} has {found} {name!r}; it has {_few(list(frame.columns))}")
    chosen = frame[list(names)]
    numbers = chosen.apply(lambda column: pd.to_numeric(column, errors="coerce"))
    for name in names:
        text = chosen[name].map(lambda cell: isinstance(cell, str) and cell in _NOTHING) | chosen[name].isna()
        wrong = frame.index[numbers[name].isna() & ~text]
        if len(wrong):
            raise FitError(f"{path}: {chosen[name][wrong[0]]!r} in line {wrong[0]}, column {name!r}, is no number")
    return numbers.astype(float)


def _grid(frame: pd.DataFrame, labels: list[str], measured: list[str], stderr: str | None, path: str) -> xr.Dataset:
    """The rows on the grid of their labels, those with the same labels along seed."""
    copies = frame.groupby(labels).cumcount().to_numpy()
    if copies.any() and stderr is not None:
        twice = frame.index[copies > 0][0]
        where = ", ".join(f"{name} = {frame[name][twice]:g}" for name in labels)
        raise FitError(
            f"{path}: line {twice} is another row with {where}; such rows are replicates, whose scatter gives the "
            f"errors: leave out the column {stderr!r}, or keep one row"
        )
    if copies.any():
        frame, labels = frame.assign(**{SEED: copies}), [*labels, SEED]
    grid: xr.Dataset = frame.set_index(labels)[measured].sort_index().to_xarray()
    return grid
