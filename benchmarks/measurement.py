"""What a measurement is, and the few sums that all of them share."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sides import Side


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of one row. Both sides get the same `number`, so the same random draws.

    `scale` shortens the work (for the smoke test); `home` is a folder for sockets and logs.
    """

    number: int
    scale: float
    home: Path

    def scaled(self, count: int, least: int = 10) -> int:
        return max(least, round(count * self.scale))

    def scaled_s(self, seconds: float) -> float:
        """For waits that are part of the work: at least a second."""
        return max(1.0, seconds * self.scale)

    def draws(self) -> random.Random:
        return random.Random(self.number)


@dataclass(frozen=True, slots=True)
class Reading:
    """One side's value of one round. `parts` are figures behind it, by what they are; `raw` the values that
    it is the median of, if it is one. `at_least`: nobody waited to the end, the true value is higher."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    raw: Sequence[float] = ()
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached, all that is given of it: `ratio` times stock; of our own value at `least`,
    at `most`, or truly `under`."""

    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    under: float | None = None

    def reached(self, ours: float, ratio: float | None) -> bool:
        return (
            (self.ratio is None or (ratio is not None and ratio >= self.ratio))
            and (self.least is None or ours >= self.least)
            and (self.most is None or ours <= self.most)
            and (self.under is None or ours < self.under)
        )

    def __str__(self) -> str:
        bounds = (
            ("≥", self.ratio, " ×"),
            ("≥", self.least, ""),
            ("≤", self.most, ""),
            ("<", self.under, ""),
        )
        return ", ".join(f"{sign} {bound:g}{unit}" for sign, bound, unit in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the table: `measure` returns one side's value of one round.

    `without_stock` says why only ours is measured; empty: both are, in turn. `rounds` is for what is
    counted rather than timed, or takes a minute: so often whatever is asked for.
    """

    name: str
    unit: str
    higher_is_better: bool
    target: Target
    measure: Callable[[Side, Round], Reading]
    without_stock: str = ""
    rounds: int | None = None

    def ratio(self, ours: float, theirs: float) -> float:
        """How many times better ours is; above 1 ours wins, whichever way the unit points."""
        return ours / theirs if self.higher_is_better else theirs / ours


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
