"""All claims, by letter."""

from __future__ import annotations

from scripts.claims import equivalence, few_dims, losses, networks, odd, spikes, thresholds
from scripts.claims.finding import Claim

_MEASURED = "Markers: measured, means over seeds with bars of one standard error. "

CLAIMS = {
    claim.letter: claim
    for claim in (
        Claim(
            "a_spectra",
            "How many spikes there are",
            "Bars: all singular values measured; spikes from the axis: those beyond the edge. Curve: predicted bulk at "
            "this n; stems: predicted edge and outliers. Claimed: one, two and three outliers.",
            spikes.judge_spectra,
            spikes.draw_spectra,
        ),
        Claim(
            "b_exponents",
            "How the spikes grow",
            "Markers: fitted exponents of the outliers with one standard error, left relative to the theory at each n, "
            "right of plain power laws. Dashes: claimed, 1/2 − k(1/2 − α).",
            spikes.judge_exponents,
            spikes.draw_exponents,
        ),
        Claim(
            "c_alignment",
            "Where the spikes point",
            _MEASURED + "Dotted: fitted power laws. Claimed: the left side falls to 0, the right side does not.",
            spikes.judge_alignment,
            spikes.draw_alignment,
            predicts=False,
        ),
        Claim(
            "d_equivalence",
            "Whether F is F_ℓ",
            _MEASURED + "Dotted: fitted power laws. Right: how many spikes the training loss needs; dashes: the "
            "threshold of the spike theorem and a published bound; lines: predicted at sizes beyond any simulation "
            "(*more* than three spikes is what the step's fluctuations ask for).",
            equivalence.judge_equivalence,
            equivalence.draw_equivalence,
        ),
        Claim(
            "e_staircase",
            "The staircase of the losses",
            _MEASURED + "Lines: predicted at each n, with the band of the theory's remainder; dashed "
            "steps: claimed limits with 1, 2, ... spikes; verticals: thresholds.",
            losses.judge_staircase,
            losses.draw_staircase,
        ),
        Claim(
            "f_degrees",
            "What each spike learns",
            _MEASURED
            + "Lines: predicted at this n, in the band of the remainder of the loss itself; dashes: claimed limits "
            "Δ₁ and Δ₂. At one n only η₀n^α counts: the rows at α = 0.42 are those at 0.2 with η₀ = 4.6.",
            losses.judge_degrees,
            losses.draw_degrees,
        ),
        Claim(
            "g_networks",
            "Other activations and readouts",
            _MEASURED
            + "Lines: predicted outliers, absent where none is predicted. Claimed: a second spike where c₂ ≠ 0.",
            networks.judge_networks,
            networks.draw_networks,
        ),
        Claim(
            "h_thresholds",
            "The critical step exponents",
            "Left: mean number of outliers measured; dashes: claimed thresholds; green: predicted at each n. "
            "Right: measured, with fitted power laws; claimed: level at α = 1/4.",
            thresholds.judge_thresholds,
            thresholds.draw_thresholds,
        ),
        Claim(
            "i_shapes",
            "Shapes far from square",
            _MEASURED
            + "Lines: predicted at this n, which is what is claimed, with the band of the theory's remainder; dashed "
            "steps: limits. d/n = 0.05 is followed up in l.",
            losses.judge_shapes,
            losses.draw_shapes,
        ),
        Claim(
            "j_output",
            "The scale of the output",
            _MEASURED
            + "Dotted: fitted power laws. Claimed: the vanishing output falls, the full one does not; nothing is "
            "predicted for it.",
            networks.judge_output,
            networks.draw_output,
            predicts=False,
        ),
        Claim(
            "k_chart",
            "From which size a spike is visible",
            _MEASURED + "Lines: predicted outlier over the edge beyond which it is counted; above 1 it is visible.",
            thresholds.judge_chart,
            thresholds.draw_chart,
        ),
        Claim(
            "l_few_dims",
            "Few input dimensions: a finding followed up",
            _MEASURED + "Dotted: fitted power laws. Dashes: the theory's own remainder. Before the theory knew "
            "the length of inputs, training losses at d = 20 lay 17 to 24 per cent above it: i1, i4 were refuted.",
            few_dims.judge_few_dims,
            few_dims.draw_few_dims,
        ),
        Claim(
            "m_third",
            "The third spike and its threshold",
            "Left: mean number of outliers measured; dashes: claimed thresholds; green: predicted at each n. "
            "Right: means over seeds with bars of one standard error; lines: predicted.",
            odd.judge_third,
            odd.draw_third,
        ),
        Claim(
            "n_odd",
            "Odd activations with the scale 1",
            _MEASURED + "Claimed: no second spike; a third, along (Xβ)³, only at sizes beyond these.",
            odd.judge_odd,
            odd.draw_odd,
        ),
    )
}
