"""How the suite is spread over processes: two compute, and a third takes the files that mostly wait."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

WAITING = (
    "tests/faults/test_slurm",
    "tests/pictures/test_app",
    "tests/faults/test_signals",
    "tests/faults/test_workers",
    "tests/test_notebook",
    "tests/test_stdio",
    "tests/test_end_to_end",
    "tests/faults/test_files",
    "tests/faults/test_connect",
)
"""Files that mostly wait: for jobs, workers, kernels, a browser and commands."""
THIRD = "gw2"


class WaitingBeside(LoadFileScheduling):  # type: ignore[misc]
    """Files in their order, but those that wait go to the third process, which takes no other.

    Two processes do not keep two processors busy while one of them waits, and three that all compute are slower than
    two. The others take what waits when nothing else is left.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        waiting = [scope for scope in self.workqueue if scope.startswith(WAITING)]
        if node.gateway.id == THIRD:
            if not waiting:
                node.shutdown()
                return
            self.workqueue.move_to_end(waiting[0], last=False)
        elif any(other.gateway.id == THIRD for other in self.nodes):
            for scope in waiting:
                self.workqueue.move_to_end(scope)
        super()._assign_work_unit(node)
