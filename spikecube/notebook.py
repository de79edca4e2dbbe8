"""What a notebook shows: whether we are in one, and objects whose `str` is for people."""

from __future__ import annotations

import html
import sys
from typing import Any


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs us."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Shown:
    """Something whose `str` is for people; notebooks and IPython show that."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        look = "font-family: var(--jp-code-font-family, monospace); line-height: 1.35"
        return f'<pre style="{look}">{html.escape(str(self))}</pre>'

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))


class Words(str, Shown):
    """Text that a notebook shows as it stands, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
