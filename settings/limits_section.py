"""Sections about limits that count while jobs run, and about the providers that jobs talk to."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from settings.policy import Section
from settings.units import Milliseconds, OptionalRate, Whole, Words

if TYPE_CHECKING:
    from settings.sections import TenantPolicy

#: Of a sliding window each start is kept; the other numbers are for the same reason no larger.
MOST = 100_000
MOST_COST = 1_000
LONGEST_PER_MS = 31 * 86_400_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
#: Rules of our own.
_TAKEN = frozenset({"provider", "provider-rate", "per-resource-rate", "per-worker-rate"})

Count = Annotated[Whole, Field(ge=1, le=MOST)]
Per = Annotated[Milliseconds, Field(ge=1, le=LONGEST_PER_MS)]


class TenantLimit(Section):
    """A tenant's own numbers of a limit; what is left out is as for all."""

    limit: Count | None = None
    per: Per | None = None
    burst: Count | None = None


class LimitSettings(Section):
    """A limit that counts over all workers, and holds for the jobs of `queues` (none: of all).

    - `by` says which jobs share a counter: those of a queue, a tenant, a user, all, or those that name a
      resource, `limit("NAME:acct-7")`.
    - `algorithm`: "concurrency" is `limit` jobs at once; the others are `limit` a `per`. "fixed_window"
      begins anew at each multiple of `per`, "sliding_window" holds in any stretch of it, "token_bucket"
      has up to `burst` (default: limit) at once, and "gcra" spaces them evenly (its burst is 1 by default).
    - `cost` is what a job takes; a job may say its own.
    """

    by: Literal["queue", "tenant", "user", "global", "resource"] = "tenant"
    queues: Words = ()
    algorithm: Literal["concurrency", "fixed_window", "sliding_window", "token_bucket", "gcra"] = (
        "sliding_window"
    )
    limit: Count
    per: Per = 1_000
    burst: Count | None = None
    cost: Annotated[Whole, Field(ge=1, le=MOST_COST)] = 1

    @model_validator(mode="after")
    def _agrees(self) -> "LimitSettings":
        if self.burst is not None and self.algorithm not in ("token_bucket", "gcra"):
            raise ValueError("has a burst, which only token_bucket and gcra know")
        if self.algorithm == "concurrency" and "per" in self.model_fields_set:
            raise ValueError("has a per, but concurrency counts what runs at once")
        return self


class ProviderSettings(Section):
    """A service that jobs talk to (`@actor(provider="gmail")`): its rate over all workers, and when to
    leave it alone.

    - `failures` server errors or time-outs within `window` open its breaker for `open_for`, and twice as long
      each time that the one job that then tries fails, up to `longest`.
    - After an overload (429) its rate is `cut` of what it was, and grows by a tenth of `rate` every
      `recover`.
    - `overload_wait` is how long its jobs rest after a 429 that does not say.
    """

    rate: OptionalRate = None
    burst: Count | None = None
    failures: Annotated[Whole, Field(ge=1, le=10_000)] = 5
    window: Annotated[Milliseconds, Field(ge=1)] = 60_000
    open_for: Annotated[Milliseconds, Field(ge=1, le=3_600_000)] = 30_000
    longest: Annotated[Milliseconds, Field(ge=1, le=3_600_000)] = 600_000
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.5
    recover: Annotated[Milliseconds, Field(ge=1)] = 10_000
    overload_wait: Annotated[Milliseconds, Field(ge=1)] = 10_000

    @model_validator(mode="after")
    def _agrees(self) -> "ProviderSettings":
        if self.burst is not None and self.rate is None:
            raise ValueError("has a burst but no rate")
        if self.longest < self.open_for:
            raise ValueError("must have a longest that is not below open_for")
        return self


def disagreements(
    limits: Mapping[str, LimitSettings],
    providers: Mapping[str, ProviderSettings],
    tenants: "Mapping[str, TenantPolicy]",
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong between these sections: the key, and the problem."""
    for section, names in (("limits", limits), ("providers", providers)):
        for name in names:
            if not _NAME.fullmatch(name) or name in _TAKEN:
                yield (
                    (section, name),
                    "must be a letter and up to 63 letters, digits, . _ -, and no name of ours",
                )
    for tenant, policy in tenants.items():
        for name in policy.limits:
            rule = limits.get(name)
            if rule is None or rule.by not in ("tenant", "user", "resource"):
                yield (
                    ("tenants", tenant, "limits", name),
                    "must name a limit of [limits] that counts by tenant, user or resource",
                )
