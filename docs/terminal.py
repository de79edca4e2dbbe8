"""Commands on pages of the documentation: what was typed, and below it what it printed."""

from __future__ import annotations

import shlex
import subprocess
import sys


def shell(command: str, code: int = 0) -> None:
    """Runs a command of this package and prints both; the page fails where it ends with another code."""
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stdout
    print(f"$ {command}\n{done.stdout}")
