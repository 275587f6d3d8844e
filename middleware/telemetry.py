"""Spans of jobs: sent, waiting, running. Only in the stack where traces are switched on."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.broker import MessageProxy

from middleware.delivery import delivery
from middleware.flushing import flush_at_end
from middleware.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

#: Sends of one thread that are under way. What fails at the store has no hook that says so; its span, and
#: that of a send in a larger batch, ends when so many others have begun.
MOST_SENDS = 1_000


class Telemetry(dramatiq.Middleware):
    """The first of all, so that its spans cover the others. `open_tracing` is called at the first need."""

    def __init__(self, open_tracing: Callable[[], Tracing]) -> None:
        self._open = open_tracing
        self._tracing: Tracing | None = None
        self._local = threading.local()

    @property
    def tracing(self) -> Tracing:
        if self._tracing is None:
            self._tracing = self._open()
        return self._tracing

    def before_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        before = message.options.get("trace")
        span, traceparent = self.tracing.sending(
            message.queue_name,
            message.actor_name,
            message.message_id,
            before if isinstance(before, str) else None,
        )
        message.options["trace"] = traceparent
        sends = self._sends()
        sends[traceparent] = span
        if len(sends) > MOST_SENDS:
            sends.popitem(last=False)[1].end()

    def after_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        span = self._sends().pop(message.options.get("trace", ""), None)
        if span is not None:
            if not getattr(message, "created", True):
                span.set_attribute("callboard.created", False)  # the id now there is of another send
                span.set_attribute("messaging.message.id", message.message_id)
            span.end()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self.tracing  # noqa: B018  loaded now rather than within a job; a missing library ends the start

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.tracing.begin(delivery(message))

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        self.tracing.end(delivery(message))

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.tracing.end(delivery(message))

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        flush_at_end(self.tracing.flush, "traces")

    def _sends(self) -> "OrderedDict[str, Span]":
        try:
            sends: OrderedDict[str, Span] = self._local.sends
        except AttributeError:
            sends = self._local.sends = OrderedDict()
        return sends
