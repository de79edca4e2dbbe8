"""The hash of the code that decides numbers: the same whatever is said about it, other whenever it may compute other.

What is hashed are syntax trees, not text: no comments, no layout. Out of the trees fall docstrings, what is raised,
sentences (text with blanks and words in it) and annotations of functions, for none of them decides a number.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import spikecube

_PACKAGE = Path(spikecube.__file__).parent
_NUMERICS = ("model", "linalg", "cube/cell.py")
_NO_NUMBERS = {"errors.py", "model/checks.py", "study/fields.py", "cube/schema.py"}
"""Sentences, names, and records of settings whose values stand in every manifest and shard."""

_SILENT = {"ctx", "kind", "type_comment", "type_params", "annotation", "returns"}
"""Fields of syntax trees that decide nothing; some exist in some versions of Python only."""

_WORD = re.compile(r"[^\W\d_]{4}")
_parsing = threading.Lock()  # in Python 3.11 two threads that parse at once can raise SystemError


def code_sha256() -> str:
    """Hash of what decides the numbers of a cell: `linalg`, `model`, `cube/cell.py` and what they import of ours.

    It is the same for every version of Python.
    """
    with _parsing:
        return _code_sha256()


@functools.cache
def _code_sha256() -> str:
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        digest.update(canonical(path.read_text(encoding="utf-8")).encode() + b"\0")
    return digest.hexdigest()


def canonical(source: str) -> str:
    """What a source computes, as text: its syntax tree without all that decides no number.

    >>> canonical("x = 1.0  # one") == canonical("x = (1.0)"), canonical("x = 1.0") == canonical("x = 1.5")
    (True, False)
    """
    return json.dumps(_reduced(ast.parse(source)))


def _reduced(node: Any) -> Any:
    """A part of a tree as nested lists; empty fields are left out, since versions of Python differ in them."""
    if isinstance(node, list):
        return [_reduced(item) for item in node if not _is_text(item)]
    if not isinstance(node, ast.AST):
        return ascii(node)  # not repr: which letters it escapes depends on the version
    fields = {name: value for name, value in ast.iter_fields(node) if name not in _SILENT}
    if isinstance(node, ast.Raise):
        fields = {"exc": _raised(node.exc)}
    elif _is_sentence(node):
        fields = {}
    kept = {name: _reduced(value) for name, value in fields.items() if value is not None and value != []}
    return [type(node).__name__, kept]


def _is_text(node: Any) -> bool:
    """A docstring, or any other text that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_sentence(node: ast.AST) -> bool:
    """Text for people: with a blank in it, and with a word where it is no template; no key of a table is like that."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return any(" " in text and (isinstance(node, ast.JoinedStr) or _WORD.search(text)) for text in texts)


def _raised(error: ast.expr | None) -> ast.expr | None:
    """The class of what is raised, without what it says."""
    return error.func if isinstance(error, ast.Call) else error


def code_files() -> list[Path]:
    """The files behind `code_sha256`, sorted."""
    found: set[Path] = set()
    waiting = [path for name in _NUMERICS for path in [_PACKAGE / name, *(_PACKAGE / name).rglob("*.py")]]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file() and path.relative_to(_PACKAGE).as_posix() not in _NO_NUMBERS:
            found.add(path)
            waiting.extend(_imports(path))
    return sorted(found)


def _imports(path: Path) -> Iterable[Path]:
    """Files of this package that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, *parts = name.split(".")
            if top == "spikecube" and parts:
                yield _PACKAGE.joinpath(*parts).with_suffix(".py")
