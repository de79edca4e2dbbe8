"""What is said of a run that goes on for days."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest

from spikecube.runs import progress


def test_a_long_run_says_ever_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell a second for a day: a line each ten seconds would be 8640 of them."""
    now = 0.0
    # Not `time.monotonic` itself: the event loops of other tests' clients live on, and would set timers by this clock.
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
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


@pytest.mark.parametrize(("job", "dated"), [("17", True), (None, False)])
def test_lines_of_a_slurm_job_carry_the_time_of_day(
    monkeypatch: pytest.MonkeyPatch, job: str | None, dated: bool
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    with progress.for_terminal() as lines:
        lines.start(2, 2.0, "x.run: 2 cells to compute")
        lines.advance(1.0, failed=False)
        lines.advance(1.0, failed=False)
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  " if dated else ""
    expected = ("x.run: 2 cells to compute", r"2 of 2 cells \(100 % of the work\), about 0 s left")
    assert re.fullmatch("".join(f"{stamp}{line}\n" for line in expected), out.getvalue())


def test_the_bar_of_a_terminal_counts_cells_and_weighs_costs(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Bar() as bar:
        bar.start(3, 6.0, "3 cells to compute")
        bar.advance(1.0, failed=False)
        (shown,) = bar.bar.tasks
        assert (shown.fields["cells"], round(shown.percentage)) == ("1/3", 17)
        bar.advance(2.0, failed=True)
        (shown,) = bar.bar.tasks
        assert (shown.fields["cells"], shown.percentage) == ("2/3, 1 failed", 50)
    assert "3 cells to compute" in capsys.readouterr().err
