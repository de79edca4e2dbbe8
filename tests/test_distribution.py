"""Every file of tests is run once, whichever process takes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.distribution import WAITING, WaitingBeside

PLAIN = [f"tests/{letter}.py" for letter in "abcdefgh"]
SLOW = [f"{WAITING[1]}.py", f"{WAITING[0]}.py"]
FILES = [SLOW[0], *PLAIN, SLOW[1]]


class Process:
    """A stand-in for a process: it notes what it is sent and whether it is to end."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, items: list[int]) -> None:
        self.sent += items

    def shutdown(self) -> None:
        self.shutting_down = True


def spread(files: list[str], processes: int) -> list[list[str]]:
    """The files that each process gets when all are equally fast, two tests a file."""
    tests = [f"{file}::test_{i}" for file in files for i in range(2)]
    option: Any = SimpleNamespace(tx=["popen"] * processes, loadscopereorder=False)
    config: Any = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name))
    scheduler = WaitingBeside(config)
    nodes: Any = [Process(f"gw{i}") for i in range(processes)]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    for turn in range(len(tests)):
        for node in nodes:
            if turn < len(node.sent):
                scheduler.mark_test_complete(node, node.sent[turn])
    assert scheduler.tests_finished
    assert sorted(item for node in nodes for item in node.sent) == list(range(len(tests)))
    return [[tests[i].split("::")[0] for i in node.sent[::2]] for node in nodes]


def test_the_third_process_takes_what_waits_and_nothing_else() -> None:
    first, second, third = spread(FILES, 3)
    assert third == SLOW
    assert sorted(first + second) == PLAIN
    assert spread(PLAIN, 3)[2] == []
    assert sorted(file for files in spread([*SLOW, PLAIN[0]], 3) for file in files) == sorted([*SLOW, PLAIN[0]])


def test_two_processes_share_the_files_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = spread(FILES, 2)
    monkeypatch.setattr(WaitingBeside, "_assign_work_unit", LoadFileScheduling._assign_work_unit)
    assert found == spread(FILES, 2)
