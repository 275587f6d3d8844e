"""Check of the limits: whether the queues that they name are there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from control.service.checks.finding import Finding, problem
from control.service.names import own_queues
from settings.errors import suggestion

if TYPE_CHECKING:
    from actors.composition import App


def limits(app: "App") -> Iterator[Finding]:
    """Limits of queues that have no actor: they hold nothing back."""
    there = own_queues(app)
    for name, limit in app.settings.limits.items():
        for queue in limit.queues:
            if queue not in there:
                yield problem(
                    f"limits.{name}",
                    f"it names the queue {queue}, which nobody declares",
                    f"correct limits.{name}.queues: {suggestion(queue, there)}",
                )
