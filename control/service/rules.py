"""Changing the rules while the platform runs: pauses, caps, rates, weights. SQL first, then the store."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from control.service.effective import as_text
from control.service.journal import acting, record
from control.service.kept import KeptRules
from control.service.names import declared_queues, one_queue, operated_queues
from control.service.operator_views import Paused
from control.service.requests import LaneChanges, QueueChanges
from jobs.errors import CallboardError
from jobs.model import Scope

if TYPE_CHECKING:
    from actors.composition import App
    from database.adjustments import Adjustments


class RuleActions:
    """All raise UnknownQueue, StoreUnavailable, DatabaseUnavailable. `by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def pause(self, queue: str, tenant: str | None = None) -> Paused:
        """Start nothing more of a queue, or of one tenant in it; what runs goes on.

        A document's name pauses every queue behind it.
        """
        return self._set_paused(operated_queues(self._app, queue), tenant, paused=True)

    def resume(self, queue: str, tenant: str | None = None) -> Paused:
        """Let a paused queue, or one tenant in it, go on."""
        return self._set_paused(operated_queues(self._app, queue), tenant, paused=False)

    def pause_tenant(self, tenant: str) -> Paused:
        """Start nothing more of a tenant in any queue."""
        return self._set_paused(declared_queues(self._app), tenant, paused=True)

    def resume_tenant(self, tenant: str) -> Paused:
        """Let a tenant go on in every queue."""
        return self._set_paused(declared_queues(self._app), tenant, paused=False)

    def change_queue(self, queue: str, changes: QueueChanges) -> str:
        """Change a queue's rules; its name. What may run by the new ones is started at once."""
        name = one_queue(self._app, queue)
        self._apply([Scope(name)], changes.for_store(), "queue.limits")
        return name

    def change_lane(self, queue: str, tenant: str, changes: LaneChanges) -> str:
        """Change a tenant's rules in one queue; the queue's name."""
        name = one_queue(self._app, queue)
        self._apply([Scope(name, tenant)], changes.for_store(), "tenant.limits")
        return name

    def change_tenant(self, tenant: str, changes: LaneChanges) -> Sequence[str]:
        """Change a tenant's rules in every queue; their names. Caps and rates count in each by itself."""
        queues = declared_queues(self._app)
        self._apply([Scope(queue, tenant) for queue in queues], changes.for_store(), "tenant.limits")
        return queues

    def _set_paused(self, queues: Sequence[str], tenant: str | None, *, paused: bool) -> Paused:
        changes = {"paused": True if paused else None}
        self._apply([Scope(queue, tenant) for queue in queues], changes, "pause" if paused else "resume")
        return Paused(queues=list(queues), tenant_id=tenant, paused=paused)

    def _apply(self, scopes: Sequence[Scope], changes: Mapping[str, object], action: str) -> None:
        from database.adjustments import Adjustments

        self._app.store.ping()  # what the store cannot be told now is not kept as if it held
        KeptRules(self._app, self._by).restore_if_new()  # with a change of its own it would not look new
        kept = Adjustments(self._app.engine())
        told = {name: _told(value) for name, value in changes.items() if name != "paused"}
        queues = [scope.queue for scope in scopes]
        target = queues[0] if len(queues) == 1 else None
        lane = scopes[0].lane if scopes else None
        with acting(
            self._app, self._by, action, target=target, tenant=lane, parameters={"queues": queues, **told}
        ) as deed:
            deed.count = 0
            for scope in scopes:
                self._one(kept, scope, changes)
                deed.count += 1
                record(self._by, action, queue=scope.queue, tenant=scope.lane, **told)

    def _one(self, kept: "Adjustments", scope: Scope, changes: Mapping[str, object]) -> None:
        before = {one.name: one for one in kept.read(scope)}
        kept.write(scope, changes, self._by)
        try:
            self._app.store.adjust(scope, changes)
        except CallboardError:
            # Who is told that it failed must not find it done at the next start of the API.
            for name in changes:
                old = before.get(name)
                kept.write(scope, {name: old and old.value}, old.by if old else self._by)
            raise


def _told(value: object) -> object:
    return "as in the settings" if value is None else "none" if as_text(value) is None else as_text(value)
