"""The hash of the code that decides numbers, in both directions: what must not move it, and what must."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikecube.runs import code
from spikecube.runs.code import canonical

SOURCE = '''"""What it does."""
from spikecube.types import Array

RATE = 2.5e8  # a comment
"""What the rate is."""


def scaled(x: Array, power: float = 0.5, *, kind: str = "relu") -> Array:
    """Scales.

    >>> 1 + 1
    """
    if kind not in ("relu", "tanh"):
        raise ValueError(f"given {kind!r} at {power:.3g}; allowed: relu")
    allowed = "a number > 0"
    return np.einsum("ij,jk->ik", x, x) * RATE**power
'''

SILENT = {
    "a docstring": ("What it does.", "What it did."),
    "a docstring of a constant": ('"""What the rate is."""\n', ""),
    "a docstring of a function": ("Scales.", "Scales it by a power."),
    "an example": (">>> 1 + 1", ">>> 1 + 2"),
    "a comment": ("  # a comment", ""),
    "layout": ("\n\n\n", "\n"),
    "an error sentence": ("; allowed: relu", "; allowed is relu"),
    "a format in an error": ("{power:.3g}", "{power:.4f} or so"),
    "what an error shows": ("given {kind!r}", "given {str(kind)} of {x.shape}"),
    "a sentence in a variable": ("a number > 0", "any number above 0"),
    "an annotation": ("power: float", "power: float | int"),
    "a way to write a number": ("2.5e8", "250000000.0"),
}
LOUD = {
    "a constant": ("2.5e8", "2.6e8"),
    "an operator": ("* RATE", "/ RATE"),
    "a default": ("0.5", "0.6"),
    "a default that is a name": ('kind: str = "relu"', 'kind: str = "tanh"'),
    "an import target": ("spikecube.types import", "spikecube.numbers import"),
    "an imported name": ("import Array", "import Other as Array"),
    "a contraction": ("ij,jk->ik", "ij,kj->ik"),
    "what is refused": ('"tanh"', '"erf"'),
    "the kind of an error": ("ValueError", "TypeError"),
    "whether it is raised": ("raise ValueError", "ValueError"),
    "an order of factors": ("x, x) * RATE**power", "x, x * RATE**power)"),
    "an integer for a float": ("2.5e8", "250000000"),
}


def edited(change: tuple[str, str]) -> str:
    assert change[0] in SOURCE
    return SOURCE.replace(*change)


@pytest.mark.parametrize("change", SILENT.values(), ids=SILENT)
def test_what_is_said_about_code_does_not_count(change: tuple[str, str]) -> None:
    assert canonical(edited(change)) == canonical(SOURCE)


@pytest.mark.parametrize("change", LOUD.values(), ids=LOUD)
def test_what_may_change_a_number_counts(change: tuple[str, str]) -> None:
    assert canonical(edited(change)) != canonical(SOURCE)


EVERYTHING = """
@decorated(x=1)
class A(B, metaclass=M):
    'text'
    name: int = 3

def f(x, /, y=-1.5e-3, *rest, key=None, **z: int) -> 'A':
    global g
    with a as b, c:
        g = [i for i in z if i] or {**z} or (yield) or (lambda v, w=2: v @ w)
    try:
        return f'{x:.{y}g}{x!r}é' or 1j or b'e' or ... or x[1:2, ::3]
    except E as e:
        raise e from None
    finally:
        del g
    match x:
        case {'k': [1, *_]} | A(name=2): pass
"""


def test_every_version_of_python_has_the_same_hash() -> None:
    """A fixed hash: fails in a Python whose trees have other fields, or other forms of constants and f-strings."""
    assert hashlib.sha256(canonical(EVERYTHING).encode()).hexdigest()[:16] == "da20592f7296c9c5"


def test_the_code_of_a_cell_is_the_numerics_and_what_they_import() -> None:
    names = {path.relative_to(code._PACKAGE).as_posix() for path in code.code_files()}
    assert {"cube/cell.py", "model/network.py", "linalg/costs.py", "linalg/factor.py", "numbers.py"} <= names
    places = {name.partition("/")[0] for name in names}
    assert places == {"cube", "model", "linalg", "numbers.py", "types.py"}
    assert {name for name in names if name.startswith("cube")} == {"cube/cell.py"}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, whose hash is taken in place of that of the package."""
    copy = tmp_path / "spikecube"
    for path in code._PACKAGE.rglob("*.py"):
        target = copy / path.relative_to(code._PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(code, "_PACKAGE", copy)
    return copy


def test_a_mended_sentence_lets_a_running_study_go_on(copied: Path) -> None:
    """Docstrings and error sentences of every file of the numerics, and the whole schema, may change."""
    before = code._code_sha256.__wrapped__()
    for path in code.code_files():
        text = re.sub(r"(raise \w+\(f?\")", r"\1Mended: ", path.read_text())
        path.write_bytes(("# mended\n" + text.replace('"""', '"""Mended. ', 1)).replace("\n", "\r\n").encode())
    for name in ("cli/computing.py", "cube/schema.py", "model/checks.py", "study/fields.py", "runs/cost.py"):
        (copied / name).write_text("")
    assert code._code_sha256.__wrapped__() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("linalg/costs.py", "_CALL = 1e-5", "_CALL = 1e-4"),
        ("model/parameters.py", "self.dim_ratio * n", "self.dim_ratio * n + 1"),
        ("cube/cell.py", "max(measure.degree, measure.ell)", "measure.degree"),
        ("types.py", "Array = ", "Array = Other = "),
    ],
)
def test_changed_numerics_are_other_code(copied: Path, name: str, old: str, new: str) -> None:
    before = code._code_sha256.__wrapped__()
    path = copied / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert code._code_sha256.__wrapped__() != before


def test_threads_may_ask_for_the_hash_at_once() -> None:
    """Fails when threads parse at once, in which Python 3.11 may raise SystemError."""
    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from spikecube.runs.code import code_sha256\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(len(set(pool.map(lambda _: code_sha256(), range(8)))))\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout == "1\n"
