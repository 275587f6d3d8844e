"""Whose job it is: by the call, by its actor, or by the context in which it is sent.

    with tenant("acme", user_id="u1"):
        invoice_send.send(7)  # a job of acme
        invoice_send.send_with_options(args=(8,), tenant_id="globex")  # what a call says wins

A running job is such a context: what it sends, and what follows it (pipelines, callbacks), is its tenant's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq

from jobs.errors import InvalidPayload
from jobs.failures import worded_without_values
from jobs.ids import check_tenant_id
from jobs.rules import RulesOf
from jobs.scope import Scope, current_scope
from middleware.delivery import Delivery


@contextmanager
def tenant(tenant_id: str, user_id: str = "") -> Iterator[None]:
    """Jobs that are sent within are of this tenant, on behalf of this user; `""` means of no tenant.

    It holds in coroutines and tasks that are started within, and in threads that are started through
    `contextvars.copy_context().run`. Raises InvalidPayload for an id that cannot be one.
    """
    token = current_scope.set(Scope(tenant_id and check_tenant_id(tenant_id), user_id))
    try:
        yield
    finally:
        current_scope.reset(token)


class Tenancy(dramatiq.Middleware):
    """Gives jobs the tenant of their context, and refuses one without in a queue with `require_tenant`."""

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        scope = current_scope.get()
        if scope is not None:
            _complete(broker, message, scope)
        if self._rules_of(message.queue_name).require_tenant and not _tenant_of(broker, message):
            raise worded_without_values(
                InvalidPayload(
                    f"Queue {message.queue_name} takes only jobs of a tenant: give tenant_id=… (on the "
                    f'command line --tenant), or send within `with tenant("…"):`.'
                )
            )

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        job: Delivery = message
        tenant_id, user_id = job.job.lane, job.options.get("user_id") or ""
        # Also over what holds around it: in a test, `send()` may run the job at once.
        if tenant_id or user_id or current_scope.get() is not None:
            job.scope_before = current_scope.set(Scope(tenant_id, user_id))

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        job: Delivery = message
        if job.scope_before is not None:
            current_scope.reset(job.scope_before)
            job.scope_before = None

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        self.after_process_message(broker, message)


def _complete(broker: dramatiq.Broker, message: "dramatiq.Message[Any]", scope: Scope) -> None:
    if _tenant_of(broker, message) is None and scope.tenant_id:
        message.options["tenant_id"] = scope.tenant_id
    # A user is known in one tenant: the job of another is not on their behalf.
    if (
        scope.user_id
        and message.options.get("user_id") is None
        and (_tenant_of(broker, message) or "") == scope.tenant_id
    ):
        message.options["user_id"] = scope.user_id


def _tenant_of(broker: dramatiq.Broker, message: "dramatiq.Message[Any]") -> Any:
    """What the call or the actor says; None: neither does."""
    own = message.options.get("tenant_id")
    return broker.actors[message.actor_name].options.get("tenant_id") if own is None else own
