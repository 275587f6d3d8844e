"""Dramatiq's time limit, with the queue's policy as the default of each actor."""

from typing import Any

import dramatiq
from dramatiq.middleware import TimeLimit

from jobs.rules import RulesOf


class TimeLimits(TimeLimit):
    """Ends an attempt that takes longer than its `time_limit` (ms) by an exception in its thread."""

    def __init__(self, rules_of: RulesOf) -> None:
        super().__init__()
        self._rules_of = rules_of

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        actor.options.setdefault("time_limit", self._rules_of(actor.queue_name).timeout_ms)
