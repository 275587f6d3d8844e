"""What Prometheus reads: the counts of this process, and numbers that others know, at each scrape."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from jobs.errors import CallboardError
from jobs.model import Outcome
from middleware.tallies import FIRST, Gauges, Sheet, Tallies, cumulative, label_of

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

logger = logging.getLogger(__name__)

#: Asked at each scrape. Limits, audit lag and the like hand one in.
Source = Callable[[], Iterable[Gauges]]
#: A port that is taken is passed over for the next; so many worker processes may be on one host.
MOST_PORTS = 100


class Series:
    """A prometheus_client Collector. It has no state of its own, so no multiprocess files are needed."""

    def __init__(self, tallies: Tallies | None, sources: Sequence[Source] = ()) -> None:
        self._tallies = tallies
        self._sources = sources

    def collect(self) -> "Iterator[Metric]":
        if self._tallies is not None:
            sheet = self._tallies.total()
            yield from _jobs(sheet)
            if self._tallies.most_tenants:
                yield _tenants(sheet)
            if self._tallies.by_error:
                yield from _opencell(sheet)
        for source in self._sources:
            yield from _gauges(source)

    def describe(self) -> "list[Metric]":
        """Nothing ahead of time: a registry would otherwise collect when it is made."""
        return []


def registry_of(tallies: Tallies | None, sources: Sequence[Source] = ()) -> "CollectorRegistry":
    """A registry of our own with these series and the process's memory and processor time."""
    from prometheus_client import CollectorRegistry, ProcessCollector

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Series(tallies, sources))
    return registry


def serve_metrics(registry: "CollectorRegistry", host: str, port: int) -> Callable[[], None]:
    """Serve `/metrics` on the first free port from `port` on; what closes it. A worker goes on without."""
    from prometheus_client import start_http_server

    for candidate in range(port, min(port + MOST_PORTS, 65_536)):
        try:
            server, _ = start_http_server(candidate, host, registry)
        except OSError:
            continue
        logger.info("Metrics are at http://%s:%d/metrics", host, candidate)
        return partial(_close, server)
    logger.error(
        "No metrics are served: no port of %s from %d on is free; set telemetry.metrics_port.", host, port
    )
    return lambda: None


def _close(server: "WSGIServer") -> None:
    def close() -> None:
        server.shutdown()
        server.server_close()

    # It takes up to half a second, for which the last outcomes of a worker do not wait.
    threading.Thread(target=close, name="callboard-metrics-close", daemon=True).start()


def _jobs(sheet: Sheet) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    by = ("queue", "actor")
    sent = CounterMetricFamily(
        "callboard_jobs_enqueued", "Jobs sent; created=false: it was there before.", labels=(*by, "created")
    )
    ended = CounterMetricFamily(
        "callboard_attempts",
        "Runs that ended, by outcome; attempt is first or later.",
        labels=(*by, "outcome", "attempt"),
    )
    waits = HistogramMetricFamily(
        "callboard_job_wait_seconds", "From when a job might run to its start.", labels=by
    )
    runs = HistogramMetricFamily("callboard_job_run_seconds", "How long runs took.", labels=by)
    for names, tally in sorted(sheet.actors.items()):
        if tally.sent or tally.known:
            sent.add_metric((*names, "true"), tally.sent)
            sent.add_metric((*names, "false"), tally.known)
        for outcome, place in FIRST.items():
            for attempt, count in (("first", tally.outcomes[place]), ("later", tally.outcomes[place + 1])):
                if count:
                    ended.add_metric((*names, outcome.value, attempt), count)
        if any(tally.waits):
            waits.add_metric(names, list(cumulative(tally.waits)), sum_value=tally.wait_sum)
        if any(tally.runs):
            runs.add_metric(names, list(cumulative(tally.runs)), sum_value=tally.run_sum)
    yield from (sent, ended, waits, runs)


def _tenants(sheet: Sheet) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(
        "callboard_tenant_attempts", "Runs that ended, by tenant.", labels=("queue", "tenant", "outcome")
    )
    for (queue, tenant, outcome), count in sorted(sheet.tenants.items()):
        family.add_metric((queue, label_of(tenant), outcome.value), count)
    return family


def _opencell(sheet: Sheet) -> "Iterator[Metric]":
    """The names of S4: a queue is a tool, an attempt its execution."""
    from prometheus_client.core import CounterMetricFamily

    executions: dict[tuple[str, str], int] = {}
    for (queue, _), tally in sheet.actors.items():
        for outcome, status in _STATUS.items():
            place, key = FIRST[outcome], (_tool(queue), status)
            count = tally.outcomes[place] + tally.outcomes[place + 1]
            if count:
                executions[key] = executions.get(key, 0) + count
    family = CounterMetricFamily(
        "opencell_tool_execution", "Runs of a queue's jobs (S4).", labels=("tool_name", "status")
    )
    for names, count in sorted(executions.items()):
        family.add_metric(names, count)
    yield family
    errors = CounterMetricFamily(
        "opencell_tool_error", "Runs that failed, by error (S4).", labels=("tool_name", "error_type")
    )
    for (queue, kind), count in sorted(sheet.errors.items()):
        errors.add_metric((_tool(queue), label_of(kind)), count)
    yield errors


_STATUS = {Outcome.COMPLETED: "success", Outcome.RETRY: "error", Outcome.FAILED: "error"}


def _tool(queue: str) -> str:
    return f"queue_{queue.replace('-', '_')}"


def _gauges(source: Source) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    try:
        found = list(source())
    except CallboardError as error:
        logger.warning("Some metrics are missing: %s", error)
        return
    for one in found:
        family = (CounterMetricFamily if one.counter else GaugeMetricFamily)(
            one.name, one.about, labels=one.labels
        )
        for values, number in one.rows:
            family.add_metric(values, number)
        yield family
