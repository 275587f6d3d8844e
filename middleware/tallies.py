"""Counts of what a process did, kept where they cost least: in plain lists, of each thread its own.

Nothing is shared on the way of a job, so there is no lock and no lost count. Whoever asks (a scrape) adds
the threads up. prometheus_client's own counters take a lock and some 2 µs for each of six numbers.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jobs.model import Outcome

#: Upper bounds of wait and run times in seconds. The last bucket has none.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0)
#: Where first attempts and later ones are counted, by outcome.
FIRST = {outcome: 2 * place for place, outcome in enumerate(Outcome)}
#: Types of errors that a queue has series for; further ones are OTHER.
MOST_ERROR_TYPES = 50
#: All that are not told apart. No tenant and no type has such a name; `label_of` gives it one for people.
OTHER = "\0"
#: Threads that may have ended before what they counted is taken over.
FOLD_AT = 64


@dataclass(slots=True)
class Tally:
    """What happened to the jobs of one actor in one queue. Times are seconds."""

    sent: int = 0
    known: int = 0  # sent, and there already
    outcomes: list[int] = field(default_factory=lambda: [0] * (2 * len(Outcome)))
    waits: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    wait_sum: float = 0.0
    runs: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    run_sum: float = 0.0

    def ended(self, outcome: Outcome, attempt: int, wait: float, run: float) -> None:
        """One run; a time below 0 is not known."""
        self.outcomes[FIRST[outcome] + (attempt > 1)] += 1
        if wait >= 0:
            self.waits[bisect_left(BOUNDS, wait)] += 1
            self.wait_sum += wait
        if run >= 0:
            self.runs[bisect_left(BOUNDS, run)] += 1
            self.run_sum += run

    def add(self, other: "Tally") -> None:
        self.sent += other.sent
        self.known += other.known
        self.wait_sum += other.wait_sum
        self.run_sum += other.run_sum
        for mine, its in (
            (self.outcomes, other.outcomes),
            (self.waits, other.waits),
            (self.runs, other.runs),
        ):
            for place, count in enumerate(its):
                mine[place] += count


@dataclass(slots=True)
class Sheet:
    """What one thread counted."""

    actors: dict[tuple[str, str], Tally] = field(default_factory=dict)  # by queue and actor
    tenants: dict[tuple[str, str, Outcome], int] = field(default_factory=dict)  # by queue, tenant, outcome
    errors: dict[tuple[str, str], int] = field(default_factory=dict)  # by queue and type

    def add(self, other: "Sheet") -> None:
        # Copies: the thread that owns the other one goes on writing.
        for actor, its in other.actors.copy().items():
            mine = self.actors.get(actor)
            if mine is None:
                mine = self.actors[actor] = Tally()
            mine.add(its)
        for tenant, count in other.tenants.copy().items():
            self.tenants[tenant] = self.tenants.get(tenant, 0) + count
        for error, count in other.errors.copy().items():
            self.errors[error] = self.errors.get(error, 0) + count


class Tallies:
    """`most_tenants` is how many tenants are told apart; 0: none are counted."""

    def __init__(self, most_tenants: int = 0, *, by_error: bool = False) -> None:
        self.most_tenants = most_tenants
        self.by_error = by_error
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sheets: list[tuple[threading.Thread, Sheet]] = []
        self._past = Sheet()  # of threads that have ended
        self._tenants: set[str] = set()
        self._types: dict[str, set[str]] = {}

    def here(self) -> Sheet:
        """The sheet of this thread."""
        try:
            sheet: Sheet = self._local.sheet
        except AttributeError:
            sheet = self._new_sheet()
        return sheet

    def of(self, queue: str, actor: str) -> Tally:
        """This thread's tally of an actor."""
        sheet, key = self.here(), (queue, actor)
        tally = sheet.actors.get(key)
        if tally is None:
            tally = sheet.actors[key] = Tally()
        return tally

    def tenant(self, queue: str, tenant: str, outcome: Outcome) -> None:
        """One run of a tenant's job."""
        if tenant not in self._tenants:
            if len(self._tenants) < self.most_tenants:
                self._tenants.add(tenant)
            else:
                tenant = OTHER
        counts, key = self.here().tenants, (queue, tenant, outcome)
        counts[key] = counts.get(key, 0) + 1

    def error(self, queue: str, kind: str) -> None:
        """One failed run."""
        types = self._types.setdefault(queue, set())
        if kind not in types:
            if len(types) < MOST_ERROR_TYPES:
                types.add(kind)
            else:
                kind = OTHER
        counts, key = self.here().errors, (queue, kind)
        counts[key] = counts.get(key, 0) + 1

    def total(self) -> Sheet:
        """What all threads counted until now."""
        with self._lock:
            self._fold()
            whole = Sheet()
            whole.add(self._past)
            for _, sheet in self._sheets:
                whole.add(sheet)
            return whole

    def _new_sheet(self) -> Sheet:
        sheet = self._local.sheet = Sheet()
        with self._lock:
            if len(self._sheets) >= FOLD_AT:
                self._fold()
            self._sheets.append((threading.current_thread(), sheet))
        return sheet

    def _fold(self) -> None:
        ended = [sheet for thread, sheet in self._sheets if not thread.is_alive()]
        if ended:
            self._sheets = [(thread, sheet) for thread, sheet in self._sheets if thread.is_alive()]
            for sheet in ended:
                self._past.add(sheet)


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers of one kind as they are now, for a scrape. `rows` are the labels' values and the number."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    rows: tuple[tuple[tuple[str, ...], float], ...] = ()
    counter: bool = False  # it only grows


def label_of(name: str) -> str:
    """A tenant or type as a label: `other` are those that are not told apart. One that is really named so is
    `=other`, and one named `=other` is `==other`."""
    if name == OTHER:
        return "other"
    return f"={name}" if name.endswith("other") and name.lstrip("=") == "other" else name


def cumulative(counts: list[int]) -> Iterator[tuple[str, int]]:
    """Buckets as Prometheus counts them: each with all below it."""
    total = 0
    for bound, count in zip((*map(_bound, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        yield bound, total


def _bound(seconds: Any) -> str:
    return f"{seconds:g}"
