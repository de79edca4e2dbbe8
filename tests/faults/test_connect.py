"""Addresses at which no scheduler is, clients that cannot be used, and workers that cannot compute cells."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spikecube.cli import app
from spikecube.runs import capacity, cluster
from spikecube.runs.code import code_sha256
from spikecube.runs.errors import RunError
from spikecube.runs.run import Settings, run_study
from spikecube.runs.worker import About
from tests.faults.conftest import TIMEOUT
from tests.runs import standin


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def web() -> Iterator[str]:
    """The port of a web server."""
    quiet = type("Quiet", (http.server.BaseHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(TIMEOUT)


@contextlib.contextmanager
def worker() -> Iterator[str]:
    """A worker, whose address is easily taken for that of its scheduler."""
    from distributed import Client

    with Client(processes=False, n_workers=1, protocol="tcp", host="127.0.0.1", dashboard_address="127.0.0.1:0") as c:
        yield next(iter(c.scheduler_info()["workers"]))


def at(address: str) -> Callable[[], contextlib.AbstractContextManager[str]]:
    return lambda: contextlib.nullcontext(address)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (at(""), "given --scheduler ''; allowed: an address such as tcp://node17:8786"),
        (at("foo"), "given --scheduler 'foo'; allowed"),
        (at("tcp://"), "given --scheduler 'tcp://'; allowed"),
        (at("tcp://127.0.0.1"), "given --scheduler 'tcp://127.0.0.1'; allowed"),
        (at("http://127.0.0.1:80"), "given --scheduler 'http://127.0.0.1:80'; allowed"),
        (at("tcp://127.0.0.1:99999"), "given --scheduler 'tcp://127.0.0.1:99999'; allowed"),
        (at("tcp://127.0.0.1:9"), "no dask scheduler answers at tcp://127.0.0.1:9: "),
        (at("tls://127.0.0.1:9"), "a tls:// address needs the certificates of dask's configuration"),
        (silent, "no dask scheduler answers at tcp://127.0.0.1:"),
        (web, "no dask scheduler answers at tcp://127.0.0.1:"),
        (worker, "is no dask scheduler"),
    ],
    ids=range(11),
)
def test_an_address_without_a_scheduler_is_one_sentence_soon(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    place: Callable[[], contextlib.AbstractContextManager[str]],
    sentence: str,
) -> None:
    """Nobody there, somebody else, or no address at all; nothing is left that would leave a traceback behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "ANSWER", 5.0 if place is worker else 0.3)
    (tmp_path / "study.toml").write_text(standin.make_study().to_toml())
    with place() as address:
        begun = time.monotonic()
        with pytest.raises(RunError, match=sentence.replace("(", r"\(")), cluster.connected(address):
            pass
        assert time.monotonic() - begun < 10
    assert "Traceback" not in capfd.readouterr().err


def test_an_empty_address_does_not_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A variable that was not set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(standin.make_study().to_toml())
    with pytest.raises(SystemExit) as left:
        app(["run", "study.toml", "--scheduler", ""])
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith("spikecube: given --scheduler ''; allowed: an address")
    assert not (tmp_path / "study.run").exists()


def test_what_is_no_client_is_refused(tmp_path: Path, threads: Any) -> None:
    """A string, a closed client, an asynchronous one."""
    from distributed import Client

    def refused(client: Any, what: str) -> None:
        with pytest.raises(RunError, match=f"given {what}; allowed: an open distributed.Client, not asynchronous"):
            run_study(standin.make_study(), tmp_path / "x", client, kernel=standin.kernel())

    async def asynchronous() -> None:
        async with Client(threads.scheduler.address, asynchronous=True, set_as_default=False) as client:
            refused(client, "an asynchronous client")

    closed = Client(threads.cluster, set_as_default=False)
    closed.close()
    refused("tcp://here:8786", "client='tcp://here:8786'")
    refused(closed, "a client that is closed")
    asyncio.run(asynchronous())
    assert not list(tmp_path.iterdir())


def test_workers_without_spikecube_are_told_of_and_end_the_run(tmp_path: Path) -> None:
    """Real workers whose import fails; they are given no cell, since the first one would end them."""
    from distributed import Client, LocalCluster

    broken = tmp_path / "broken" / "spikecube"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('spikecube is not installed here')")
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as place,
        Client(place, set_as_default=False) as client,
    ):
        command = [sys.executable, "-m", "distributed.cli.dask_worker", place.scheduler_address, "--no-dashboard"]
        command += ["--nthreads", "1", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
        environment = os.environ | {"PYTHONPATH": str(broken.parent)}
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, **streams) as process:
            try:
                with pytest.raises(
                    RunError, match=r"no worker can compute cells: the worker tcp://127.0.0.1:.*spikecube"
                ):
                    run_study(standin.make_study(), tmp_path / "x", client, kernel=standin.kernel())
            finally:
                process.terminate()
                process.wait(TIMEOUT)


class Answering:
    """A client whose workers answer what a test says."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked = answers, 0

    def run(self, function: Any, *, workers: list[str], **_: Any) -> dict[str, Any]:
        self.asked += len(workers)
        return {address: self.answers[address] for address in workers}


def newcomers(**answers: Any) -> tuple[Any, list[str], Answering]:
    said: list[str] = []
    client = Answering(answers)
    return capacity.Newcomers(client, said.append), said, client


def own(libraries: str = "numpy 2") -> About:
    return About(code_sha256(), libraries)


def test_workers_with_other_libraries_are_told_of_when_they_come() -> None:
    look, said, client = newcomers(a=own(), b=own(), c=own("numpy 1"))
    assert look(["a", "b"]) == {"a", "b"}
    assert said == []
    assert look(["a", "b", "c"]) == {"a", "b", "c"}
    assert said == ["the worker c has numpy 1, others have numpy 2: last bits may differ"]
    assert look(["a", "c"]) == {"a", "c"}
    assert client.asked == 3


def test_a_broken_worker_beside_a_good_one_is_told_of_and_passed_over() -> None:
    look, said, _ = newcomers(a=own(), b=ModuleNotFoundError("No module named 'spikecube'"))
    assert look(["a", "b"]) == {"a"}
    assert said == ["the worker b cannot run spikecube (ModuleNotFoundError: No module named 'spikecube')"]
    with pytest.raises(RunError, match="no worker can compute cells: the worker b cannot run spikecube"):
        look(["b"])


def test_a_worker_with_other_code_is_named() -> None:
    look, _, _ = newcomers(a=own(), b=About("another", "numpy 2"))
    with pytest.raises(RunError, match="the worker b runs other code than this driver"):
        look(["a", "b"])


def test_a_worker_that_does_not_answer_is_asked_again() -> None:
    look, said, client = newcomers(a=OSError("busy"))
    assert look(["a"]) == set()
    client.answers["a"] = own()
    assert look(["a"]) == {"a"}
    assert said == []


def test_a_run_waits_for_another_one_as_long_as_it_is_told(tmp_path: Path, threads: Any) -> None:
    """Fails when the wait has no bound, when it is not said, or when the run does not start after it."""
    from spikecube.runs.folder import FolderInUse, RunFolder
    from spikecube.runs.progress import Progress

    study, said, held = standin.make_study(), [], contextlib.ExitStack()

    class Freeing(Progress):
        def say(self, sentence: str) -> None:
            said.append(sentence)
            held.close()

    held.enter_context(RunFolder(tmp_path / "x.run", study).opened())
    with pytest.raises(FolderInUse, match="another spikecube"):
        run_study(study, tmp_path / "x", threads, kernel=standin.kernel())
    settings = Settings(progress=Freeing(), wait_lock=60)
    assert run_study(study, tmp_path / "x", threads, settings, standin.kernel()).computed == 12
    assert said[0].endswith("wait until it has ended; waiting up to 60 s")
