"""Solutions beyond the edge one at a time; the package asks for many side by side."""

from __future__ import annotations

from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.solutions import Point, Query, Search, side_by_side


def solve_outside(profile: Profile, x: float) -> Point | None:
    """The solution at x, or None where there is none because x is not beyond the edge."""

    def once() -> Search[Point | None]:
        return (yield Query(x))

    return side_by_side([profile], [once()])[0]
