"""The view of any variable against any axis, coloured by another."""

from __future__ import annotations

from typing import Any

import xarray as xr

from spikecube.means.comparisons import means_at
from spikecube.means.places import LabelError, Missing, fixed, foretold, further_axes, sliced
from spikecube.means.places import variable as known
from spikecube.pictures import marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.parts import labelled, which_means
from spikecube.words import symbols

MOST_SERIES = len(style.SERIES)
_COUNTED = ("rank", "degree", "ell")


@view(Entry("means", "Any variable", ("alpha", "n", "lam")))
def means(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    variable: str = "test_loss",
    x: str = "alpha",
    colour: str = "n",
    component: int = 1,
    alpha: float | None = None,
    n: int | None = None,
    lam: float | None = None,
    controls: bool = True,
    brush: Brush = None,
    **further: Any,
) -> Picture:
    """How does a variable change along an axis? Its means against `x`, one series for each label of `colour`.

    Parameters
    ----------
    variable : any measured variable of the cube.
    x, colour : axes that it depends on, `x` of numbers; "" for one series alone.
    component : the label along `rank`, `degree` or `ell`, where the variable has one of these.
    controls : means with control variates where the cube has them, see `means_at`.
    """
    labels = {"alpha": alpha, "n": n, "lam": lam, **dict.fromkeys(_COUNTED, component)} | fixed(cube, further)
    dims = _dims(cube, variable, x, colour)
    where = {d: label for d, label in labels.items() if d in dims and d not in (x, colour)}
    data = means_at(cube, variable, controls=controls, along=(x, colour), **where)
    shown = style.thin(data[colour].values.tolist(), MOST_SERIES) if colour else [None]
    layers: list[Layer] = []
    for i, label in enumerate(shown):
        looks = _looks(colour, len(shown), i)
        at_label = {} if label is None else {colour: label}
        series = _named(colour, label)
        line = _predicted(prediction, variable, x, where | at_label)
        if line is not None:
            series_label, tone = f"predicted{series}", looks["colour"]
            layers.append(marks.line(line[x], line, x, variable, label=series_label, colour=tone))
        one = sliced(data, **at_label)
        layers += marks.points(one, x, variable, label=f"measured{series}", brush=brush, **looks)
    spot = symbols.labels_text(data, [d for d in dims if d not in (x, colour)])
    title = f"{symbols.symbol(variable)} against {symbols.symbol(x)}{f' at {spot}' if spot else ''}{which_means(data)}"
    return labelled(layers, title, x, variable)


def axes_of(cube: xr.Dataset, name: str) -> list[str]:
    """The axes that a variable may be drawn along: those with more than one label."""
    allowed = ("alpha", "n", "lam", *_COUNTED, *further_axes(cube))
    return [d for d in allowed if d in cube[name].dims and cube.sizes[d] > 1]


def drawable(cube: xr.Dataset) -> list[str]:
    """The measured variables that can be drawn so: means over seeds along one axis at least."""
    return [str(name) for name, v in cube.data_vars.items() if "seed" in v.dims and v.dtype.kind == "f"
            and "bin" not in v.dims and axes_of(cube, str(name))]  # fmt: skip


def _dims(cube: xr.Dataset, name: str, x: str, colour: str) -> list[str]:
    dims = [str(d) for d in known(cube, name).dims if d != "seed"]
    for axis in filter(None, (x, colour)):
        if axis not in dims:
            raise Missing(f"{name} does not depend on {axis}; it depends on {', '.join(dims)}.")
    if x == colour:
        raise Missing(f"{x} cannot be both on the axis and the colour.")
    if cube[x].dtype.kind not in "iuf":
        raise Missing(f"{x} has names, not numbers: it can be the colour, not the axis.")
    return dims


def _looks(colour: str, count: int, place: int) -> dict[str, Any]:
    """Ordered colours for axes of numbers that grow, one marker a series."""
    colours = style.ordered_colours(count) if colour in ("n", "alpha", "lam", "") else style.SERIES
    return {"colour": colours[place], "marker": style.markers(count)[place]}


def _named(colour: str, label: Any) -> str:
    if label is None:
        return ""
    return f", {symbols.symbol(colour)} = {symbols.value(label)}"


def _predicted(prediction: xr.Dataset | None, name: str, x: str, where: dict[str, Any]) -> xr.DataArray | None:
    """What theory has along the axis, where it has these labels."""
    if prediction is None or name not in prediction or x not in prediction[name].dims:
        return None
    found = prediction[name]
    try:
        return foretold(found, **where) if "alpha" in where else sliced(found, **where)
    except LabelError:
        return None
