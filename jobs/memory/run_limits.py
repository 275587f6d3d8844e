"""Limits that count while jobs run, in memory: counters, permits, what waits, and providers' breakers."""

import math
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.limits import (
    Algorithm,
    BreakerTerms,
    News,
    Want,
    capacity,
    changed_terms,
)

PERMITS_KEPT_MS = 3_600_000
ONE_CUT_MS = 1_000
LEAST_SHARE = 20
LEVELS = (Algorithm.TOKEN_BUCKET, Algorithm.GCRA)
PERMITS = (Algorithm.CONCURRENCY, Algorithm.BREAKER)


@dataclass
class Level:
    """Of a bucket: tokens * per in microseconds, which run off by `limit` a microsecond."""

    level: int
    us: int
    per: int


@dataclass
class Breaker:
    failures: int = 0
    since: int = 0
    times: int = 0
    open_until: int = 0
    share: int = 1000
    cut_at: int = 0
    recover: int = 1

    def stands(self, now: int) -> str:
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def share_now(self, now: int) -> int:
        if not self.cut_at:
            return 1000
        return min(1000, self.share + 100 * ((now - self.cut_at) // self.recover))


@dataclass
class Taken:
    """What gives a part of a grant back."""

    key: str
    algorithm: Algorithm
    units: int
    at: int
    request: int
    window: int = 0


class Waiter(NamedTuple):
    """In the order in which they go on: a job by itself, or the scope that rests for it."""

    place: int
    job_id: str
    scope: str


@dataclass
class Refused:
    at: int
    drips: int
    scope: str
    key: str
    waiter: Waiter


@dataclass
class Holding:
    """What one delivery took, and what it was refused last."""

    token: int
    request: int = -1
    taken: list[Taken] = field(default_factory=list)
    refused: Refused | None = None
    probe: bool = False

    def permits(self, key: str) -> int:
        return sum(
            one.units for one in self.taken if one.key == key and one.algorithm is Algorithm.CONCURRENCY
        )


class RunLimits:
    """Counters by key. `now` is handed in: it stands still during a verb."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, str | None], dict[str, int]] = {}
        self.holdings: dict[str, Holding] = {}
        self.waiters: dict[str, list[Waiter]] = {}
        self.counters: dict[tuple[str, str], None] = {}  # key and tenant
        self.breakers: dict[str, Breaker] = {}
        self.expires: dict[str, int] = {}
        self._permits: dict[str, int] = {}
        self._windows: dict[str, tuple[int, int]] = {}
        self._logs: dict[str, list[tuple[int, str]]] = {}
        self._levels: dict[str, Level] = {}

    # What holds now

    def as_it_holds(self, want: Want, now: int) -> Want:
        """With what was changed while running, and no more than can ever be had."""
        terms = changed_terms(want.terms, self.changes.get((want.rule, None)))
        if want.tenant:
            terms = changed_terms(terms, self.changes.get((want.rule, want.tenant)))
        if want.slows:
            share = self.breakers.get(want.slows, Breaker()).share_now(now)
            terms = terms._replace(limit=max(1, terms.limit * share // 1000))
        if want.algorithm in LEVELS:
            terms = terms._replace(burst=capacity(want.algorithm, terms))
        cost = (
            want.cost
            if want.algorithm is Algorithm.BREAKER
            else min(want.cost, capacity(want.algorithm, terms))
        )
        return want._replace(terms=terms, cost=cost)

    def room(self, want: Want, now: int) -> tuple[float, float]:
        """Units that are free, and when as many as it wants are (inf: when somebody gives some back)."""
        key, limit, per, cost = want.key, want.terms.limit, want.terms.per_ms, want.cost
        match want.algorithm:
            case Algorithm.CONCURRENCY:
                free: float = limit - self._permits.get(key, 0)
                return free, now if free >= cost else math.inf
            case Algorithm.FIXED_WINDOW:
                free = limit - self.used_in_window(key, now // per)
                return free, now if free >= cost else (now // per + 1) * per
            case Algorithm.SLIDING_WINDOW:
                free = limit - self.used_of_log(key, now, per)
                return free, now if free >= cost else self.log_free_at(key, limit - cost + 1, per, now)
            case Algorithm.BREAKER:
                breaker = self.breakers.get(key, Breaker())
                stands = breaker.stands(now)
                if stands == "closed":
                    return math.inf, now
                if stands == "open":
                    return 0, breaker.open_until
                free = 1 - self._permits.get(key, 0)
                return free, now if free > 0 else math.inf
        spare = want.terms.burst * per * 1000 - self.level(want, now)
        return spare // (per * 1000), now + -(-self.level_wait(want, now) // 1000)

    def used_in_window(self, key: str, window: int) -> int:
        then, used = self._windows.get(key, (window, 0))
        return used if then == window else 0

    def level(self, want: Want, now: int) -> int:
        state = self._levels.get(want.key)
        if state is None:
            return 0
        level = state.level
        if state.per != want.terms.per_ms:
            level = level * want.terms.per_ms // state.per
        return max(0, level - (now * 1000 - state.us) * want.terms.limit)

    def level_wait(self, want: Want, now: int) -> int:
        """In how many microseconds a level has run off so far that the want has what it needs."""
        lacks = (want.cost - want.terms.burst) * want.terms.per_ms * 1000 + self.level(want, now)
        return max(0, -(-lacks // want.terms.limit))

    def used_of_log(self, key: str, now: int, per: int) -> int:
        log = self._logs.get(key, [])
        return len(log) - bisect_right(log, (now - per + 1,))

    def log_free_at(self, key: str, most: int, per: int, now: int) -> int:
        log = self._logs.get(key, [])
        return log[-most][0] + per if len(log) >= most else now

    # Taking and giving back

    def take(self, want: Want, job_id: str, token: int, request: int, now: int, wait_us: int = 0) -> Taken:
        """Take what is there, or will be in `wait_us`."""
        key, per, cost = want.key, want.terms.per_ms, want.cost
        at = now + wait_us // 1000
        taken = Taken(key, want.algorithm, cost, at, request)
        if want.algorithm in PERMITS:
            self._permits[key] = self._permits.get(key, 0) + cost
            self.remember(want, now + PERMITS_KEPT_MS)
        elif want.algorithm is Algorithm.FIXED_WINDOW:
            taken.window = now // per
            self._windows[key] = (taken.window, self.used_in_window(key, taken.window) + cost)
            self.remember(want, (taken.window + 1) * per)
        elif want.algorithm is Algorithm.SLIDING_WINDOW:
            log = self._logs.setdefault(key, [])
            del log[: bisect_right(log, (now - per + 1,))]
            for number in range(1, cost + 1):
                insort(log, (at, _entry(job_id, token, request, number)))
            self.remember(want, at + per)
        else:
            level = max(0, self.level(want, now) - wait_us * want.terms.limit) + cost * per * 1000
            self._levels[key] = Level(level, now * 1000 + wait_us, per)
            self.remember(want, at + -(-level // (want.terms.limit * 1000)))
        return taken

    def remember(self, want: Want, until: int) -> None:
        self.counters[want.key, want.tenant] = None
        self.expires[want.key] = until

    def free_permits(self, taken: Taken) -> int:
        left = self._permits.get(taken.key, 0) - taken.units
        self._permits[taken.key] = left
        if left <= 0:
            del self._permits[taken.key]
        return taken.units

    def put_back(self, taken: Taken, job_id: str, token: int) -> None:
        """What was taken by a delivery that did not run after all."""
        key = taken.key
        if taken.algorithm is Algorithm.SLIDING_WINDOW:
            log = self._logs.get(key, [])
            for number in range(1, taken.units + 1):
                entry = (taken.at, _entry(job_id, token, taken.request, number))
                if entry in log:
                    log.remove(entry)
        elif taken.algorithm is Algorithm.FIXED_WINDOW:
            window, used = self._windows.get(key, (taken.window, 0))
            if window == taken.window and key in self._windows:
                self._windows[key] = (window, max(0, used - taken.units))
        elif (state := self._levels.get(key)) is not None:
            state.level = max(0, state.level - taken.units * state.per * 1000)

    def forget_expired(self, now: int) -> None:
        """Counters that are as they were at their beginning, and that nobody waits for."""
        for key in [key for key, until in self.expires.items() if until <= now]:
            breaker = self.breakers.get(key)
            if self._permits.get(key) or self.waiters.get(key) or (breaker and breaker.open_until > now):
                self.expires[key] = now + PERMITS_KEPT_MS
                continue
            for known in (self.expires, self.breakers, self._windows, self._logs, self._levels, self.waiters):
                known.pop(key, None)
            self.counters = {counter: None for counter in self.counters if counter[0] != key}

    # Waiting

    def wait(self, key: str, waiter: Waiter) -> None:
        waiters = self.waiters.setdefault(key, [])
        if waiter not in waiters:
            insort(waiters, waiter)

    def wait_no_more(self, key: str, waiter: Waiter) -> None:
        if waiter in self.waiters.get(key, ()):
            self.waiters[key].remove(waiter)

    def first_waiter(self, key: str) -> Waiter | None:
        waiters = self.waiters.get(key)
        return waiters.pop(0) if waiters else None

    # Providers

    def news(
        self, key: str, news: News | None, terms: BreakerTerms, wait_ms: int, now: int, *, probe: bool
    ) -> bool:
        """Note it (None: an operator's reset); whether what waits may go on."""
        state = self.breakers.get(key) or Breaker()
        stands = state.stands(now)
        self.breakers[key] = state
        self.expires[key] = now + 86_400_000
        if news is None:
            del self.breakers[key]
            return True
        if news is News.WORKED:
            if stands != "half-open" or not probe:
                return False
            state.open_until = state.times = state.failures = 0
            return True
        if news is News.OVERLOADED and now - state.cut_at >= ONE_CUT_MS:
            state.share = max(LEAST_SHARE, state.share_now(now) * round(terms.cut * 1000) // 1000)
            state.cut_at, state.recover = now, terms.recover_ms
        if stands == "half-open" and probe:
            state.times += 1
            longer = min(terms.longest_ms, terms.open_ms * 2 ** min(state.times, 20))
            state.open_until, state.failures = now + max(longer, wait_ms), 0
        elif stands == "closed" and news is News.FAILED:
            if now - state.since > terms.window_ms:
                state.since, state.failures = now, 0
            state.failures += 1
            if state.failures >= terms.failures:
                state.open_until, state.failures = now + max(terms.open_ms, wait_ms), 0
        return False


def _entry(job_id: str, token: int, request: int, number: int) -> str:
    return f"{token}\x1f{job_id}\x1f{request}\x1f{number}"
