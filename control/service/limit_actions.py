"""Limits that count while jobs run, and providers: how they stand, and what operators change. SQL first."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

import orjson

from control.service.journal import acting, record
from control.service.limit_views import LimitRuleView, LimitsView, LimitView, ProviderView
from control.service.views import moment
from jobs.errors import CallboardError, InvalidPayload, UnknownLimit
from jobs.limits import (
    PROVIDER_RATE,
    RESOURCE_RATE,
    Algorithm,
    By,
    LimitRule,
    LimitState,
    ProviderState,
    Terms,
    capacity,
    changed_terms,
    check_limit_changes,
)

if TYPE_CHECKING:
    from actors.composition import App

#: Counters of one page.
SHOWN, MOST_SHOWN = 100, 1_000
NOT_A_PLACE = "after: give the 'next' of the answer before, or leave it out"
_SET_ELSEWHERE = {
    PROVIDER_RATE: "[providers.{}] rate",
    RESOURCE_RATE: "[queues.{}] per_resource_rate",
}
#: Which limits have numbers of a tenant's own.
BY_TENANT = (By.TENANT, By.USER, By.RESOURCE)


class LimitService:
    """All raise StoreUnavailable; changes UnknownLimit, InvalidAdjustment and DatabaseUnavailable too."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def read(
        self,
        tenant: str | None = None,
        name: str | None = None,
        limit: int = SHOWN,
        after: str | None = None,
    ) -> LimitsView:
        """All limits, with up to `limit` of their counters that are in use, of one tenant or of all; from
        `after`, the `next` of an answer, on. Raises InvalidPayload for another `after`."""
        rules = self._shown() if name is None else [self._shown_rule(name)]
        by_name = {rule.name: rule for rule in rules}
        place = _place_in(after) if after is not None else None
        states = self._app.store.limit_states(rules, tenant, min(limit, MOST_SHOWN) + 1, place)
        page, more = states[:limit], len(states) > limit
        changes = self._app.store.limit_changes()
        shown = [_rule_view(rule, None, changes) for rule in rules]
        for rule in rules:
            own = set(rule.tenants) | {
                of for of_rule, of in changes if of_rule == rule.name and of is not None
            }
            wanted = sorted(own) if tenant is None else [tenant] if tenant in own else []
            shown += [_rule_view(rule, of, changes) for of in wanted]
        counters = [
            LimitView(
                limit=one.rule,
                by=_by(by_name[one.rule]),
                whose=one.whose,
                tenant_id=one.tenant or None,
                algorithm=one.algorithm.value,
                allowed=one.terms.limit,
                per_ms=one.terms.per_ms or None,
                burst=one.terms.burst or None,
                used=one.used,
                left=one.left,
                reset_ms=one.reset_ms,
                waiting=one.waiting,
            )
            for one in page
        ]
        return LimitsView(rules=shown, counters=counters, next=_place_of(page[-1]) if more else None)

    def change(self, name: str, tenant: str | None, changes: Mapping[str, int | None]) -> LimitsView:
        """Change numbers of a limit for all, or for a tenant; None follows the settings again. It holds at
        once."""
        from database.limit_changes import LimitChanges

        rule = self._rule(name)
        if tenant is not None and rule.by not in BY_TENANT:
            raise UnknownLimit(
                f"The limit {name} counts by {rule.by.value}: no tenant has numbers of its own."
            )
        check_limit_changes(changes)
        self._app.store.ping()  # what the store cannot be told now is not kept as if it held
        KeptLimits(self._app).restore_if_new()
        kept = LimitChanges(self._app.engine())
        before = {one.name: one for one in kept.read() if (one.rule, one.tenant) == (name, tenant)}
        told = {key: "as in the settings" if value is None else value for key, value in changes.items()}
        with acting(self._app, self._by, "limit.change", target=name, tenant=tenant, parameters=told):
            kept.write(name, tenant, changes, self._by)
            try:
                self._app.store.set_limit(name, tenant, changes)
            except CallboardError:
                # Who is told that it failed must not find it done at the next start of the API.
                kept.write(
                    name,
                    tenant,
                    {key: before[key].value if key in before else None for key in changes},
                    self._by,
                )
                raise
        record(self._by, "limit.change", name=name, tenant=tenant, **told)
        return self.read(tenant, name)

    def forget(self, name: str, tenant: str | None) -> LimitsView:
        """Let a limit follow the settings again."""
        return self.change(name, tenant, {"limit": None, "per_ms": None, "burst": None})

    def providers(self) -> list[ProviderView]:
        """Those of the settings, and those that an actor names."""
        return self._provider_views(self._names())

    def reset(self, name: str) -> ProviderView:
        """Close a provider's breaker and give it its whole rate."""
        if name not in self._names():
            raise UnknownLimit(
                f"There is no provider named {name!r}; there is {', '.join(self._names()) or 'none'}."
            )
        with acting(self._app, self._by, "provider.reset", target=name):
            self._app.store.reset_provider(name)
        record(self._by, "provider.reset", provider=name)
        return self._provider_views([name])[0]

    def _provider_views(self, names: list[str]) -> list[ProviderView]:
        rules = {name: self._app.limits.provider(name).rate_rule for name in names}
        rates = [rule for rule in rules.values() if rule is not None]
        states = {one.rule: one for one in self._app.store.limit_states(rates, limit=len(rates))}
        return [
            _provider_view(one, rule := rules[one.name], states.get(rule.name) if rule else None)
            for one in self._app.store.provider_states(names)
        ]

    def _names(self) -> list[str]:
        actors = self._app.broker.actors.values()
        named = {str(actor.options["provider"]) for actor in actors if actor.options.get("provider")}
        return sorted(named | set(self._app.limits.providers))

    def _shown(self) -> list[LimitRule]:
        return self._app.limits.shown(sorted(self._app.broker.get_declared_queues()))

    def _shown_rule(self, name: str) -> LimitRule:
        return next((rule for rule in self._shown() if rule.name == name), None) or self._rule(name)

    def _rule(self, name: str) -> LimitRule:
        rule = self._app.limits.rules.get(name)
        if rule is None:
            kind, _, whose = name.partition(":")
            if kind in _SET_ELSEWHERE and any(one.name == name for one in self._shown()):
                raise UnknownLimit(
                    f"{name} is changed in the settings: {_SET_ELSEWHERE[kind].format(whose)}."
                )
            known = ", ".join(sorted(self._app.limits.rules)) or "none; write [limits.NAME] in the settings"
            raise UnknownLimit(f"There is no limit named {name!r}; there is {known}.")
        return rule


class KeptLimits:
    """The changes that SQL keeps, for a store that is new."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def restore_if_new(self) -> int:
        return 0 if self._app.store.limit_changes() else self.restore()

    def restore(self) -> int:
        """Make the store go by what SQL keeps; how many numbers it was told."""
        from database.limit_changes import LimitChanges

        kept: dict[tuple[str, str | None], dict[str, int | None]] = {}
        for one in LimitChanges(self._app.engine()).read():
            if one.rule in self._app.limits.rules:
                kept.setdefault((one.rule, one.tenant), {})[one.name] = one.value
        for (rule, tenant), changes in kept.items():
            self._app.store.set_limit(rule, tenant, changes)
        return sum(map(len, kept.values()))


def reasons_of_providers(states: list[ProviderState]) -> list[str]:
    """What an open breaker has to do with a job of that provider, in sentences."""
    return [
        f"The provider {one.name} is out of order: its breaker is {one.state}"
        + (f" until {moment(one.open_until):%Y-%m-%d %H:%M:%S} UTC." if one.open_until else ".")
        for one in states
        if one.state != "closed"
    ]


def _rule_view(
    rule: LimitRule, tenant: str | None, changes: Mapping[tuple[str, str | None], Mapping[str, int]]
) -> LimitRuleView:
    for_all = changes.get((rule.name, None), {})
    own = changes.get((rule.name, tenant), {}) if tenant is not None else {}
    terms: Terms = changed_terms(rule.terms if tenant is None else rule.terms_of(tenant), for_all, own)
    return LimitRuleView(
        limit=rule.name,
        by=_by(rule),
        algorithm=rule.algorithm.value,
        tenant_id=tenant,
        allowed=terms.limit,
        per_ms=None if rule.algorithm is Algorithm.CONCURRENCY else terms.per_ms,
        burst=terms.burst or None,
        changed=sorted(own if tenant is not None else for_all),
    )


def _by(rule: LimitRule) -> str:
    return "provider" if rule.name.partition(":")[0] == PROVIDER_RATE else rule.by.value


def _place_of(state: LimitState) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(state.place)).decode().rstrip("=")


def _place_in(text: str) -> tuple[str, str, str]:
    try:
        rule, whose, tenant = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        raise InvalidPayload(NOT_A_PLACE) from None
    if not all(isinstance(part, str) for part in (rule, whose, tenant)):
        raise InvalidPayload(NOT_A_PLACE)
    return rule, whose, tenant


def _provider_view(one: ProviderState, rule: LimitRule | None, state: LimitState | None) -> ProviderView:
    most = capacity(rule.algorithm, state.terms if state else rule.terms) if rule else None
    return ProviderView(
        provider=one.name,
        state=one.state,
        open_until=moment(one.open_until) if one.open_until else None,
        failures=one.failures,
        share=one.share,
        rate=rule.terms.limit if rule else None,
        per_ms=rule.terms.per_ms if rule else None,
        allowed=max(1, int(rule.terms.limit * one.share + 1e-9)) if rule else None,
        used=(state.used if state else 0) if rule else None,
        left=(state.left if state else most) if rule else None,
        reset_ms=(state.reset_ms if state else 0) if rule else None,
        waiting=one.waiting,
    )
