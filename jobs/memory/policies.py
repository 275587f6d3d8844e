"""The rules of queues and lanes: the settings', and over them what was adjusted while running."""

from collections.abc import Mapping

from jobs.adjustments import PROCESS_RULES, check_adjustments
from jobs.model import Scope
from jobs.rules import QueueRules, Rate

#: The name of a gate that only one job may pass at once.
ONE_AT_ONCE = "one:"


class Policies:
    """None is "no limit" in every answer."""

    def __init__(self) -> None:
        self._rules: dict[str, QueueRules] = {}
        self._weights: dict[str, float] = {}
        self.adjusted: dict[Scope, dict[str, object]] = {}
        self.configured = False

    def configure(self, rules: Mapping[str, QueueRules], weights: Mapping[str, float]) -> list[str]:
        """Returns the queues whose rules have changed."""
        self.configured = True
        changed = [queue for queue, of_queue in rules.items() if self._rules.get(queue) != of_queue]
        self._rules |= rules
        self._weights = dict(weights)
        return changed

    def adjust(self, scope: Scope, changes: Mapping[str, object]) -> None:
        check_adjustments(scope, changes)
        kept = {**self.adjusted.get(scope, {}), **changes}
        kept = {name: value for name, value in kept.items() if value is not None and value is not False}
        self.adjusted.pop(scope, None)
        if kept:
            self.adjusted[scope] = kept

    def forget(self, queue: str) -> None:
        for scope in [scope for scope in self.adjusted if scope.queue == queue]:
            del self.adjusted[scope]

    def paused(self, queue: str, lane: str | None = None) -> bool:
        return bool(self._adjusted(Scope(queue, lane), "paused", False))

    def priority(self, queue: str) -> int:
        """The class of the queue among those of a process."""
        return int(self._adjusted(Scope(queue), "priority", self.of(queue).priority))  # type: ignore[call-overload, no-any-return]

    def band(self, queue: str, priority: int) -> int:
        return priority if self.of(queue).priority_scope == "queue" else 0

    def by_time(self, queue: str) -> bool:
        return self.of(queue).fairness == "time"

    def weight(self, queue: str, lane: str) -> float:
        return float(self._adjusted(Scope(queue, lane), "weight", self._weights.get(lane, 1.0)))  # type: ignore[arg-type]

    def share(self, queue: str) -> str:
        """The name under which queues share their cap and rate; empty: it shares with none."""
        return self.of(queue).share

    def cap(self, queue: str) -> int | None:
        """Of the queue, or of all that share with it."""
        return _number(self._adjusted(Scope(queue), "cap", self.of(queue).global_concurrency))

    def rate(self, queue: str) -> Rate | None:
        """Likewise."""
        return _rate(self._adjusted(Scope(queue), "rate", self.of(queue).rate))

    def lane_cap(self, queue: str, lane: str) -> int | None:
        of_queue = self._adjusted(Scope(queue), "lane_cap", self.of(queue).lane_concurrency)
        return _number(self._adjusted(Scope(queue, lane), "cap", of_queue))

    def lane_rate(self, queue: str, lane: str) -> Rate | None:
        of_queue = self._adjusted(Scope(queue), "lane_rate", self.of(queue).lane_rate)
        return _rate(self._adjusted(Scope(queue, lane), "rate", of_queue))

    def gate_cap(self, queue: str, gate: str) -> int | None:
        if gate.startswith(ONE_AT_ONCE):
            return 1
        return _number(self._adjusted(Scope(queue), "gate_cap", self.of(queue).gate_concurrency))

    def gate_rate(self, queue: str) -> Rate | None:
        return _rate(self._adjusted(Scope(queue), "gate_rate", self.of(queue).gate_rate))

    def of_processes(self, queue: str) -> dict[str, object]:
        """What was adjusted of the numbers that each worker process keeps for itself."""
        adjusted = self.adjusted.get(Scope(queue), {})
        return {name: value for name, value in adjusted.items() if name in PROCESS_RULES}

    def of(self, queue: str) -> QueueRules:
        return self._rules.get(queue) or _NO_RULES

    def _adjusted(self, scope: Scope, name: str, otherwise: object) -> object:
        return self.adjusted.get(scope, {}).get(name, otherwise)


_NO_RULES = QueueRules()


def _number(value: object) -> int | None:
    return int(value) if value else None  # type: ignore[call-overload]


def _rate(value: object) -> Rate | None:
    return value if isinstance(value, Rate) else None
