"""The cubes of the claims: those that are there, those that are missing, their checksums and predictions."""

from __future__ import annotations

import functools
import hashlib
import json
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from scripts.claims.finding import Claim
from spikecube import Study, open_cube, predict, run
from spikecube.cube.store import write_cube
from spikecube.runs.code import canonical

ROOT = Path(__file__).resolve().parents[2]
STUDIES, CUBES = Path("data/studies/paper"), Path("data/cubes/paper")
MADE = "made.json"

SMALL = {"n": [64, 96, 128], "seed": 4}
"""Axes of the studies of a small run."""


@dataclass(frozen=True)
class Place:
    """Where cubes are kept, and where runs and predictions go while they are made.

    Attributes
    ----------
    cubes : folder of the cubes, with `made.json`.
    work : folder of the runs and predictions, which may be thrown away.
    small : whether studies are cut to the sizes of `SMALL`.
    """

    cubes: Path
    work: Path
    small: bool = False

    def study(self, claim: Claim) -> Study:
        """The study of a claim."""
        text = (ROOT / STUDIES / f"{claim.study}.toml").read_text(encoding="utf-8")
        whole = Study.from_toml(text)
        if not self.small:
            return whole
        axes = {**whole.axes.as_given(), **SMALL}
        measure = {**whole.measure.model_dump(), "spectrum_bins": min(whole.measure.spectrum_bins, 20)}
        return Study(title=whole.title, model=whole.model, axes=axes, measure=measure, random=whole.random)

    def cube(self, claim: Claim, **how: Any) -> xr.Dataset:
        """The cube of a claim's study; what is missing of it is run, resuming where a run has stopped.

        Parameters
        ----------
        how : client and workers of the run.
        """
        path, study = self.cubes / f"{claim.study}.nc", self.study(claim)
        if path.is_file():
            cube = open_cube(path)
            if Study.from_toml(str(cube.attrs["study"])) == study:
                return cube
        for folder in (self.work, self.cubes):
            folder.mkdir(parents=True, exist_ok=True)
        begun = _processor_seconds()
        cube = run(study, self.work / claim.study, **how)
        shutil.copyfile(self.work / f"{claim.study}.nc", path)
        self.note(claim, _processor_seconds() - begun)
        return cube

    def note(self, claim: Claim, seconds: float) -> None:
        """Write down what a cube took, its checksum and the command that makes it again."""
        path = self.cubes / f"{claim.study}.nc"
        table = made(self.cubes)
        table[path.name] = {
            "command": f"spikecube run {STUDIES.as_posix()}/{claim.study}.toml",
            "core_seconds": round(seconds),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        text = json.dumps(dict(sorted(table.items())), indent=2) + "\n"
        (self.cubes / MADE).write_text(text, encoding="utf-8")

    def prediction(self, claim: Claim) -> xr.Dataset:
        """What this code's theory says on the axes of a claim's study, kept; empty for a claim that does not look."""
        if not claim.predicts:
            return xr.Dataset()
        path, study = self.work / f"{claim.study}-theory.nc", self.study(claim)
        if path.is_file():
            kept = xr.load_dataset(path)
            if kept.attrs["study_sha256"] == study.sha256 and kept.attrs.get("theory_sha256") == theory_sha256():
                return kept
        made_now = predict(study).assign_attrs(theory_sha256=theory_sha256())
        self.work.mkdir(parents=True, exist_ok=True)
        write_cube(made_now, path)
        return made_now


@functools.cache
def theory_sha256() -> str:
    """A hash of what decides predictions: the theory and what it knows of networks, without text and comments."""
    package = ROOT / "spikecube"
    files = sorted(path for wing in ("linalg", "model", "theory") for path in (package / wing).rglob("*.py"))
    return hashlib.sha256("".join(canonical(path.read_text(encoding="utf-8")) for path in files).encode()).hexdigest()


def made(cubes: Path) -> dict[str, dict[str, Any]]:
    """What `Place.note` has written, by the name of the cube."""
    path = cubes / MADE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _processor_seconds() -> float:
    """Of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
