"""What two studies must share for their cells to stand in one cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from spikecube.cube.assemble import spectrum_edges
from spikecube.study.study import Study


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


def setting_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What keeps the shards of one manifest from serving another; axes and the fields they vary may change."""
    changes = []
    if old["code_sha256"] != new["code_sha256"]:
        changes.append(f"its code was that of {old['package']} with other sources, now {new['package']}")
    varied = {*old["further"], *new["further"]}
    for part in ("model", "measure"):
        for key in sorted({*old[part], *new[part]} - (varied if part == "model" else set())):
            was, now = old[part].get(key), new[part].get(key)
            if was != now:
                changes.append(f"{part}.{key} was {json.dumps(was)}, now {json.dumps(now)}")
    if old["entropy"] != new["entropy"]:
        changes.append(f"random.entropy was {old['entropy']}, now {new['entropy']}")
    return changes
