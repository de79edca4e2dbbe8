"""Kills runs of a small study at random moments and counts what survives.

    python scripts/kill_study.py [--kills 200] [--seed 0]

A run is started, killed (its driver, its workers, or all of them, by SIGKILL), and started again, until it ends by
itself; then its cube is compared bit for bit with that of an undisturbed run, and the next run begins. After each
kill every shard must be whole, the cube whole or absent, and the next start may only compute cells that are in no
shard.

survived  kills after which the run came to the right cube with nothing lost or torn
lost      finished cells that were computed again
torn      shards or cubes that cannot be read, or that differ
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import xarray as xr

from spikecube.cube.store import StoreError, open_cube
from spikecube.runs.folder import RunFolder
from spikecube.runs.provenance import NOT_COMPARED
from spikecube.study.study import Cell, Study

STUDY = """\
[axes]
alpha = [0.0, 0.15, 0.25, 0.3]
n = [40, 80, 120]
seed = 20
lam = [0.1, 1.0]

[measure]
rank = 3
degree = 2
ell = 2
"""
LIMIT = 120.0  # seconds that a run may take


@dataclass
class Count:
    """What came of the kills."""

    kills: int = 0
    lost: int = 0
    torn: int = 0
    damaged: int = 0  # kills after which anything was lost or torn

    def report(self) -> str:
        return f"{self.kills} kills: {self.kills - self.damaged} survived, {self.lost} lost, {self.torn} torn"


class Trial:
    """One run from its first start to its end, through some kills."""

    def __init__(self, folder: Path, study: Path, rng: np.random.Generator, count: Count) -> None:
        self.folder, self.study, self.rng, self.count = folder, study, rng, count
        folder.mkdir()
        self.run = RunFolder(folder / "run.run", Study.from_file(study))
        self.cube = folder / "run.nc"

    def go(self, most: int, spans: tuple[float, float], reference: xr.Dataset) -> None:
        """Kills and restarts until the run ends by itself, at most `most` times."""
        kills = 0
        while not self.cube.exists() or kills < most:
            present = self.run.contents().points
            process = self.start()
            killed = kills < most and self.wait(process, spans) and self.kill(process)
            process.wait(LIMIT)
            kills += killed
            self.count.kills += killed
            self.judge(set(present))
            if process.returncode == 0:
                break
            if not killed:
                raise SystemExit(f"an undisturbed run ended with {process.returncode}: {self.errors()}")
        if not same(open_cube(self.cube), reference):
            self.damage(torn=1)

    def start(self) -> subprocess.Popen[bytes]:
        name = str(self.folder / "run")
        command = [sys.executable, "-m", "spikecube", "run", str(self.study), "-o", name, "--workers", "2"]
        with (self.folder / "errors").open("wb") as errors:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)

    def errors(self) -> str:
        return (self.folder / "errors").read_text(errors="replace")

    def wait(self, process: subprocess.Popen[bytes], spans: tuple[float, float]) -> bool:
        """Waits for a random moment: one in four during the start, the others after it; whether the run still goes."""
        starting = self.rng.random() < 0.25
        end = time.monotonic() + (self.rng.random() * spans[0] if starting else LIMIT)
        while time.monotonic() < end and process.poll() is None:
            if not starting and "cells to compute" in self.errors():
                starting, end = True, time.monotonic() + self.rng.random() * spans[1]
            time.sleep(0.002)
        return process.poll() is None

    def kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Kills the driver, a worker, all workers, or all."""
        target = str(self.rng.choice(["driver", "driver", "a worker", "workers", "all"]))
        children = psutil.Process(process.pid).children()
        workers = [p.pid for p in children if "resource_tracker" not in " ".join(_line(p))]
        chosen = {
            "driver": [process.pid],
            "a worker": workers[:1],
            "workers": workers,
            "all": [process.pid, *workers],
        }[target]
        for pid in chosen:
            _kill(pid)
        return bool(chosen)

    def judge(self, before: set[Cell]) -> None:
        """Looks at what a kill left."""
        contents = self.run.contents()
        torn = len(contents.foreign)
        if self.cube.exists():
            try:
                open_cube(self.cube)
            except StoreError:
                torn += 1
        self.damage(torn=torn, lost=len(before - set(contents.points)) + self.recomputed(len(before)))

    def recomputed(self, present: int) -> int:
        """Cells that a start meant to compute although they were in shards before it."""
        said = re.search(r": (\d+) cells to compute", self.errors())
        cells = sum(1 for _ in self.run.study.cells())
        return int(said[1]) - (cells - present) if said else 0

    def damage(self, lost: int = 0, torn: int = 0) -> None:
        self.count.lost += lost
        self.count.torn += torn
        self.count.damaged += bool(lost or torn)


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def same(a: xr.Dataset, b: xr.Dataset) -> bool:
    """Equal bit for bit, but for the date."""
    a, b = (x.assign_attrs(dict.fromkeys(NOT_COMPARED, "")) for x in (a, b))
    return a.identical(b)


def undisturbed(folder: Path, study: Path, rng: np.random.Generator) -> tuple[xr.Dataset, tuple[float, float]]:
    """The cube of a run without kills, and how long its start and the rest of it took."""
    trial = Trial(folder, study, rng, Count())
    begun = time.monotonic()
    process = trial.start()
    while "cells to compute" not in trial.errors() and process.poll() is None:
        time.sleep(0.002)
    started = time.monotonic()
    if process.wait(LIMIT):
        raise SystemExit(f"the undisturbed run failed: {trial.errors()}")
    return open_cube(trial.cube), (started - begun, time.monotonic() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, count = np.random.default_rng(options.seed), Count()
    with tempfile.TemporaryDirectory() as base:
        study = Path(base) / "study.toml"
        study.write_text(STUDY)
        reference, spans = undisturbed(Path(base) / "reference", study, rng)
        while count.kills < options.kills:
            folder = Path(base) / f"trial-{count.kills}"
            Trial(folder, study, rng, count).go(min(6, options.kills - count.kills), spans, reference)
            shutil.rmtree(folder)
    print(count.report())
    return 1 if count.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
