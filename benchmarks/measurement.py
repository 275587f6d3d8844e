"""What a measurement is, and the few sums that all of them share."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

    def scaled(self, count: int) -> int:
        return max(10, round(count * self.scale))

    def draws(self) -> random.Random:
        return random.Random(self.number)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the table: `measure` returns one side's value of one round."""

    name: str
    unit: str
    higher_is_better: bool
    measure: Callable[[Side, Round], float]

    def ratio(self, ours: float, theirs: float) -> float:
        """How many times better ours is; above 1 ours wins, whichever way the unit points."""
        return ours / theirs if self.higher_is_better else theirs / ours


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
