"""What a user asks of a collapse: its ansatz, and arguments that fit the data, or a sentence on what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_ansatz import ANSATZE, Ansatz
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import as_floats, number_or_labelled, place_of, real_values
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.types import Array

_RESERVED = ("param", "param_i", "param_j", "start", "end", "scaled_grid", "seed", "derived", "observable")
_DECIDED = 1e-12  # part of the largest eigenvalue of a covariance below which another is 0

_Observables = dict[str, xr.DataArray]


@dataclass(frozen=True)
class Wishes:
    """A collapse as it was asked for, all of it allowed.

    Attributes
    ----------
    data, stderr : of each observable by name; that of a single one is "".
    covariance : (K, X, X) or (X, X) with labels, of the errors of the data, in their units squared; or None.
    ends : of the window in u; None for all points, and "auto" for a choice.
    expected : (p,), what the p-values test, NaN for nothing.
    """

    form: Ansatz
    data: _Observables
    stderr: _Observables | None
    covariance: xr.DataArray | None
    held: dict[str, float]
    ends: tuple[float, float] | str | None
    expected: Array


def ansatz_of(ansatz: Any, correction: Any, curved: Any) -> Ansatz:
    """The ansatz with its correction and its field."""
    if not isinstance(ansatz, str) or ansatz not in ANSATZE:
        raise FitError(f"ansatz={ansatz!r} is not one of {', '.join(ANSATZE)}")
    form = ANSATZE[ansatz]
    if not isinstance(curved, bool | np.bool_):
        raise FitError(f"curved={curved!r} is not True or False")
    if curved:
        bent = form.formula.replace("(x - critical)", "(x - critical) (1 + field (x - critical))")
        form = replace(form, params=(*form.params, "field"), formula=bent)
    if correction is None:
        return form
    formula = f"{form.formula}, f(u) + n^(-correction_exponent) g(u) for f(u)"
    if isinstance(correction, str) and correction == "free":
        return replace(form, params=(*form.params, "correction_exponent"), formula=formula)
    if not is_number(correction) or not correction > 0:
        raise FitError(f'correction={correction!r} is not None, "free" or a positive exponent omega of n^-omega')
    return replace(form, omega=float(correction), formula=formula.replace("correction_exponent", f"{correction:g}"))


def asked(
    data: xr.DataArray | xr.Dataset | Mapping[str, xr.DataArray],
    size: str,
    control: str,
    form: Ansatz,
    *,
    stderr: Any,
    covariance: Any,
    shared: str | None,
    fixed: Mapping[str, float],
    window: Any,
    expected: Mapping[str, float],
) -> Wishes:
    """All arguments of a collapse, or a sentence on the first that is not allowed.

    Raises
    ------
    FitError
        If one is not.
    """
    arrays, errors = _observables(data, size, control, stderr)
    form = form if list(arrays) == [""] else form.of(tuple(arrays))
    held = numbers_by_name("fixed", fixed, form.params, form.name)
    if not all(np.isfinite(v) for v in held.values()):
        raise FitError(f"fixed={dict(fixed)} must hold finite numbers")
    if held.get("nu") == 0:
        raise FitError("nu=0 is not a number other than 0: powers of n are 1/nu and zeta/nu")
    for array in arrays.values():
        check_labels(array, size, control)
    if shared not in (None, size):
        raise FitError(f"shared={shared!r} is not None or {size!r}, the dim whose points may share their errors")
    seeds = any("seed" in array.dims for array in arrays.values())
    if seeds and (shared or covariance is not None):
        raise FitError("the data have a dim 'seed', which shows what points share: leave out shared and covariance")
    if covariance is not None:
        if shared or errors is not None or len(arrays) > 1:
            raise FitError("covariance= goes alone: with one observable, and without stderr and shared")
        covariance = _covariance(covariance, arrays[""], size, control)
    if shared and len(arrays) > 1:
        raise FitError(f"shared={shared!r} takes one observable: give several with seeds")
    theory = numbers_by_name("expected", expected, form.params, form.name)
    null = np.array([theory.get(name, np.nan) for name in form.params])
    return Wishes(form, arrays, errors, covariance, held, _ends(window), null)


def is_number(value: Any) -> bool:
    """Whether it is one finite number."""
    return type(value) is not bool and isinstance(value, Real) and bool(np.isfinite(float(value)))


def numbers_by_name(argument: str, given: Any, params: tuple[str, ...], law: str) -> dict[str, float]:
    """Values of parameters by name, as numbers."""
    if not isinstance(given, Mapping):
        raise FitError(f"{argument}={given!r} must be a mapping of numbers by name: {{{params[0]!r}: ...}}")
    unknown = [name for name in given if name not in params]
    if unknown:
        what = "not a parameter" if argument == "fixed" else "no parameter"
        raise FitError(f"{argument}={unknown[0]!r} is {what} of {law!r}, which has {', '.join(params)}")
    return {name: float(real_values(value, f"{argument}[{name!r}]")) for name, value in given.items()}


def _observables(data: Any, size: str, control: str, stderr: Any) -> tuple[_Observables, _Observables | None]:
    """The data by name, and their errors by the same names."""
    if isinstance(data, xr.Dataset):
        data = {str(name): data[name] for name in data.data_vars}
    if not isinstance(data, Mapping):
        return {"": data}, None if stderr is None else {"": stderr}
    names = list(data)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise FitError(f"data={{...}} must name each observable by a word, got {names}")
    for name in names:
        check_labels(data[name], size, control, f"data[{name!r}]")
    if len({"seed" in data[name].dims for name in names}) > 1:
        raise FitError("some observables have a dim 'seed' and some have not: give seeds for all of them or for none")
    if stderr is None:
        return dict(data), None
    if not isinstance(stderr, Mapping | xr.Dataset) or set(stderr) != set(names):
        raise FitError(f"stderr of several observables must be a mapping with their names, {', '.join(names)}")
    return dict(data), {name: stderr[name] for name in names}


def check_labels(data: Any, size: str, control: str, name: str = "data", law: str = "a collapse") -> None:
    """Refuse data without the dims and numbers that curves of several sizes need."""
    if not isinstance(data, xr.DataArray):
        as_floats(data, name, (str(size), str(control)))
    clash = [name for name in (size, control) if name in _RESERVED]
    if clash:
        raise FitError(f"{clash[0]!r} names a dim of the result: rename that of the data")
    if size == control or set(data.dims) - {"seed"} != {size, control}:
        raise FitError(
            f"the data have dims {', '.join(map(str, data.dims))}; {law} takes {size}, {control} and perhaps seed"
        )
    if data.dtype.kind not in "fiub":
        raise FitError(f"the data are of dtype {data.dtype}; {law} takes real numbers")
    if not data.sizes[control] or not data.sizes[size]:
        raise FitError(f"the data have no label along {size if not data.sizes[size] else control!r}")
    if np.isinf(data.to_numpy()).any():
        raise FitError(f"the data are infinite at {place_of(data, np.isinf(data.to_numpy()))}: mask them")
    if control not in data.coords:
        raise FitError(f"the data have no coordinate {control!r}: {law} needs the values of the control")
    values = data[control].to_numpy()
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise FitError(f"the coordinate {control!r} must hold finite numbers, got {values.tolist()}")


def curves_of(data: xr.DataArray, size: str, control: str, stderr: Any, unit: float, zeros: str) -> Sample:
    """The means of curves in some unit, the control ascending; with known errors every value needs one."""
    data = data.sortby(control).astype(float) / unit
    if stderr is None:
        return from_data(data, size, zeros=zeros)
    errors = number_or_labelled(stderr, "stderr", (size, control))
    errors = errors.sortby(control) if control in errors.coords and control in errors.dims else errors
    sample = from_data(data, size, errors / abs(unit), zeros=zeros)
    unknown = np.isfinite(sample.mean) & ~np.isfinite(np.asarray(sample.stderr))
    if unknown.any():
        plane = data.transpose(control, size).sortby(size)
        raise FitError(f"stderr is missing where the data have a value, at {place_of(plane, unknown)}")
    return sample


def _covariance(given: Any, data: xr.DataArray, size: str, control: str) -> xr.DataArray:
    """A covariance with dims (control_i, control_j) and perhaps the size, at all labels of the data."""
    pair = [f"{control}_i", f"{control}_j"]
    if isinstance(given, np.ndarray) and given.shape == (data.sizes[control],) * 2:
        given = xr.DataArray(given, dims=pair)
    if not isinstance(given, xr.DataArray) or set(given.dims) - {size} != set(pair):
        raise FitError(
            f"covariance must be a DataArray with dims {', '.join(pair)} and perhaps {size}, or an array "
            f"({control}, {control}) for all sizes, got {_shape(given)}"
        )
    given = as_floats(given, "covariance")
    for dim, like in ((pair[0], control), (pair[1], control), (size, size)):
        if dim in given.dims and dim not in given.coords:
            if given.sizes[dim] != data.sizes[like]:
                raise FitError(f"covariance has length {given.sizes[dim]} along {dim!r}, the data {data.sizes[like]}")
            given = given.assign_coords({dim: data[like].to_numpy()})
        if dim in given.dims and not np.isin(data[like].to_numpy(), given[dim].to_numpy()).all():
            raise FitError(f"covariance lacks labels of the data along {dim!r}")
    labels = data[control].to_numpy()
    matrix: xr.DataArray = given.sel(dict.fromkeys(pair, labels)).transpose(..., *pair)
    values = matrix.to_numpy()
    if not np.isfinite(values).all() or not np.allclose(values, np.swapaxes(values, -1, -2), rtol=1e-8, atol=0):
        raise FitError("covariance must be finite and symmetric")
    eigenvalues = np.linalg.eigvalsh(values)
    if not (eigenvalues[..., 0] > _DECIDED * eigenvalues[..., -1]).all():
        raise FitError("covariance must be positive definite: add the variance that each point has of its own")
    return matrix


def _shape(given: Any) -> str:
    if isinstance(given, xr.DataArray):
        return f"dims {', '.join(map(str, given.dims))}"
    return f"an array {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__


def _ends(window: Any) -> tuple[float, float] | str | None:
    """The ends of a window in u."""
    if window is None or (isinstance(window, str) and window == "auto"):
        return window
    given = np.asarray(window)
    if given.dtype.kind in "fiu" and given.shape in ((), (2,)):
        low, high = (-float(given), float(given)) if given.ndim == 0 else map(float, given)
        if low < high:
            return low, high
    raise FitError(f'window={window!r} must be a positive number or a pair (low, high) of rising numbers, or "auto"')
