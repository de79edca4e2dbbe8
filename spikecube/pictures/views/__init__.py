"""Each view answers one question about a cube: a cube in, a HoloViews object out.

Markers are measured (means over seeds, bars of one standard error), lines are predicted, dashes are limits. What is not
chosen by keyword stands at its default: the largest alpha and n, the middle of every other axis. A view that lacks its
data is a sentence in its place. Every view knows `logx` and `logy`, which make an axis logarithmic or not, and one that
draws points of a cube `other`, a second cube, whose marks are hollow and named with the labels where it differs. `fit`
and `collapse` draw fits of anybody's data too, and `design` a design of seeds.
"""

from typing import Any

from holoviews import Layout, Overlay

from spikecube.pictures.entry import stands_for

from spikecube.pictures.views.spectrum import spectrum  # isort: skip
from spikecube.pictures.views import spikes
from spikecube.pictures.views.spikes import alignments, outlier_count, singular_values

from spikecube.pictures.views.losses import agreement, loss, loss_against_penalty, losses  # isort: skip
from spikecube.pictures.views.outliers import outlier_agreement  # isort: skip
from spikecube.pictures.views.fits import exponents, gaps, limits  # isort: skip
from spikecube.pictures.views.any_fit import fit, picture_of_fit  # isort: skip
from spikecube.pictures.views.designs import design  # isort: skip
from spikecube.pictures.views.means import means  # isort: skip

__all__ = [
    "agreement",
    "alignments",
    "collapse",
    "design",
    "exponents",
    "fit",
    "gaps",
    "limits",
    "loss",
    "loss_against_penalty",
    "losses",
    "means",
    "outlier_agreement",
    "outlier_count",
    "singular_values",
    "spectrum",
]


def __dir__() -> list[str]:
    return __all__


def collapse(data: Any, **options: Any) -> Overlay | Layout:
    """Do the sizes fall on one curve? A result of `spikecube.collapse`, or the spike of degree `k` of a cube."""
    return picture_of_fit(data, **options).view() if "scaled_control" in data else spikes.collapse(data, **options)


stands_for(collapse, spikes.collapse)
