"""Formulas that a user writes as text, read by a small grammar and never run as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spikecube.scaling.errors import FitError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}
_ALLOWED = f"names, numbers, + - * / **, brackets and {', '.join(_FUNCTIONS)}"


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """The value of a formula of numbers, names, + - * / **, brackets, exp, log and sqrt.

    Raises
    ------
    ValueError
        If it is no such formula or a name is not known; the sentence says which.

    Examples
    --------
    >>> evaluate("1 - exponent/(2*log_amplitude)", {"exponent": 4.0, "log_amplitude": 4.0})
    0.5
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise FitError(f"{text!r} is no formula: allowed are {_ALLOWED}") from None

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name) if name in names:
                return names[name]
            case ast.Name(id=name):
                raise FitError(f"{text!r} names {name!r}, which is none of {', '.join(names)}")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](value(left), value(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](value(operand))
            case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](value(one))
        raise FitError(f"{text!r} has {ast.unparse(node)!r}: allowed are {_ALLOWED}")

    return value(tree.body)
