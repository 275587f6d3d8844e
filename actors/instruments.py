"""What tells of the platform from outside: metrics, traces, alerts. Each is opened at its first need."""

import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

from broker.worker.relay import Relay
from jobs.events import EventSink
from middleware.metric_series import Source
from middleware.tallies import Gauges, Tallies
from settings import Settings

if TYPE_CHECKING:
    from middleware.sentry import Sentry
    from middleware.tracing import Tracing


class Instruments:
    """`relays` gives the readers of the event stream that run in this process.

    `sources` are asked at each scrape; who has numbers of their own (limits, schedules) appends to it.
    """

    def __init__(self, settings: Settings, relays: Callable[[], Iterable[Relay]]) -> None:
        telemetry = settings.telemetry
        self._settings = settings
        self._relays = relays
        self._lock = threading.Lock()
        self._tracing: Tracing | None = None
        self._sentry: Sentry | None = None
        self.sources: list[Source] = [self._about, self._lags]
        #: None: this process counts nothing.
        self.tallies: Tallies | None = None
        if telemetry.counts:
            most = telemetry.tenant_label_limit if telemetry.tenant_label else 0
            self.tallies = Tallies(most, by_error=telemetry.opencell)

    @property
    def traces(self) -> bool:
        """Whether there are spans."""
        return self._settings.telemetry.otlp_endpoint is not None

    @property
    def alerts(self) -> bool:
        """Whether failures are reported to Sentry."""
        return self._settings.sentry.dsn is not None

    def tracing(self) -> "Tracing":
        """The process's tracing. Raises ImportError with what to install."""
        with self._lock:
            if self._tracing is None:
                from middleware.tracing import otlp_tracing

                its = self._settings.telemetry
                assert its.otlp_endpoint is not None
                self._tracing = otlp_tracing(
                    its.otlp_endpoint, its.headers(), its.service_name, its.trace_share
                )
            return self._tracing

    def sentry(self) -> "Sentry":
        """The process's Sentry client. Raises ValueError for a DSN that is none."""
        with self._lock:
            if self._sentry is None:
                from middleware.sentry import Sentry

                its = self._settings.sentry
                assert its.dsn is not None
                self._sentry = Sentry(
                    its.dsn.get_secret_value(),
                    its.environment or self._settings.env,
                    its.release,
                    tenants=self._settings.telemetry.tenant_label,
                )
            return self._sentry

    def serve(self) -> Callable[[], None]:
        """Open this process's metrics port; what closes it."""
        from middleware.metric_series import registry_of, serve_metrics

        its = self._settings.telemetry
        return serve_metrics(registry_of(self.tallies, self.sources), its.metrics_host, its.metrics_port or 0)

    def watched(self, sink: EventSink) -> EventSink:
        """The sink, looked through for failures that no run told of."""
        if not self.alerts:
            return sink
        from middleware.sentry import LostAlerts

        return LostAlerts(sink, self.sentry)

    def _about(self) -> Iterable[Gauges]:
        kind, release = self._settings.workers.type, version("callboard")
        yield Gauges(
            "callboard_process_info",
            "The release of this process and the queues that its kind serves.",
            ("worker_type", "version"),
            (((kind, release), 1),),
        )

    def _lags(self) -> Iterable[Gauges]:
        lags: dict[str, int] = {}
        for relay in self._relays():
            name = relay.name.removeprefix("callboard-")  # with its shard, where there are several
            lags[name] = lags.get(name, 0) + relay.lag
        yield Gauges(
            "callboard_events_behind",
            "Events that a reader (audit) has not dealt with yet.",
            ("reader",),
            tuple(((reader,), lag) for reader, lag in sorted(lags.items())),
        )
