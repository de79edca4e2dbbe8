"""Memory and time that jobs of SLURM ask for, against what they use: two shares, then the job that assembles.

    python scripts/slurm_used.py [STUDY ...]

Needs a SLURM that polls memory (JobAcctGatherType), such as that of scripts/slurm_here.sh. Without studies it runs
three of its own: small cells, large cells, and a large cube of small cells. Used is the largest sum of resident sizes
that SLURM saw, which counts shared pages once for each process.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spikecube.runs.slurm import Request, submit

STUDIES = {
    "small cells": "[axes]\nalpha = [0.0, 0.2]\nlam = [0.1, 1.0]\nn = [100, 200]\nseed = 10\n",
    "large cells": "[axes]\nalpha = [0.0, 0.2]\nlam = [0.1, 1.0]\nn = [1400]\nseed = 2\n",
    "a large cube": "[axes]\nalpha = { start = 0, stop = 0.45, num = 30 }\n"
    "lam = { start = 0.01, stop = 10, num = 60 }\nn = [20]\nseed = 300\n",
}
_UNITS = {"": 1 / 2**20, "K": 1 / 2**10, "M": 1.0, "G": 2.0**10}


def megabytes(text: str) -> float:
    """MiB of a size as SLURM writes it."""
    match = re.fullmatch(r"([\d.]+)([KMG]?)", text.strip())
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def seconds(job: str) -> int:
    """How long a job has run."""
    match = re.search(r"RunTime=(?:(\d+)-)?(\d+):(\d+):(\d+)", answer("scontrol", "show", "job", job))
    days, hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    return ((24 * days + hours) * 60 + minutes) * 60 + rest


def used(jobs: list[str]) -> dict[str, float]:
    """The most memory that SLURM saw each job use, in MiB, when all have ended."""
    most = dict.fromkeys(jobs, 0.0)
    while answer("squeue", "--me", "--noheader"):
        for job in jobs:
            found = answer("sstat", "--noheader", "--parsable2", "--format=MaxRSS", "--jobs", f"{job}.batch")
            most[job] = max([most[job], *map(megabytes, found.split())])
        time.sleep(0.5)
    return most


def measure(name: str, study: str) -> None:
    """Prints a line for each job of a study."""
    jobs = submit(study, "x", shares=2, cores=1)
    requests: dict[str, Request] = {f"{jobs.array}_1": jobs.share_request, f"{jobs.array}_2": jobs.share_request}
    requests[jobs.assembly] = jobs.assembly_request
    most = used(list(requests))
    for (job, asked), what in zip(requests.items(), ("share 1 of 2", "share 2 of 2", "assembly"), strict=True):
        memory = f"{asked.megabytes} | {most[job]:.0f}"
        print(f"| {name} | {what} | {memory} | {asked.minutes} min | {seconds(job)} s |", flush=True)


def main() -> None:
    print("| study | job | MiB asked | MiB used | time asked | time used |\n|---|---|---|---|---|---|", flush=True)
    given = {Path(path).stem: Path(path).absolute() for path in sys.argv[1:]}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, text in STUDIES.items() if not given else ():
            Path(f"{name}.toml").write_text(text, encoding="utf-8")
            given[name] = Path(f"{name}.toml").absolute()
        for name, path in given.items():
            place = Path(f"run of {name}")
            place.mkdir()
            with contextlib.chdir(place):
                measure(name, os.fspath(path))


if __name__ == "__main__":
    main()
