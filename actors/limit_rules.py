"""The limits and providers of the settings, as the middleware takes them."""

from jobs.limits import Algorithm, BreakerTerms, By, LimitBook, LimitRule, ProviderRule, Terms
from settings import LimitSettings, ProviderSettings, QueuePolicy, Settings


def limit_book(settings: Settings) -> LimitBook:
    """All that counts while jobs run."""
    rates = {queue: _resource_rate(policy) for queue, policy in settings.queues.items()}
    return LimitBook(
        {name: _rule(settings, name, one) for name, one in settings.limits.items()},
        {name: _provider(name, one) for name, one in settings.providers.items()},
        rates,
        _resource_rate(settings.queue_defaults),
    )


def _resource_rate(policy: QueuePolicy) -> Terms | None:
    rate = policy.per_resource_rate
    return Terms(rate.count, rate.ms) if rate is not None else None


def _rule(settings: Settings, name: str, given: LimitSettings) -> LimitRule:
    per_ms = 0 if given.algorithm == "concurrency" else given.per
    terms = Terms(given.limit, per_ms, given.burst or 0)
    tenants = {}
    for tenant, policy in settings.tenants.items():
        if (own := policy.limits.get(name)) is not None:
            tenants[tenant] = Terms(own.limit or terms.limit, own.per or per_ms, own.burst or terms.burst)
    return LimitRule(
        name, By(given.by), Algorithm(given.algorithm), terms, given.cost, given.queues, "", tenants
    )


def _provider(name: str, given: ProviderSettings) -> ProviderRule:
    breaker = BreakerTerms(
        given.failures, given.window, given.open_for, given.longest, given.cut, given.recover
    )
    rate = Terms(given.rate.count, given.rate.ms, given.burst or 0) if given.rate is not None else None
    return ProviderRule(name, breaker, rate, given.overload_wait)
