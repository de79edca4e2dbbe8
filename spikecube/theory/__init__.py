"""Limits and finite-n predictions in NumPy and SciPy only: the bulk, losses, outliers, exponents."""

from spikecube.theory.bulk import bulk_atom
from spikecube.theory.bulk_density import bulk_density
from spikecube.theory.conditional.density import conditional_density
from spikecube.theory.conditional.losses import finite_losses, initial_losses, spiked_losses
from spikecube.theory.edges import bulk_edge, detection_edge
from spikecube.theory.exponents import EXPONENTS
from spikecube.theory.losses import best_linear_loss, chosen_degrees, limit_losses
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.outliers import detachment_alphas, initial_outliers, predicted_outliers
from spikecube.theory.remainder import loss_remainders
from spikecube.theory.staircase import spike_count, threshold

__all__ = [
    "EXPONENTS",
    "ConvergenceError",
    "best_linear_loss",
    "bulk_atom",
    "bulk_density",
    "bulk_edge",
    "chosen_degrees",
    "conditional_density",
    "detachment_alphas",
    "detection_edge",
    "finite_losses",
    "initial_losses",
    "initial_outliers",
    "limit_losses",
    "loss_remainders",
    "predicted_outliers",
    "spike_count",
    "spiked_losses",
    "threshold",
]
