"""Each view answers one question about a cube: a cube in, a HoloViews object out.

Markers are measured (means over seeds, bars of one standard error), lines are predicted, dashes are limits. What is not
chosen by keyword stands at its default: the largest alpha and n, the middle of every other axis. A view that lacks its
data is a sentence in its place.
"""

from spikecube.pictures.views.spikes import alignments, collapse, outlier_count, singular_values, spectrum

from spikecube.pictures.views.losses import agreement, loss, loss_against_penalty, losses  # isort: skip
from spikecube.pictures.views.outliers import outlier_agreement  # isort: skip
from spikecube.pictures.views.fits import exponents, gaps, limits  # isort: skip
from spikecube.pictures.views.means import means  # isort: skip

__all__ = [
    "agreement",
    "alignments",
    "collapse",
    "exponents",
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
