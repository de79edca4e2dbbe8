"""Imports go down only, and heavy libraries stay in their one place."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spikecube"
THEORY_MAY_USE = {"hermite", "activations", "targets", "parameters"}
BELOW = {
    "linalg": {"linalg"},
    "model": {"model", "linalg"},
    "theory": {"theory", "model"},
    "study": {"study", "model"},
    "cube": {"cube", "study", "theory", "model", "linalg"},
    "runs": {"runs", "cube", "study", "theory", "model", "linalg"},
    "means": {"means", "cube", "study", "model"},
    "scaling": {"scaling", "means", "cube", "study", "theory", "model"},
    "words": {"words", "scaling", "means", "cube", "study", "theory", "model"},
    "pictures": {"pictures", "words", "means", "cube", "study", "theory", "model"},
}
HEAVY = {
    "xarray": {"lay_out.py", "until.py", "cube", "runs", "means", "scaling", "words", "pictures", "cli"},
    "pandas": {"scaling", "pictures"},
    "dask": {"runs"},
    "distributed": {"runs"},
    "netCDF4": {"cube/store.py"},
    "statsmodels": {"scaling/regression.py"},
    "holoviews": {"pictures"},
    "panel": {"pictures"},
    "bokeh": {"pictures"},
    "matplotlib": {"pictures"},
    "pydantic": {"study"},
    "typer": {"cli"},
    "threadpoolctl": {"runs"},
}


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, at its top or inside a function."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute here"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> Iterator[list[str]]:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "spikecube" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
            yield parts[1:]


@pytest.mark.parametrize("layer", BELOW)
def test_imports_go_down_only(layer: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {'.'.join(parts)}"
        for path in (PACKAGE / layer).rglob("*.py")
        for parts in ours(path)
        if parts[0] not in BELOW[layer]
    ]
    assert not wrong


def test_theory_uses_only_the_scalars_and_tables_of_the_model() -> None:
    wrong = [
        f"{path.name} imports {'.'.join(parts)}"
        for path in (PACKAGE / "theory").rglob("*.py")
        for parts in ours(path)
        if parts[0] == "model" and (len(parts) < 2 or parts[1] not in THEORY_MAY_USE)
    ]
    assert not wrong


@pytest.mark.parametrize("library", HEAVY)
def test_each_library_lives_in_its_place(library: str) -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        used = any(name.split(".")[0] == library for name in imports(path))
        if used and not any(place == home or place.startswith(f"{home}/") for home in HEAVY[library]):
            wrong.append(place)
    assert not wrong


def test_a_wrong_import_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from spikecube.runs import run\n")
    assert ["runs", "run"] in list(ours(bad))


def test_naming_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, spikecube; print(sorted(m for m in sys.modules if m in {sorted(HEAVY)!r}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"


def test_scripts_take_nothing_from_the_tests() -> None:
    for path in (PACKAGE.parent / "scripts").glob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] == "tests"], path.name


def test_there_is_one_model() -> None:
    """No protocol, no stand-in and no other class plays the model; the study's own `Model` is the one of `model`."""
    homes = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if "class Model" in p.read_text()}
    assert homes == {"model/parameters.py"}
    assert not [p.name for p in PACKAGE.rglob("*.py") if "SimpleNamespace" in p.read_text()]


def records() -> list[tuple[str, list[str], str]]:
    """Each class with two or more fields that are arrays: where, their names, its docstring."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                own = [f for f in node.body if isinstance(f, ast.AnnAssign)]
                own = [f for f in own if re.search(r"\b(Array|NDArray)\b", ast.unparse(f.annotation))]
                names = [ast.unparse(f.target) for f in own]
                if len(names) > 1:
                    found.append((f"{path.relative_to(PACKAGE)}: {node.name}", names, ast.get_docstring(node) or ""))
    return found


def shapes_stated(names: list[str], docstring: str) -> bool:
    """Whether each array is named or has a shape of its own, or all have one."""
    shapes = re.findall(r"\([^()]*\)", docstring)
    return bool(shapes) and (all(n in docstring for n in names) or len(shapes) >= len(names) or "each" in docstring)


def test_records_state_the_shapes_of_their_arrays() -> None:
    assert [where for where, names, text in records() if not shapes_stated(names, text)] == []
    assert len(records()) > 20
    assert not shapes_stated(["mean", "stderr"], "The means of some curves, (B, K).")


FACES = ("cli/", "live.py", "pictures/views/")
"""Where a name is that of what it shows: commands, what users call on a run, and views."""


def test_a_name_has_one_meaning() -> None:
    """No class and no function that others may import bears the name of another; modules have telling names."""
    homes: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        if where.startswith(FACES):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(where)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
    assert len(homes) > 500
    vague = {"inside", "outside", "batch", "quantities", "prepared", "solves", "arrays", "context", "curves", "solve"}
    assert not [p.name for p in PACKAGE.rglob("*.py") if p.stem in vague]
