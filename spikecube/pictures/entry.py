"""Views by name: a function with `@view` is what notebooks call, and what report and explorer find and draw.

A new view is one such function. It asks for what it draws by the names of its arguments: `cube`, `prediction`, `fit`,
`density`, `detachment`, `scores`, `brush`, and the labels of axes. Every view knows `logx` and `logy` besides, and one
that draws points of a cube `other`, a second cube.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec

import holoviews as hv
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.store import StoreError
from spikecube.means import spikes
from spikecube.means.comparisons import Compared, compared
from spikecube.means.places import LabelError, Missing, aligned, further_axes, refuse_unknown
from spikecube.pictures import picture, predicted, second
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Picture
from spikecube.pictures.scales import scaled


@dataclass(frozen=True)
class Scene:
    """A cube, and the prediction and fits that are there; the prediction is put on the labels of the cube.

    A prediction for each draw is drawn as its mean; where it is `compared`, each draw is held against its own.
    `fine` is the prediction of the losses at more sizes and penalties, for smooth lines; `bulk` gives the density of
    the bulk at a place, None where it is not known yet.
    """

    cube: xr.Dataset
    prediction: xr.Dataset | None = None
    fits: Mapping[str, xr.Dataset] = field(default_factory=dict)
    fine: xr.Dataset | None = None
    bulk: Callable[..., xr.DataArray | None] = predicted.bulk
    compared: Compared = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compared", compared(self.cube, self.prediction))
        object.__setattr__(self, "prediction", self.compared.prediction)

    def scores(self, variable: str) -> xr.Dataset | None:
        """The z-scores of a variable; None without a prediction."""
        return None if self.prediction is None else self.compared.scores(variable)

    def density(self, **where: Any) -> xr.DataArray | None:
        """The predicted density of the bulk at one place; None without a prediction."""
        return None if self.prediction is None else self.bulk(self.cube, **where)

    def detachment(self, **where: Any) -> xr.DataArray | None:
        """From which alpha theory has each spike counted; None where it has no singular values."""
        if self.prediction is None or "singular_value" not in self.prediction:
            return None
        return spikes.detachment(self.cube, self.prediction, **where)

    def fit(self, law: str) -> xr.Dataset | None:
        """The fit of a law, None where it was not made."""
        return self.fits.get(law)


P = ParamSpec("P")
Shown = Callable[..., hv.Overlay | hv.Layout]
_NEEDED = ("alpha", "n", "seed", "lam")
_COMMON = ("other", "logx", "logy")
_PICTURES: dict[Shown, Callable[..., Picture]] = {}
_OF_SCENE: dict[str, Callable[[Scene, Entry, dict[str, Any]], Any]] = {
    "cube": lambda scene, entry, where: scene.cube,
    "prediction": lambda scene, entry, where: scene.prediction,
    "fine": lambda scene, entry, where: scene.fine,
    "fit": lambda scene, entry, where: scene.fit(entry.fit),
    "density": lambda scene, entry, where: scene.density(**where),
    "detachment": lambda scene, entry, where: scene.detachment(**where),
    "scores": lambda scene, entry, where: scene.scores(entry.fixed["variable"]),
}


@dataclass(frozen=True)
class Entry:
    """A view as report and explorer offer it.

    Attributes
    ----------
    name, title : in addresses and in menus.
    axes : those with a slider.
    question : the section of the report that it stands in; none keeps it out of the report.
    alpha_axis : whether alpha lies on its x axis, so that a brush can mark an interval.
    fit : the law whose fit it takes.
    fixed : keywords of the view that this entry sets.
    overlays : whether a second cube may be drawn over the first: not over a map, nor over fits alone.
    """

    name: str
    title: str
    axes: tuple[str, ...] = ()
    question: str = ""
    alpha_axis: bool = False
    fit: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    overlays: bool = True
    shown: Shown | None = None

    def draw(self, scene: Scene, brush: Brush, **where: Any) -> Picture:
        """The picture at labels of its axes and of the further axes of the cube; a sentence for what is missing.

        Among the labels may be `other`, `logx` and `logy`.
        """
        assert self.shown is not None
        wanted = inspect.signature(self.shown).parameters
        try:
            given = {name: of(scene, self, where) for name, of in _OF_SCENE.items() if name in wanted}
        except Missing as missing:
            return picture.note(str(missing))
        if "cube" not in wanted:  # a view of a fit alone
            if given["fit"] is None:
                return picture.note("Nothing is fitted yet.")
            where = {name: value for name, value in where.items() if name in _COMMON}
        marked = {"brush": brush} if "brush" in wanted else {}
        return picture_of(self.shown)(**given, **self.fixed, **marked, **where)


CATALOGUE: dict[str, Entry] = {}
"""Every view by its name, in the order in which they are offered."""


def view(*entries: Entry) -> Callable[[Callable[P, Picture]], Callable[P, hv.Overlay | hv.Layout]]:
    """Makes a function that returns a picture a view: a HoloViews object of a cube however it was cut.

    What the cube lacks is a sentence in its place. Each entry is one way to offer it in report and explorer.
    """

    def register(draw: Callable[P, Picture]) -> Callable[P, hv.Overlay | hv.Layout]:
        shown = _shown(draw, sorted({axis for entry in entries for axis in entry.axes}))
        for entry in entries:
            CATALOGUE[entry.name] = replace(entry, shown=shown)
        return shown

    return register


def picture_of(shown: Shown) -> Callable[..., Picture]:
    """The function that makes a view's picture, layers as plain columns, from the same arguments."""
    return _PICTURES[shown]


def stands_for(shown: Shown, other: Shown) -> None:
    """Gives a function the picture of a view that it hands cubes to."""
    _PICTURES[shown] = _PICTURES[other]


def _shown(draw: Callable[P, Picture], axes: Sequence[str]) -> Callable[P, hv.Overlay | hv.Layout]:
    signature = _signature(draw)

    @functools.wraps(draw)
    def shown(*args: P.args, **kwargs: P.kwargs) -> hv.Overlay | hv.Layout:
        given = signature.bind(*args, **kwargs)
        try:
            for name in ("cube", "other"):
                if name in given.arguments and (name == "cube" or given.arguments[name] is not None):
                    given.arguments[name] = as_cube(given.arguments[name], *_NEEDED)
            return _PICTURES[shown](*given.args, **given.kwargs).view()
        except StoreError as lacking:
            return picture.note(f"{lacking}.").view()

    shown.__signature__ = signature  # type: ignore[attr-defined]
    shown.__annotations__ = {**draw.__annotations__, "return": hv.Overlay | hv.Layout}
    _PICTURES[shown] = functools.partial(_drawn, draw, axes)
    return shown


def _signature(draw: Callable[P, Picture]) -> inspect.Signature:
    """The signature of a view with the keywords that all of them know."""
    own = inspect.signature(draw)
    common = _COMMON if next(iter(own.parameters)) == "cube" else _COMMON[1:]
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in common]
    parameters = list(own.parameters.values())
    place = len(parameters) - any(p.kind is p.VAR_KEYWORD for p in parameters)
    return own.replace(parameters=[*parameters[:place], *added, *parameters[place:]])


def _drawn(
    draw: Callable[..., Picture],
    axes: Sequence[str],
    *args: Any,
    other: xr.Dataset | None = None,
    logx: bool | None = None,
    logy: bool | None = None,
    **kwargs: Any,
) -> Picture:
    """What a view draws, a second cube over it, on the axes that are asked for."""
    bound = _bound(draw, args, kwargs)
    made = _or_sentence(draw, bound)
    if other is not None and not made.note:
        made = _with_second(draw, axes, made, bound, other)
    return scaled(made, logx, logy)


def _or_sentence(draw: Callable[..., Picture], bound: Mapping[str, Any]) -> Picture:
    """What a view draws, or a sentence where it has nothing measured to draw."""
    try:
        made = draw(**bound)
    except Missing as missing:
        return picture.note(str(missing))
    if any(len(layer.column(0)) for layer in made.layers if layer.measured):
        return made
    return picture.note("Nothing is measured here yet.")


def _with_second(
    draw: Callable[..., Picture], axes: Sequence[str], made: Picture, bound: Mapping[str, Any], other: xr.Dataset
) -> Picture:
    """A picture with the same view of a second cube over it."""
    if "cube" not in bound:
        raise LabelError(f"{draw.__name__} draws a fit: other, a second cube, has no place in it")
    along = {bound.get(name, _default(draw, name)) for name in ("x", "colour")}  # axes that it draws along
    cube, variable = bound["cube"], bound.get("variable", _default(draw, "variable"))
    apart = [a for a in axes if a not in along and (variable not in cube or a in cube[variable].dims)]
    labels, moved = second.place_in(other, cube, apart, bound)
    own = {name: value for name, value in bound.items() if name not in (*_OF_SCENE, "brush", *labels)}
    own = {name: value for name, value in own.items() if name not in further_axes(cube)}
    return second.laid_over(made, _or_sentence(draw, {**own, "cube": other, **labels}), moved)


def _default(draw: Callable[..., Picture], name: str) -> Any:
    found = inspect.signature(draw).parameters.get(name)
    return None if found is None else found.default


def _bound(draw: Callable[..., Picture], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a view by name: keywords that it does not know refused, the prediction on the cube's labels."""
    signature = inspect.signature(draw)
    arguments = signature.bind(*args, **kwargs).arguments
    further = arguments.pop("further", {})
    data = arguments["cube" if "cube" in arguments else "fit"]
    known = [
        name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY and name not in ("brush", "fine")
    ]
    refuse_unknown(data, draw.__name__, known, list(further))
    if arguments.get("prediction") is not None:
        arguments["prediction"] = aligned(arguments["prediction"], data)
    return {**arguments, **further}
