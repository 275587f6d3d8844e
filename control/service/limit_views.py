"""How limits and providers stand, in camelCase like all answers. Spans are milliseconds."""

from datetime import datetime

from pydantic import Field

from control.service.views import View


class LimitView(View):
    """One counter of a limit."""

    limit: str = Field(description="the rule's name; provider-rate:NAME, per-resource-rate:QUEUE")
    by: str
    whose: str = Field(description="the tenant, tenant/user, queue or resource it counts for; empty: all")
    tenant_id: str | None
    algorithm: str
    allowed: int
    per_ms: int | None
    burst: int | None
    used: int
    left: int
    reset_ms: int | None = Field(description="when all of it is free again; null: when jobs end")
    waiting: int = Field(description="jobs that wait; a tenant or queue that rests for it counts as one")


class LimitRuleView(View):
    """A rule as it holds now."""

    limit: str
    by: str
    algorithm: str
    tenant_id: str | None = Field(description="null: for all tenants")
    allowed: int
    per_ms: int | None
    burst: int | None
    changed: list[str] = Field(description="what an operator has changed")


class LimitsView(View):
    rules: list[LimitRuleView]
    counters: list[LimitView]
    next: str | None = Field(None, description="what to give as `after` for the counters that follow")


class ProviderView(View):
    """A provider's breaker and rate."""

    provider: str
    state: str = Field(description="closed, open, or half-open: one job at a time tries")
    open_until: datetime | None
    failures: int = Field(description="in the window, while it is closed")
    share: float = Field(description="the part of its rate that is allowed since the last overload")
    rate: int | None = Field(description="as configured, a `perMs`; null: it has none")
    per_ms: int | None
    allowed: int | None = Field(description="what of its rate is allowed now")
    used: int | None
    left: int | None
    reset_ms: int | None = Field(description="when all of it is free again")
    waiting: int
