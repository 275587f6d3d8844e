"""Tells Sentry of a failure that is final. An attempt that is retried alerts nobody."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.broker import MessageProxy

from jobs.model import Outcome
from middleware.delivery import delivery
from middleware.ends import outcome_of
from middleware.flushing import flush_at_end

if TYPE_CHECKING:
    from middleware.sentry import Sentry


class Alerts(dramatiq.Middleware):
    """`open_sentry` is called when a worker boots, and raises ValueError for a DSN that is none."""

    def __init__(self, open_sentry: "Callable[[], Sentry]") -> None:
        self._open = open_sentry
        self._sentry: Sentry | None = None

    @property
    def sentry(self) -> "Sentry":
        if self._sentry is None:
            self._sentry = self._open()
        return self._sentry

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self.sentry  # noqa: B018  loaded now rather than within a job

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        run = delivery(message)
        if run.verdict is None and run.exception is None and not run.failed:
            return
        if outcome_of(run) is Outcome.FAILED:
            self.sentry.report_run(run)

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        flush_at_end(self.sentry.flush, "alerts")
