"""Limits that count while the platform runs: what a job wants of them, what it is told, how they stand.

Policy (which limits there are, for which queues, for whom) is the settings' and the middleware's; a store
counts. A counter is one of a rule's: of a tenant, a user, a queue, a resource, or the only one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from jobs.errors import InvalidAdjustment, InvalidPayload

#: Between a rule and whose counter it is. No name holds it.
MARK = "\x1e"
LONGEST_RESOURCE = 100
LARGEST_LIMIT = 100_000
#: Of a sliding window each unit is an entry of its own.
LARGEST_COST = 1_000
LONGEST_PER_MS = 31 * 86_400_000
#: What of a rule can be changed while running.
CHANGEABLE = ("limit", "per_ms", "burst")


class Algorithm(StrEnum):
    CONCURRENCY = "concurrency"  # so many at once
    FIXED_WINDOW = "fixed_window"  # so many in each stretch that begins at a multiple of `per`
    SLIDING_WINDOW = "sliding_window"  # so many in any stretch of `per`
    TOKEN_BUCKET = "token_bucket"  # noqa: S105  it is no secret; up to `burst` at once (default: limit), filled again with limit / per
    GCRA = "gcra"  # the same with a burst of 1 by default: evenly spaced
    BREAKER = "breaker"  # a provider's circuit breaker: all, none, or one at a time


class By(StrEnum):
    """Which jobs share one counter of a rule."""

    QUEUE = "queue"
    TENANT = "tenant"
    USER = "user"
    GLOBAL = "global"
    RESOURCE = "resource"


class WaitScope(StrEnum):
    """What rests while a job waits for a limit: the narrowest that all need the same limit."""

    JOB = "job"
    GATE = "gate"
    LANE = "lane"
    QUEUE = "queue"


class Terms(NamedTuple):
    """The numbers of a limit. `burst` 0 is the algorithm's default."""

    limit: int
    per_ms: int = 0
    burst: int = 0


class Want(NamedTuple):
    """So much (`cost`) of one counter. `slows` names the provider whose overload makes this rate smaller."""

    key: str  # rule, MARK, whose
    rule: str
    algorithm: Algorithm
    terms: Terms
    cost: int = 1
    tenant: str = ""
    waits: WaitScope = WaitScope.JOB
    slows: str = ""


class Grant(NamedTuple):
    """`granted`, or which counter refuses and when to come back by the store's clock. `probe`: the breaker
    of a provider lets this delivery alone try. `lost`: the delivery is not this worker's any more. `own`:
    what is missing is what it holds itself, so that it would wait for ever.

    `after_ms`: the grant counts from then on, and the job must not start before. `brief`: permits of this
    counter are short, so others wait for each millisecond: give them back at the end of the run."""

    granted: bool
    wait_ms: int = 0
    key: str = ""
    waits: WaitScope = WaitScope.JOB
    probe: bool = False
    lost: bool = False
    after_ms: float = 0.0
    brief: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class LimitRule:
    """`[limits.NAME]` of the settings. No `queues` means all; `slows` is as a want has it."""

    name: str
    by: By
    algorithm: Algorithm
    terms: Terms
    cost: int = 1
    queues: tuple[str, ...] = ()
    slows: str = ""
    tenants: Mapping[str, Terms] = field(default_factory=dict)

    def terms_of(self, tenant: str) -> Terms:
        """The settings' numbers for a tenant."""
        return self.tenants.get(tenant, self.terms) if self.tenants else self.terms


@dataclass(frozen=True, slots=True)
class LimitState:
    """One counter as it stands. `reset_ms` is when all of it is free again (None: when jobs end);
    `waiting` counts what was refused and waits, a lane or queue that rests for it as one."""

    rule: str
    whose: str
    tenant: str
    algorithm: Algorithm
    terms: Terms
    used: int
    left: int
    reset_ms: int | None
    waiting: int

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it is among others."""
        return self.rule, self.whose, self.tenant


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """When a provider's breaker opens: `failures` in `window_ms`; for `open_ms`, doubled with each probe that
    fails up to `longest_ms`. After an overload its rate is `cut` of what it was, and has grown back by a
    tenth of the configured one every `recover_ms`."""

    failures: int = 5
    window_ms: int = 60_000
    open_ms: int = 30_000
    longest_ms: int = 600_000
    cut: float = 0.5
    recover_ms: int = 10_000


class News(StrEnum):
    """What a run said about its provider."""

    WORKED = "worked"  # asked only of probes
    FAILED = "failed"  # a server's error, or a time-out
    OVERLOADED = "overloaded"  # 429, or Retry-After


@dataclass(frozen=True, slots=True)
class ProviderState:
    """`state` is closed, open or half-open; `share` is the part of the configured rate that is allowed."""

    name: str
    state: str
    open_until: int | None = None
    open_ms: int = 0  # what is left of that
    failures: int = 0
    share: float = 1.0
    waiting: int = 0


#: The rule of providers' breakers; and of what is no rule of the settings, of one provider or queue each.
BREAKER_RULE, PROVIDER_RATE, RESOURCE_RATE = "provider", "provider-rate", "per-resource-rate"


def key_of(rule: str, whose: str = "") -> str:
    """A counter's name."""
    return f"{rule}{MARK}{whose}"


def check_resource(value: object) -> tuple[str, str]:
    """The rule and the resource of `gmail:acct-7`. Raises InvalidPayload."""
    if not isinstance(value, str) or not value.isprintable():
        raise InvalidPayload("a resource must be a text such as 'gmail:acct-7'.")
    rule, colon, whose = value.partition(":")
    if not rule or not colon or not 1 <= len(whose) <= LONGEST_RESOURCE:
        raise InvalidPayload(
            f"a resource must be a rule's name, a colon and up to {LONGEST_RESOURCE} characters, such as "
            "'gmail:acct-7'."
        )
    return rule, whose


def check_limit_changes(changes: Mapping[str, object]) -> None:
    """Raise InvalidAdjustment unless these can be changed while running, and to these values."""
    most = {"limit": LARGEST_LIMIT, "per_ms": LONGEST_PER_MS, "burst": LARGEST_LIMIT}
    for name, value in changes.items():
        if name not in CHANGEABLE:
            raise InvalidAdjustment(
                f"{name!r} of a limit cannot be changed while running; {', '.join(CHANGEABLE)} can."
            )
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most[name]:
            raise InvalidAdjustment(f"{name!r} of a limit must be a whole number from 1 to {most[name]}.")


def changed_terms(terms: Terms, *changes: Mapping[str, int] | None) -> Terms:
    """With what was changed while running; the last has the last word."""
    for one in changes:
        if one:
            terms = terms._replace(**one)
    return terms


def capacity(algorithm: Algorithm, terms: Terms) -> int:
    """The most that a counter can ever give at once: a job that costs more takes all of it."""
    if algorithm is Algorithm.TOKEN_BUCKET:
        return terms.burst or terms.limit
    if algorithm is Algorithm.GCRA:
        return terms.burst or 1
    return terms.limit


@dataclass(frozen=True, slots=True)
class ProviderRule:
    """`[providers.NAME]` of the settings; without a `rate` only its breaker counts."""

    name: str
    breaker: BreakerTerms = BreakerTerms()
    rate: Terms | None = None
    overload_ms: int = 10_000  # its jobs rest so long after an overload that does not say

    @property
    def rate_rule(self) -> LimitRule | None:
        """Its rate as a limit, which an overload makes smaller."""
        if self.rate is None:
            return None
        name, breaker = f"{PROVIDER_RATE}:{self.name}", key_of(BREAKER_RULE, self.name)
        return LimitRule(name, By.GLOBAL, Algorithm.TOKEN_BUCKET, self.rate, slows=breaker)


@dataclass(frozen=True, slots=True)
class LimitBook:
    """All limits of the settings. `resource_rates` are those of queues for each resource without a rule
    (None: such a queue has none); `resource_rate` is that of all other queues."""

    rules: Mapping[str, LimitRule] = field(default_factory=dict)
    providers: Mapping[str, ProviderRule] = field(default_factory=dict)
    resource_rates: Mapping[str, Terms | None] = field(default_factory=dict)
    resource_rate: Terms | None = None

    def of_queue(self, queue: str) -> tuple[LimitRule, ...]:
        """What each job of a queue is under, but for resources."""
        rules = self.rules.values()
        return tuple(r for r in rules if r.by is not By.RESOURCE and (not r.queues or queue in r.queues))

    def resource_rule(self, queue: str, name: str) -> LimitRule | None:
        """The rule of a resource that a job of this queue names."""
        rule = self.rules.get(name)
        if rule is not None and rule.by is By.RESOURCE:
            return rule if not rule.queues or queue in rule.queues else None
        return self.resource_rate_of(queue)

    def resource_rate_of(self, queue: str) -> LimitRule | None:
        """What a queue's policy says of each resource that has no rule of its own."""
        terms = self.resource_rates.get(queue, self.resource_rate)
        if terms is None:
            return None
        return LimitRule(f"{RESOURCE_RATE}:{queue}", By.RESOURCE, Algorithm.SLIDING_WINDOW, terms)

    @property
    def has_resources(self) -> bool:
        """Whether jobs may name resources."""
        by_rule = any(rule.by is By.RESOURCE for rule in self.rules.values())
        return by_rule or self.resource_rate is not None or any(self.resource_rates.values())

    def provider(self, name: str) -> ProviderRule:
        """One that the settings do not name has a breaker all the same."""
        return self.providers.get(name) or ProviderRule(name)

    def shown(self, queues: Iterable[str] = ()) -> list[LimitRule]:
        """All rules, with those of providers and of these queues, for whoever asks how they stand."""
        rates = [rule for queue in queues if (rule := self.resource_rate_of(queue)) is not None]
        providers = [rule for one in self.providers.values() if (rule := one.rate_rule) is not None]
        return [*self.rules.values(), *rates, *providers]
