"""Whether a long queue is slower to work off: the drain of one process with 1,000,000 jobs waiting against
10,000.

A million jobs are put in once. They wait in another database of the same server while the short queue is
measured, so that the two alternate without being filled anew. Each window begins with so many waiting.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.drain import progress, rate
from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import Ours, Side, only_ours
from benchmarks.workers import Workers

LONG, SHORT = 1_000_000, 10_000
#: Jobs that are settled before a window begins, and in it.
WARM_UP, WINDOW = 1_500, 8_000
#: A window is half a second, in which the cores of a machine change their speed.
PAIRS = 15
#: 0 is ours, 1 is stock's.
ASIDE = 2


def measure(side: Side, turn: Round) -> Reading:
    """The median of the pairs' ratios, long to short."""
    ours = only_ours(side)
    warm_up, window = turn.scaled(WARM_UP), turn.scaled(WINDOW)
    ours.clear()
    ours.fill(turn.scaled(LONG) + warm_up)
    long: list[float] = []
    short: list[float] = []
    for pair in range(turn.scaled(PAIRS, least=1)):
        for measured in (long, short) if pair % 2 else (short, long):
            if measured is long:
                long.append(_window(ours, turn, warm_up, window))
                ours.fill(warm_up + window)
            else:
                with _set_aside(ours):
                    ours.clear()
                    ours.fill(turn.scaled(SHORT) + warm_up)
                    short.append(_window(ours, turn, warm_up, window))
    ratios = [one / other for one, other in zip(long, short, strict=True)]
    parts = {"long jobs/s": median(long), "short jobs/s": median(short)}
    ours.clear()
    return Reading(median(ratios), parts, ratios)


@contextmanager
def _set_aside(ours: Ours) -> Iterator[None]:
    """Another database in the place of ours."""
    ours.server.swapdb(0, ASIDE)
    try:
        yield
    finally:
        ours.server.swapdb(0, ASIDE)


def _window(ours: Ours, turn: Round, warm_up: int, window: int) -> float:
    with Workers(ours, 1, turn.home) as workers:
        return rate(list(progress(ours, workers, warm_up + window)), warm_up, warm_up + window)


BACKLOG_DRAIN = Measurement(
    "backlog_drain",
    "×",
    True,
    Target(least=0.9),
    measure,
    without_stock="it compares a long queue with a short one",
    rounds=1,
)
