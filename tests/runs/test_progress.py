"""What is said of a run that goes on for days."""

from __future__ import annotations

import io

import pytest

from spikecube.runs import progress


def test_a_long_run_says_ever_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell a second for a day: a line each ten seconds would be 8640 of them."""
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    lines = progress.Lines(out)
    lines.start(86_400, 86_400.0, "begun")
    counts = []
    for second in range(1, 86_401):
        now = float(second)
        lines.advance(1.0, failed=False)
        counts.append(out.getvalue().count("\n") if second in (100, 500, 86_400) else 0)
    assert (counts[99], counts[499]) == (11, 51)
    assert 200 < counts[-1] < 400
