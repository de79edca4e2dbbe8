"""What a user asks of a collapse: its ansatz, and arguments that fit the data, or a sentence on what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from spikecube.scaling.errors import FitError
from spikecube.scaling.master_curve import ANSATZE, Ansatz
from spikecube.scaling.types import Array

_RESERVED = ("param", "param_i", "param_j", "start", "end", "scaled_grid", "seed")


def ansatz_of(ansatz: str, correction: float | str | None, curved: bool) -> Ansatz:
    """The ansatz with its correction and its field."""
    if ansatz not in ANSATZE:
        raise FitError(f"ansatz={ansatz!r} is not one of {', '.join(ANSATZE)}")
    form = ANSATZE[ansatz]
    if curved:
        bent = form.formula.replace("(x - critical)", "(x - critical) (1 + field (x - critical))")
        form = replace(form, params=(*form.params, "field"), formula=bent)
    if correction is None:
        return form
    formula = f"{form.formula}, f(u) + n^(-correction_exponent) g(u) for f(u)"
    if isinstance(correction, str) and correction == "free":
        return replace(form, params=(*form.params, "correction_exponent"), formula=formula)
    if isinstance(correction, str | bool) or not 0 < correction < np.inf:
        raise FitError(f'correction={correction!r} is not None, "free" or a positive exponent omega of n^-omega')
    return replace(form, omega=float(correction), formula=formula.replace("correction_exponent", f"{correction:g}"))


def checked(
    data: xr.DataArray,
    size: str,
    control: str,
    form: Ansatz,
    fixed: Mapping[str, float],
    window: float | tuple[float, float] | None,
) -> tuple[Ansatz, dict[str, float], tuple[float, float] | None]:
    """The ansatz, the parameters held and the ends of the window, all of them allowed.

    Raises
    ------
    FitError
        If one is not.
    """
    unknown = [name for name in fixed if name not in form.params]
    if unknown:
        raise FitError(f"fixed={unknown[0]!r} is not a parameter of {form.name!r}, which has {', '.join(form.params)}")
    held = {k: float(v) for k, v in fixed.items()}
    if not all(np.isfinite(v) for v in held.values()):
        raise FitError(f"fixed={dict(fixed)} must hold finite numbers")
    if held.get("nu", 1.0) <= 0:
        raise FitError(f"nu={fixed['nu']} is not positive")
    _check_labels(data, size, control)
    return form, held, _ends(window)


def expected_of(form: Ansatz, expected: Mapping[str, float]) -> Array:
    """The expected value of each parameter, NaN where there is none; (p,)."""
    unknown = [name for name in expected if name not in form.params]
    if unknown:
        raise FitError(f"expected={unknown[0]!r} is no parameter of {form.name!r}, which has {', '.join(form.params)}")
    return np.array([float(expected.get(name, np.nan)) for name in form.params])


def _check_labels(data: xr.DataArray, size: str, control: str) -> None:
    if not isinstance(data, xr.DataArray):
        raise FitError(f"data must be an xarray.DataArray with dims {size}, {control}, got {type(data).__name__}")
    clash = [name for name in (size, control) if name in _RESERVED]
    if clash:
        raise FitError(f"{clash[0]!r} names a dim of the result: rename that of the data")
    if size == control or set(data.dims) - {"seed"} != {size, control}:
        raise FitError(
            f"the data have dims {', '.join(map(str, data.dims))}; a collapse takes {size}, {control} and perhaps seed"
        )
    if data.dtype.kind not in "fiub":
        raise FitError(f"the data are of dtype {data.dtype}; a collapse takes real numbers")
    if control not in data.coords:
        raise FitError(f"the data have no coordinate {control!r}: a collapse needs the values of the control")
    values = data[control].to_numpy()
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise FitError(f"the coordinate {control!r} must hold finite numbers, got {values.tolist()}")


def _ends(window: float | tuple[float, float] | None) -> tuple[float, float] | None:
    """The ends of a window in u."""
    if window is None:
        return None
    given = np.asarray(window)
    if given.dtype.kind in "fiu" and given.shape in ((), (2,)):
        low, high = (-float(given), float(given)) if given.ndim == 0 else map(float, given)
        if low < high:
            return low, high
    raise FitError(f"window={window!r} must be a positive number or a pair (low, high) of rising numbers")
