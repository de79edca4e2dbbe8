"""What a person sees of a run while it goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import html
import os
import sys
import time
from typing import Any, Self, TextIO

from spikecube.notebook import in_notebook


class Progress:
    """Told how many cells (or other units) there are and what they cost, then about each that ends; it is silent."""

    def start(self, cells: int, cost: float, note: str, unit: str = "cells") -> None:
        pass

    def advance(self, cost: float, *, failed: bool) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Lines(Progress):
    """A line at the start, then one each `every` seconds, ever fewer in long runs, with the time left by cost.

    With `dated` each begins with date and time, for logs that are read days later.
    """

    def __init__(self, out: TextIO | None = None, every: float = 10.0, *, dated: bool = False) -> None:
        self.out = out or sys.stderr
        self.every = every
        self.dated = dated

    def start(self, cells: int, cost: float, note: str, unit: str = "cells") -> None:
        self.cells, self.cost, self.unit, self.done, self.done_cost, self.failed = cells, cost, unit, 0, 0.0, 0
        self.begun = self.last = time.monotonic()
        self.say(note)

    def advance(self, cost: float, *, failed: bool) -> None:
        self.done, self.done_cost, self.failed = self.done + 1, self.done_cost + cost, self.failed + failed
        now = time.monotonic()
        if now - self.last >= max(self.every, (now - self.begun) / 50) or self.done == self.cells:
            self.last = now
            self.tell(self._line(now - self.begun))

    def tell(self, line: str) -> None:
        """Shows how far it is."""
        self.say(line)

    def _line(self, elapsed: float) -> str:
        left = elapsed * (self.cost / self.done_cost - 1) if self.done_cost else 0.0
        failed = f", {self.failed} failed" if self.failed else ""
        percent = 100 * self.done_cost / self.cost if self.cost else 100.0
        share = f"{self.done} of {self.cells} {self.unit} ({percent:.0f} % of the work)"
        return f"{share}{failed}, about {duration(left)} left"

    def say(self, sentence: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S  ") if self.dated else ""
        print(f"{stamp}{sentence}", file=self.out, flush=True)


class InNotebook(Lines):
    """A bar under the cell of a notebook, with the last line below it and what was said above it."""

    def __init__(self) -> None:
        super().__init__(every=0.5)
        self.sentences: list[str] = []
        self.line = ""
        self.shown: Any = None

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)
        self._show()

    def tell(self, line: str) -> None:
        self.line = line
        self._show()

    def _show(self) -> None:
        """Puts what there is to say in the place of what was said before."""
        from IPython.display import HTML, DisplayHandle

        part = HTML(self.html())
        if self.shown is None:
            self.shown = DisplayHandle()
            self.shown.display(part)
        else:
            self.shown.update(part)

    def html(self) -> str:
        """The whole display."""
        lines = "".join(f"<div>{html.escape(sentence)}</div>" for sentence in self.sentences)
        if not self.line:
            return lines
        share = self.done_cost / self.cost if self.cost else 1.0
        bar = f'<progress value="{share:.3f}" max="1" style="width: 100%"></progress>'
        return f"{lines}{bar}<div>{html.escape(self.line)}</div>"


class Bar(Progress):
    """A bar on a terminal, weighted by cost."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Columns

        self.console = Console(stderr=True)
        self.bar: Any = Columns(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[cells]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
        )

    def start(self, cells: int, cost: float, note: str, unit: str = "cells") -> None:
        self.say(note)
        self.cells, self.done, self.failed = cells, 0, 0
        self.task = self.bar.add_task(unit, total=cost, cells=f"0/{cells}")
        self.bar.start()

    def advance(self, cost: float, *, failed: bool) -> None:
        self.done, self.failed = self.done + 1, self.failed + failed
        text = f"{self.done}/{self.cells}" + (f", {self.failed} failed" if self.failed else "")
        self.bar.update(self.task, advance=cost, cells=text)

    def say(self, sentence: str) -> None:
        self.console.print(sentence, highlight=False, soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def for_terminal() -> Progress:
    """A bar if standard error is a terminal, else lines; in a job of SLURM they are a log, and dated."""
    return Bar() if sys.stderr.isatty() else Lines(dated="SLURM_JOB_ID" in os.environ)


def for_library() -> Progress:
    """A bar in a notebook; elsewhere a library is silent."""
    return InNotebook() if in_notebook() else Progress()


def duration(seconds: float) -> str:
    """`0.2 s`, `8 s`, `12 min`, `3.4 h`."""
    if seconds < 0.05:
        return "0 s"
    if seconds < 90:
        return f"{seconds:.1g} s" if seconds < 1 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
