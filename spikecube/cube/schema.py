"""The one place that names the dims, coordinates and variables of a cube."""

from __future__ import annotations

from dataclasses import dataclass, replace

DIMS = ("alpha", "n", "seed", "lam", "rank", "degree", "ell", "bin")  # then the further axes of a study

STATUS = {"pending": 0, "ok": 1, "failed": 2, "nonfinite": 3, "absent": 4}
"""States of a point; absent ones are not asked for by the study, which gives their size fewer seeds."""


@dataclass(frozen=True)
class Variable:
    """One labelled quantity: its dims (further axes of the study come after them), symbol and long name."""

    name: str
    dims: tuple[str, ...]
    symbol: str
    long_name: str
    dtype: str = "float64"

    @property
    def cell_dims(self) -> tuple[str, ...]:
        """The dims that remain within one cell, where n and seed are fixed."""
        return tuple(d for d in self.dims if d not in ("n", "seed"))


def _table(*variables: Variable) -> dict[str, Variable]:
    return {v.name: v for v in variables}


_POINT = ("alpha", "n", "seed")
_DRAW = ("n", "seed")

COORDINATES = _table(
    Variable("alpha", ("alpha",), "alpha", "exponent of the step size, eta = eta_0 n^alpha"),
    Variable("n", ("n",), "n", "samples in the ridge batch", "int64"),
    Variable("seed", ("seed",), "seed", "replicate index", "int64"),
    Variable("lam", ("lam",), "lambda", "ridge penalty"),
    Variable("rank", ("rank",), "i", "index of a singular value, 1 is the largest", "int64"),
    Variable("degree", ("degree",), "k", "degree of a monomial of x.beta", "int64"),
    Variable("ell", ("ell",), "ell", "number of spikes kept in F_ell", "int64"),
    Variable("bin", ("bin",), "b", "middle of a histogram bin of the singular values of F/sqrt(n)"),
    Variable("dim", ("n",), "d", "input dimension", "int64"),
    Variable("width", ("n",), "N", "hidden units", "int64"),
    Variable("eta", ("alpha", "n"), "eta", "step size"),
    Variable("ell_alpha", ("alpha",), "ell(alpha)", "number of spikes in the limit at this alpha", "int64"),
    Variable("bin_lower", ("bin",), "b_-", "lower edge of a histogram bin"),
    Variable("bin_upper", ("bin",), "b_+", "upper edge of a histogram bin"),
)

VARIABLES = _table(
    Variable("singular_value", (*_POINT, "rank"), "s_i(F)/sqrt(n)", "leading singular values of F/sqrt(n)"),
    Variable("singular_value_init", (*_DRAW, "rank"), "s_i(F_0)/sqrt(n)", "leading singular values of F_0/sqrt(n)"),
    Variable("outlier_count", _POINT, "#", "singular values of F/sqrt(n) beyond the detection edge"),
    Variable(
        "alignment",
        (*_POINT, "degree"),
        "cos^2(u_k, m_k)",
        "squared cosine of the left singular vector of the k-th spike with the k-th orthonormalised monomial",
    ),
    Variable(
        "subspace_alignment",
        (*_POINT, "degree"),
        "cos^2(U_k, M_k)",
        "smallest squared canonical cosine of the leading left singular subspace with the first k monomials",
    ),
    Variable("train_loss", (*_POINT, "lam"), "L_tr(F)", "training loss of F"),
    Variable("test_loss", (*_POINT, "lam"), "L_te(F)", "test loss of F"),
    Variable("train_loss_init", (*_DRAW, "lam"), "L_tr(F_0)", "training loss of F_0"),
    Variable("test_loss_init", (*_DRAW, "lam"), "L_te(F_0)", "test loss of F_0"),
    Variable("train_loss_spiked", (*_POINT, "lam", "ell"), "L_tr(F_ell)", "training loss of F_ell"),
    Variable("test_loss_spiked", (*_POINT, "lam", "ell"), "L_te(F_ell)", "test loss of F_ell"),
    Variable("equivalence_error", (*_POINT, "ell"), "|F - F_ell|/sqrt(n)", "operator norm of (F - F_ell)/sqrt(n)"),
    Variable("gradient_error", _DRAW, "|G - c_1 a beta^T|/|G|", "operator norm of G - c_1 a beta^T over that of G"),
    Variable(
        "gradient_alignment",
        _DRAW,
        "cos^2(v_1(G), beta)",
        "squared cosine of the leading right singular vector of G with beta",
    ),
    Variable("beta_alignment", _DRAW, "cos^2(beta, beta_*)", "squared cosine of beta with beta_*"),
    Variable("beta_power", _DRAW, "|beta|^2", "squared norm of beta = X^T y/n_0"),
    Variable("label_power", _DRAW, "mean y~^2", "mean square of the ridge labels"),
    Variable("test_label_power", _DRAW, "mean y_test^2", "mean square of the test labels"),
    Variable("readout_power", _DRAW, "|a|^2", "squared norm of the readout"),
    Variable("status", _POINT, "status", "state of the point", "int8"),
)

SPECTRUM = Variable("spectrum", (*_POINT, "bin"), "count", "singular values of F/sqrt(n) in each bin")


def measured(name: str) -> Variable:
    """The measured variable of a name."""
    return SPECTRUM if name == SPECTRUM.name else VARIABLES[name]


DERIVED = _table(
    Variable("detection_edge", ("alpha", "n"), "s_+", "singular value of F/sqrt(n) beyond which an outlier is counted"),
)
"""Made when a cube is assembled, not measured."""


def _foretold(name: str) -> Variable:
    """The prediction of a measured variable, which has no seed."""
    known = VARIABLES[name]
    return replace(known, dims=tuple(d for d in known.dims if d != "seed"), long_name=f"predicted {known.long_name}")


PREDICTED = _table(
    *map(_foretold, ("train_loss", "test_loss", "train_loss_init", "test_loss_init")),
    *map(_foretold, ("train_loss_spiked", "test_loss_spiked")),
    Variable("train_loss_limit", ("alpha", "lam"), "lim L_tr", "limit of the training loss as n grows"),
    Variable("test_loss_limit", ("alpha", "lam"), "lim L_te", "limit of the test loss as n grows"),
    Variable("singular_value", ("alpha", "n", "rank"), "s_i", "predicted outliers of F/sqrt(n); NaN: no outlier"),
    Variable("singular_value_init", ("n", "rank"), "s_i", "predicted outliers of F_0/sqrt(n); NaN: no outlier"),
    Variable("bulk_edge", ("alpha", "n"), "s_+", "predicted edge of the bulk of singular values of F/sqrt(n)"),
    DERIVED["detection_edge"],
    Variable("outlier_count", ("alpha", "n"), "#", "predicted outliers of F/sqrt(n) beyond the detection edge"),
    _foretold("alignment"),
    Variable(
        "train_loss_remainder", ("alpha", "n", "lam"), "dL_tr(F)", "how far the predicted training loss may be off"
    ),
    Variable("test_loss_remainder", ("alpha", "n", "lam"), "dL_te(F)", "how far the predicted test loss may be off"),
    Variable("best_linear_loss", (), "L_lin", "test loss of the best linear predictor, which knows the target"),
)
"""What a prediction holds: the names of what it predicts where that is measured, with no `seed`."""

PREDICTED_BY_DRAW = ("train_loss", "test_loss", "singular_value")
"""What a prediction for the draws of a cube holds for each of its seeds."""
