"""Standard streams that are closed, full, or of few letters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spikecube.cli.common import interrupt_once

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "data" / "studies" / "tiny.toml"
FULL = "spikecube: standard output cannot be written: No space left on device\n"
GUARDED = "import os, sys; from spikecube import stdio; stdio.guard(); "


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the shell, in which PYTHON is this interpreter."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def python(code: str, redirections: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code behind the guard."""
    return shell(f'exec "$PYTHON" -c "$CODE" {redirections}', folder, CODE=GUARDED + code, **environment)


def test_a_run_needs_no_standard_stream(tmp_path: Path) -> None:
    """Fails when a stream that is not there is asked whether it is a terminal, or a file gets its number."""
    done = shell(f'exec "$PYTHON" -m spikecube run {STUDY} -o x --workers 1 <&- >&- 2>&-', tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "x.nc").exists()


def test_processes_that_are_started_have_the_streams_too(tmp_path: Path) -> None:
    """Fails when a null device in the place of a closed stream is not handed on: dask's workers then wait for ever."""
    look = "import os; [os.fstat(number) for number in range(3)]"
    code = f"import subprocess\nended = subprocess.run([sys.executable, '-c', {look!r}])\nsys.exit(ended.returncode)"
    assert python(code, "<&- >&- 2>&-", tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["--help", "run --help", "status x"])
def test_results_that_cannot_be_written_are_an_error_in_one_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "x.run").mkdir()
    (tmp_path / "x.run" / "study.toml").write_text(STUDY.read_text())
    done = shell(f'exec "$PYTHON" -m spikecube {command} > /dev/full', tmp_path)
    assert (done.returncode, done.stderr) == (1, FULL)


def test_messages_that_cannot_be_written_change_no_exit_code(tmp_path: Path) -> None:
    """Python ends with 120 where the last flush fails."""
    assert shell('exec "$PYTHON" -m spikecube run none.toml 2> /dev/full', tmp_path).returncode == 2
    assert python("print('x', file=sys.stderr); print('good')", "2> /dev/full", tmp_path).stdout == "good\n"
    assert python("print('x', file=sys.stderr, end='')", "2> /dev/full", tmp_path).returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(tmp_path: Path, closed: str) -> None:
    """The next file gets a number of its own, so that no message of a library lands in it."""
    code = "print('out'); print('err', file=sys.stderr); sys.stdin.fileno(); sys.exit(os.open('file', 65) < 3)"
    assert python(code, closed, tmp_path).returncode == 0


def test_open_streams_stay_what_they_are(tmp_path: Path) -> None:
    code = "print(sys.stdin.read()); print('err', file=sys.stderr)"
    done = python(code, "<< EOF\nin\nEOF\n", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "in\n\n", "err\n")


def test_letters_that_an_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    done = python("print('n \\u2264 3')", "", tmp_path, PYTHONIOENCODING="latin-1")
    assert done.stdout == "n \\u2264 3\n"


def test_a_reader_that_leaves_is_still_noticed(tmp_path: Path) -> None:
    code = "import time\ntry:\n    [print('x' * 1000) for _ in range(1000)]\nexcept BrokenPipeError: sys.exit(7)"
    done = shell('{ "$PYTHON" -c "$CODE"; echo $? >&2; } | head -n 1', tmp_path, CODE=GUARDED + "\n" + code)
    assert (done.stdout, done.stderr) == ("x" * 1000 + "\n", "7\n")


@pytest.mark.parametrize(("before", "kept"), [(signal.SIG_DFL, False), (signal.SIG_IGN, True)])
def test_a_hang_up_acts_like_ctrl_c_unless_it_is_ignored(before: signal.Handlers, kept: bool) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGHUP, before)
        interrupt_once()
        if kept:
            os.kill(os.getpid(), signal.SIGHUP)
        else:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGHUP)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_a_locale_of_ascii_alone_opens_and_writes_any_folder(tmp_path: Path) -> None:
    """Fails when netCDF is given a name that it cannot encode."""
    (tmp_path / "größe").mkdir()
    code = (
        "from pathlib import Path; from spikecube.cube.store import open_cube, write_cube, write_groups;"
        "from tests.runs.standin import make_cube; cube = make_cube(); there = Path(sys.argv[1]) / sys.argv[2];"
        "write_cube(cube, there); write_groups({'a': cube, 'b': cube}, str(there) + '2');"
        "assert open_cube(there).identical(cube); sys.exit(sys.getfilesystemencoding() != 'ascii')"
    )
    ascii_alone = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python(code, "größe über.nc", tmp_path, **ascii_alone)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "größe").iterdir()} == {"über.nc", "über.nc2"}
