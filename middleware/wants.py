"""What the limits middleware asks the store for, and what it raises when that is refused."""

from jobs.errors import HoldJob, InvalidPayload, LeaseLost, LimitReached
from jobs.failures import worded_without_values
from jobs.limits import (
    BREAKER_RULE,
    MARK,
    PROVIDER_RATE,
    Algorithm,
    By,
    Grant,
    LimitRule,
    ProviderRule,
    Terms,
    WaitScope,
    Want,
    key_of,
)

_RESTS = {WaitScope.JOB: "job", WaitScope.GATE: "lane", WaitScope.LANE: "lane", WaitScope.QUEUE: "queue"}


def whose_of(rule: LimitRule, resource: str) -> str:
    name, _, whose = resource.partition(":")
    return whose if rule.name == name else resource  # the rate of a queue counts all kinds of resources


def want_of(rule: LimitRule, whose: str, tenant: str, cost: int, waits: WaitScope) -> Want:
    by_tenant = rule.by in (By.TENANT, By.USER, By.RESOURCE)
    tenant = tenant if by_tenant else ""
    return Want(
        key_of(rule.name, whose),
        rule.name,
        rule.algorithm,
        rule.terms_of(tenant),
        cost,
        tenant,
        waits,
        rule.slows,
    )


def provider_wants(provider: ProviderRule, waits: WaitScope) -> list[Want]:
    breaker = key_of(BREAKER_RULE, provider.name)
    wants = [Want(breaker, BREAKER_RULE, Algorithm.BREAKER, Terms(1), waits=waits)]
    if (rate := provider.rate_rule) is not None:
        wants.append(want_of(rate, "", "", 1, waits))
    return wants


def refusal(grant: Grant, *, in_run: bool) -> BaseException:
    rule, _, whose = grant.key.partition(MARK)
    kind, _, provider = rule.partition(":")
    if grant.lost:
        what = "this process does not hold the job any more, and another one may run it"
        return LeaseLost(what) if in_run else worded_without_values(HoldJob(0, what))
    if grant.own:
        return InvalidPayload(
            f"the job itself holds what the limit {rule} has for {whose}, so another permit never comes: "
            "take one for all of it, or give the first back before."
        )
    if rule == BREAKER_RULE:
        what = f"the provider {whose} is out of order"
    elif kind == PROVIDER_RATE:
        what = f"the provider {provider} has all it may get"
    else:
        what = f"the limit {rule} is used up" + (f" for {whose}" if whose else "")
    # In the run `except Exception` must not take it for a failure of the work and go on without.
    refused = LimitReached if in_run else HoldJob
    return worded_without_values(refused(grant.wait_ms / 1000, what, _RESTS[grant.waits]))
