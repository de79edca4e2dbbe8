from __future__ import annotations

from spikecube.runs import provenance


def test_attributes_say_what_made_a_cube() -> None:
    attrs = provenance.provenance_attributes(["b", "a", "b"], [1, 1], 2**80)
    assert attrs["computed_with"] == "a; b"
    assert attrs["blas_threads"] == 1
    assert attrs["entropy"] == str(2**80)
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert "numpy " in attrs["library_versions"]
    assert {"summary", "keywords", "source", "code_sha256"} <= set(attrs)


def test_only_the_date_differs_between_two_calls() -> None:
    first, second = (provenance.provenance_attributes(["a"], [1], 1) for _ in range(2))
    differing = {name for name in first if first[name] != second[name]}
    assert differing <= set(provenance.NOT_COMPARED)
