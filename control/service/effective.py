"""The rules as they hold now, and where each comes from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from control.service.names import one_queue
from control.service.operator_views import RulesView, RuleView
from jobs.model import Scope
from settings import Rate, TenantPolicy

if TYPE_CHECKING:
    from actors.composition import App
    from database.adjustments import Adjustment


#: A tenant's rule, and the queue's rule that holds for each tenant without one of its own.
IN_QUEUE = {"cap": "laneCap", "rate": "laneRate"}


class EffectiveRules:
    """Both raise UnknownQueue, StoreUnavailable, DatabaseUnavailable."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def of_queue(self, queue: str) -> RulesView:
        """The rules of a queue: over all workers, and of each worker process."""
        name = one_queue(self._app, queue)
        rules = self._app.rules_of(name)
        defaults = {
            "paused": False,
            "priority": rules.priority,
            "cap": rules.global_concurrency,
            "rate": rules.rate,
            "lane_cap": rules.lane_concurrency,
            "lane_rate": rules.lane_rate,
            "gate_cap": rules.gate_concurrency,
            "gate_rate": rules.gate_rate,
            "concurrency": rules.concurrency,
            "worker_rate": rules.worker_rate,
        }
        return RulesView(queue=name, share=rules.share or None, rules=self._rules(Scope(name), defaults))

    def of_lane(self, queue: str, tenant: str) -> RulesView:
        """The rules of one tenant in a queue; an empty name is the lane of jobs without a tenant.

        Cap and rate are the queue's for each of its tenants, unless this one has its own.
        """
        name = one_queue(self._app, queue)
        weight = self._app.settings.tenants.get(tenant, TenantPolicy()).weight
        own = self._rules(Scope(name, tenant), {"paused": False, "weight": weight, "cap": None, "rate": None})
        of_queue = {rule.name: rule for rule in self.of_queue(name).rules}
        rules = [
            of_queue[IN_QUEUE[rule.name]].model_copy(update={"name": rule.name})
            if rule.name in IN_QUEUE and rule.source == "settings"
            else rule
            for rule in own
        ]
        return RulesView(queue=name, tenant_id=tenant, rules=rules)

    def _rules(self, scope: Scope, defaults: Mapping[str, object]) -> list[RuleView]:
        from database.adjustments import Adjustments

        adjusted = self._app.store.adjustments().get(scope, {})
        kept = {one.name: one for one in Adjustments(self._app.engine()).read(scope)}
        return [_rule(name, value, adjusted, kept.get(name)) for name, value in defaults.items()]


def as_text(value: object) -> bool | int | float | str | None:
    """A rule's value for a person: a rate as `10/s`, and None for no limit."""
    if isinstance(value, tuple):
        count, per_ms = value
        return str(Rate(count, per_ms / 1000))
    if value == 0 and not isinstance(value, bool):
        return None
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def _rule(name: str, default: object, adjusted: Mapping[str, object], kept: "Adjustment | None") -> RuleView:
    shown = to_camel(name)
    if name not in adjusted:
        return RuleView(name=shown, value=as_text(default), source="settings", by=None, at=None)
    # Who and when is told by SQL, and only where it speaks of the value that holds.
    told = kept if kept is not None and kept.value == adjusted[name] else None
    return RuleView(
        name=shown,
        value=as_text(adjusted[name]),
        source="adjusted",
        by=told.by if told else None,
        at=told.at if told else None,
    )
