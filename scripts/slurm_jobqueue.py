"""A study on a SLURM cluster through dask-jobqueue: workers come as jobs, this process drives and writes.

    pip install dask-jobqueue
    python scripts/slurm_jobqueue.py STUDY NAME --jobs 20 [--queue long]

Each job is one worker with one thread; its memory and walltime are those that `spikecube plan` predicts, with room to
spare. Workers need no common file system with this process. Stop it at any time and start it again to go on.
"""

from __future__ import annotations

import argparse
import math

from spikecube.cube.overview import completeness
from spikecube.cube.study import Study
from spikecube.sweep.plan import Plan, plan
from spikecube.sweep.run import run


def job(planned: Plan, hours: float) -> dict[str, object]:
    """What to ask SLURM for one worker; it ends itself before its walltime, so that no cell is cut off."""
    minutes = math.ceil(max(60 * hours, 2 * planned.longest_task_seconds / 60 + 10))
    return {
        "cores": 1,
        "processes": 1,
        "memory": f"{math.ceil(1.25 * planned.memory_bytes / 2**20)} MiB",
        "walltime": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "worker_extra_args": ["--lifetime", f"{minutes - 5}m", "--lifetime-stagger", "2m"],
        "job_script_prologue": ["export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("name")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--hours", type=float, default=4.0, help="walltime of a job, at least that of the longest cell")
    parser.add_argument("--queue", default=None)
    parser.add_argument("--dry-run", action="store_true", help="print the job script only")
    options = parser.parse_args()

    from dask_jobqueue import SLURMCluster
    from distributed import Client

    study = Study.from_file(options.study)
    settings = job(plan(study), options.hours)
    with SLURMCluster(
        queue=options.queue, scheduler_options={"dashboard_address": "127.0.0.1:0"}, **settings
    ) as cluster:
        if options.dry_run:
            print(cluster.job_script())
            return
        cluster.adapt(minimum_jobs=1, maximum_jobs=options.jobs)
        with Client(cluster) as client:
            print(completeness(run(study, options.name, client)))


if __name__ == "__main__":
    main()
