from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spikecube.runs import provenance


def test_the_code_of_a_cell_is_the_model_and_the_cell_and_what_they_import() -> None:
    names = {path.relative_to(provenance._PACKAGE).as_posix() for path in provenance.code_files()}
    assert {"cube/cell.py", "model/network.py", "model/activations.py", "cube/schema.py"} <= names
    assert not {name for name in names if name.startswith(("runs", "scaling", "explore", "cli"))}


def test_the_hash_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a change of what decides the numbers goes unseen, or a change elsewhere does not."""
    copy = tmp_path / "spikecube"
    for path in provenance._PACKAGE.rglob("*.py"):
        target = copy / path.relative_to(provenance._PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(provenance, "_PACKAGE", copy)
    before = provenance._code_sha256.__wrapped__()
    (copy / "cli.py").write_text("")
    assert provenance._code_sha256.__wrapped__() == before
    with (copy / "model" / "network.py").open("a") as file:
        file.write("# changed\n")
    assert provenance._code_sha256.__wrapped__() != before


def test_threads_may_ask_for_the_hash_at_once() -> None:
    """Fails when threads parse at once, in which Python 3.11 may raise SystemError."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from spikecube.runs.provenance import code_sha256\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(len(set(pool.map(lambda _: code_sha256(), range(8)))))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout == "1\n"


def test_attributes_say_what_made_a_cube() -> None:
    attrs = provenance.attributes(["b", "a", "b"], [1, 1], 2**80)
    assert attrs["computed_with"] == "a; b"
    assert attrs["blas_threads"] == 1
    assert attrs["entropy"] == str(2**80)
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert "numpy " in attrs["library_versions"]
    assert {"summary", "keywords", "source", "code_sha256"} <= set(attrs)


def test_only_the_date_differs_between_two_calls() -> None:
    first, second = (provenance.attributes(["a"], [1], 1) for _ in range(2))
    differing = {name for name in first if first[name] != second[name]}
    assert differing <= set(provenance.NOT_COMPARED)
