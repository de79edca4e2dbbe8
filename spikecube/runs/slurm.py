"""Jobs of SLURM: what they ask for, and the array that computes a study in shares."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spikecube.runs.errors import RunError
from spikecube.runs.folder import run_paths
from spikecube.runs.plan import Plan, plan
from spikecube.study.study import Study

_ROOM = 1.25  # memory asked for over memory predicted
_NO_NODE = "Requested node configuration is not available"
_ANSWER = 60.0  # seconds for a command of SLURM


@dataclass(frozen=True)
class Request:
    """What a job asks for."""

    cores: int
    megabytes: int
    minutes: int

    def flags(self) -> list[str]:
        """As options of sbatch, then those of SBATCH_FLAGS: of two, sbatch takes the last."""
        own = [f"--cpus-per-task={self.cores}", f"--time={self.minutes}"]
        site = site_flags()
        if not any(flag.startswith("--mem-per-") for flag in site):  # sbatch refuses both
            own.append(f"--mem={self.megabytes}M")
        return own + site


def site_flags() -> list[str]:
    """The words of SBATCH_FLAGS, quoted as in a shell."""
    try:
        return shlex.split(os.environ.get("SBATCH_FLAGS", ""))
    except ValueError as error:
        raise RunError(f"SBATCH_FLAGS cannot be read ({error}): {os.environ['SBATCH_FLAGS']}") from error


def share_request(planned: Plan, shares: int, cores: int) -> Request:
    """For one of `shares` jobs: its worker processes and its driver, twice the time predicted and ten minutes."""
    seconds = max(3600 * planned.core_hours / (shares * cores), planned.longest_task_seconds)
    return Request(cores, _megabytes(planned, cores), _minutes(seconds))


def assembly_request(planned: Plan, shares: int, cores: int) -> Request:
    """For the job that computes what shares left over, then makes the cube."""
    request = share_request(planned, shares, cores)
    return replace(request, megabytes=max(request.megabytes, math.ceil(_ROOM * planned.assemble_bytes / 2**20)))


def worker_request(planned: Plan, hours: float) -> Request:
    """For one worker of one core and the process that watches it: `hours`, or what the longest cell needs."""
    return Request(1, _megabytes(planned, 1), max(math.ceil(60 * hours), _minutes(planned.longest_task_seconds)))


def _megabytes(planned: Plan, cores: int) -> int:
    return math.ceil((_ROOM * cores * planned.memory_bytes + planned.driver_bytes) / 2**20)


def _minutes(seconds: float) -> int:
    return math.ceil(2 * seconds / 60) + 10


@dataclass(frozen=True)
class Submitted:
    """The two jobs of a study: the array of shares, and the one that assembles."""

    array: str
    assembly: str
    share_request: Request
    assembly_request: Request


def submit(
    study: str | Path, name: str | Path, *, shares: int, cores: int, tell: Callable[[str], None] = lambda sentence: None
) -> Submitted:
    """Submits the shares of a study as an array, and a job that makes the cube when they have ended.

    Shares that are preempted or meet their walltime keep what they have; call this again to go on. Jobs that meet the
    driver of an earlier call wait for it: as long as its walltime, so that it has ended. Where sbatch refuses one of
    the jobs, none is left in the queue.
    """
    planned = plan(Study.from_file(study))
    one, last = share_request(planned, shares, cores), assembly_request(planned, shares, cores)
    command = [sys.executable, "-P", "-m", "spikecube", "run", os.path.abspath(study), "-o", os.path.abspath(name)]
    command += ["--workers", str(cores), "--wait-lock", str(60 * last.minutes)]
    label = run_paths(name)[0].stem
    # The batch shell is replaced by the run, so that it gets the signal a minute before its walltime.
    common = ["--signal=B:TERM@60", "--requeue", "--open-mode=append"]
    run = f"exec {shlex.join(command)}"
    share = [*common, f"--job-name={label}", f"--array=1-{shares}", *one.flags()]
    share.append(f"--wrap={run} --shard $SLURM_ARRAY_TASK_ID/{shares}")
    assembly = [*common, f"--job-name={label}-cube", *last.flags(), f"--wrap={run}"]
    for arguments in (share, assembly):
        try_out(arguments, tell)
    array = sbatch(share)
    try:
        made = sbatch([f"--dependency=afterany:{array}", *assembly])
    except RunError:
        ask(["scancel", array])
        raise
    return Submitted(array, made, one, last)


def try_out(arguments: list[str], tell: Callable[[str], None], script: str = "") -> None:
    """Asks sbatch what it thinks of a job, without submitting it; `tell` hears that no node can run it now."""
    done = ask(["sbatch", "--parsable", "--test-only", *arguments], script)
    if done.returncode and _NO_NODE in done.stderr:
        # Nodes that are down now make sbatch say this too, and then the job may well run later.
        tell(f"SLURM says of such a job: {_NO_NODE}; it may wait for ever, or until nodes are back")
    elif done.returncode:
        raise _refused(done)


def sbatch(arguments: list[str], script: str = "") -> str:
    """Submits a job, its script from standard input where there is one; its id."""
    done = ask(["sbatch", "--parsable", *arguments], script)
    if done.returncode:
        raise _refused(done)
    return done.stdout.strip().partition(";")[0]


def _refused(done: subprocess.CompletedProcess[str]) -> RunError:
    return RunError(f"sbatch refuses the job: {refusal(done.stderr)}")


def refusal(stderr: str) -> str:
    """Why sbatch refused, from what it printed."""
    lines = [line.strip().removeprefix("sbatch: ").removeprefix("error: ") for line in stderr.splitlines()]
    return "; ".join(dict.fromkeys(filter(None, lines))) or "it does not say why"


def ask(command: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command of SLURM and gives its answer, whatever its exit code."""
    try:
        return subprocess.run(
            command, input=script, capture_output=True, text=True, timeout=_ANSWER, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise RunError(f"there is no command {command[0]} here: call this where jobs are submitted to SLURM") from error
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{command[0]} has not answered for {_ANSWER:.0f} s: is SLURM running?") from error


def queued() -> dict[str, str] | None:
    """State and reason of each job of this user by its id; None where SLURM does not answer now."""
    done = ask(["squeue", "--me", "--noheader", "--format=%i|%T|%r"])
    if done.returncode:
        return None
    rows = [line.strip().split("|") for line in done.stdout.splitlines()]
    return {row[0]: row[1] if row[2] == "None" else f"{row[1]} ({row[2]})" for row in rows if len(row) == 3}
