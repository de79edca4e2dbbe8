"""What two studies must share for their cells to stand in one cube."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

from spikecube.cube.assemble import spectrum_edges
from spikecube.study.study import Study


class Change(NamedTuple):
    """A difference between the settings of two studies: of what kind, and in words."""

    kind: Literal["code", "model", "measure", "entropy"]
    text: str


def study_settings(study: Study) -> dict[str, Any]:
    """What two studies must share to be parts of one."""
    return {
        "model": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(study.model).items()},
        "further": list(study.further),
        "measure": measure_settings(study),
        "entropy": study.random.entropy,
    }


def measure_settings(study: Study) -> dict[str, Any]:
    """The table [measure], and the range of the bins, which follows from [model]."""
    settings = study.measure.model_dump(mode="json")
    if study.measure.spectrum_bins:
        settings["bins"] = "{!r} to {!r}".format(*spectrum_edges(study)[[0, -1]].tolist())
    return settings


def setting_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What keeps the shards of one manifest from serving another; axes and the fields they vary may change."""
    changes: list[Change] = []
    if old["code_sha256"] != new["code_sha256"]:
        text = f"its code was that of {old['package']} with other sources, now {new['package']}"
        changes.append(Change("code", text))
    varied = {*old["further"], *new["further"]}
    changes += _changed_fields("model", old, new, leave_out=varied) + _changed_fields("measure", old, new)
    if old["entropy"] != new["entropy"]:
        changes.append(Change("entropy", f"random.entropy was {old['entropy']}, now {new['entropy']}"))
    return changes


def _changed_fields(
    table: Literal["model", "measure"],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    leave_out: Collection[str] = (),
) -> list[Change]:
    pairs = {key: (old[table].get(key), new[table].get(key)) for key in sorted({*old[table], *new[table]})}
    return [
        Change(table, f"{table}.{key} was {json.dumps(was)}, now {json.dumps(now)}")
        for key, (was, now) in pairs.items()
        if was != now and key not in leave_out
    ]
