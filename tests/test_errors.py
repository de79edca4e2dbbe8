"""Every error of the package is known by its one base."""

from __future__ import annotations

import functools
import importlib
import pickle
import re
from pathlib import Path

from spikecube.cli.common import one_line
from spikecube.errors import SpikecubeError
from spikecube.model.checks import StudyError
from spikecube.theory import ConvergenceError

PACKAGE = Path(__file__).parents[1] / "spikecube"


@functools.cache
def error_classes() -> frozenset[type[Exception]]:
    """All classes whose name or base says that they are raised, found in the sources so that little is imported."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        classes = re.findall(r"^class (\w+)(?:\(([^)]*)\))?:", path.read_text(), re.MULTILINE)
        names = [name for name, bases in classes if any(_raised(part.strip()) for part in (name, *bases.split(",")))]
        if names:
            module = importlib.import_module(".".join(("spikecube", *path.relative_to(PACKAGE).with_suffix("").parts)))
            found |= {getattr(module, name) for name in names}
    return frozenset(found - {SpikecubeError})


def _raised(name: str) -> bool:
    return name.endswith(("Error", "Exception"))


def test_all_our_errors_have_one_base_and_keep_a_built_in_one() -> None:
    """Fails for an error that the command line would not know, and for one that `except ValueError` missed."""
    found = error_classes()
    assert {"StudyError", "StoreError", "RunError", "FitError", "NumberError"} <= {error.__name__ for error in found}
    assert not [error for error in found if not issubclass(error, SpikecubeError)]
    assert not [error for error in found if not issubclass(error, ValueError | RuntimeError | ArithmeticError)]


def test_a_line_of_ours_is_its_own_sentence() -> None:
    for error in error_classes():
        given: object = ["a sentence"] if error is StudyError else "a sentence"
        assert one_line(error(given)) == "a sentence"


def test_errors_survive_the_way_from_a_worker() -> None:
    """Fails for an error that its own arguments do not make again."""
    for error in error_classes():
        given: object = ["key: wrong", "a sentence"] if error is StudyError else "a sentence"
        again = pickle.loads(pickle.dumps(error(given)))
        assert (type(again), str(again), vars(again)) == (error, str(error(given)), vars(error(given)))
    unsolved = pickle.loads(pickle.dumps(ConvergenceError("no root", "n = 100")))
    assert (str(unsolved), unsolved.reason) == ("no root: n = 100", "no root")


def test_a_line_of_others_names_its_kind() -> None:
    """Fails when an error is taken for ours by the module of its class alone."""
    foreign = type("Foreign", (ValueError,), {"__module__": "spikecube.model"})
    assert one_line(foreign("a sentence")) == "Foreign: a sentence (--debug shows where)"
