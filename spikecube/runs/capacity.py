"""What the workers of a client can take: how many they are, their memory, and whether they can compute cells at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from spikecube.runs.code import code_sha256
from spikecube.runs.errors import RunError
from spikecube.runs.memory import WORKER_BYTES
from spikecube.runs.worker import About, about

ANSWER = 5.0  # seconds for a scheduler or a worker to answer


@dataclass(frozen=True)
class Capacity:
    """Tasks and bytes that may be in flight, bytes that the largest worker may use, and workers that live."""

    window: int
    budget: float
    largest: float
    workers: int = 1


class Newcomers:
    """Asks workers that have come what they run on: those that can compute cells, and what is wrong with the others."""

    def __init__(self, client: Any, tell: Callable[[str], None]) -> None:
        self._client, self._tell = client, tell
        self._known: dict[str, About | Exception] = {}
        self._libraries: set[str] = set()

    def __call__(self, addresses: Iterable[str]) -> set[str]:
        """The workers among `addresses` that can compute cells; a RunError if none can, or one has other code."""
        here = set(addresses)
        new = sorted(here - set(self._known))
        found = self._ask(new) if new else {}
        self._known |= found
        for address, answer in found.items():
            self._hear(address, answer)
        bad = {a: self._known[a] for a in here if isinstance(self._known.get(a), Exception)}
        good = {a for a in here if isinstance(self._known.get(a), About)}
        if bad and not good:
            address, error = next(iter(bad.items()))
            raise RunError(f"no worker can compute cells: {_cannot(address, error)}")
        return good

    def _ask(self, addresses: list[str]) -> dict[str, About | Exception]:
        """Answers by address; workers that do not answer now are asked again."""
        try:
            found: dict[str, Any] = self._client.run(
                about, workers=addresses, on_error="return", callback_timeout=ANSWER
            )
        except Exception:  # one of them has gone, or is too busy: the next look tells
            return {}
        return {a: answer for a, answer in found.items() if not isinstance(answer, OSError)}

    def _hear(self, address: str, answer: About | Exception) -> None:
        if isinstance(answer, Exception):
            self._tell(_cannot(address, answer))
        elif answer.code != code_sha256():
            raise RunError(f"the worker {address} runs other code than this driver: install the same spikecube on both")
        elif answer.computed_with not in self._libraries:
            if self._libraries:
                others = " and ".join(sorted(self._libraries))
                self._tell(
                    f"the worker {address} has {answer.computed_with}, others have {others}: last bits may differ"
                )
            self._libraries.add(answer.computed_with)


def _cannot(address: str, error: object) -> str:
    return f"the worker {address} cannot run spikecube ({type(error).__name__}: {error})"


class Watched:
    """The capacity of a client's workers, which may come and go: looked up every few seconds."""

    def __init__(
        self, client: Any, memory: float, every: float = 5.0, newcomers: Callable[[Iterable[str]], set[str]] = set
    ) -> None:
        self._client, self._memory, self._every, self._newcomers = client, memory, every, newcomers
        self._looked = -math.inf
        self._found = Capacity(1, math.inf, math.inf, 0)

    def __call__(self) -> Capacity:
        if time.monotonic() - self._looked >= (self._every if self._found.workers else 1.0):
            self._looked = time.monotonic()
            self._found = self._look()
        return self._found

    def _known(self) -> dict[str, Any]:
        """Workers by address; wrongly none, once, where the client's own look every two seconds comes in between."""
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _look(self) -> Capacity:
        known = self._known() or self._known()
        able = self._newcomers(known)
        workers = [worker for address, worker in known.items() if address in able]
        memory = [w["memory_limit"] or math.inf for w in workers]
        budget = min(self._memory, sum(memory) if memory else math.inf) - WORKER_BYTES * len(memory)
        largest = min(self._memory, max(memory, default=math.inf))
        # enough tasks in flight to keep workers busy while the driver looks elsewhere, few enough to forget quickly
        window = 2 * sum(w["nthreads"] for w in workers) + 30
        return Capacity(window, budget, largest, len(workers))
