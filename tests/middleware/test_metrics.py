"""Prometheus: what is counted, by which names, and that no label grows without bound."""

import logging
import re
import threading
import time
import urllib.request
from pathlib import Path

import dramatiq
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actors.composition import App
from actors.declare import actor
from broker.testing import fake
from control.api.serve import AddressTaken, listen
from jobs.errors import HoldJob, PermanentError
from jobs.memory import MemoryStore
from jobs.model import Outcome
from middleware.metric_series import registry_of, serve_metrics
from middleware.tallies import BOUNDS, FOLD_AT, MOST_ERROR_TYPES, OTHER, Gauges, Tallies
from tests.fundamentals.stage import make_app
from tests.ports import free_port
from tests.waiting import eventually

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(app: App) -> Samples:
    its = app.instruments
    return samples(generate_latest(registry_of(its.tallies, its.sources)).decode())


def value(of: Samples, name: str, **labels: str) -> float | None:
    return of.get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> App:
    telemetry = {"metrics_port": 9464, "tenant_label": True, "tenant_label_limit": 2, "opencell": True}
    return make_app(monkeypatch, MemoryStore(), telemetry=telemetry)


def test_without_a_port_nothing_is_counted_and_nothing_is_in_the_way(app: App) -> None:
    assert app.instruments.tallies is None
    assert "Metrics" not in [type(one).__name__ for one in app.broker.middleware]


def test_sends_runs_and_outcomes_are_counted_by_queue_and_actor(counting: App) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def bill_run(fails: bool) -> None:
        if fails:
            raise ValueError

    with fake(counting.broker) as jobs:
        bill_run.send(False)
        bill_run.send_with_options(args=(True,), job_id="once")
        bill_run.send_with_options(args=(True,), job_id="once")
        jobs.run_all()
    seen, by = read(counting), {"queue": "bill-run", "actor": "bill_run"}
    assert value(seen, "callboard_jobs_enqueued_total", **by, created="true") == 2
    assert value(seen, "callboard_jobs_enqueued_total", **by, created="false") == 1
    assert value(seen, "callboard_attempts_total", **by, outcome="completed", attempt="first") == 1
    assert value(seen, "callboard_attempts_total", **by, outcome="retry", attempt="first") == 1
    assert value(seen, "callboard_attempts_total", **by, outcome="failed", attempt="later") == 1
    assert value(seen, "callboard_job_wait_seconds_count", **by) == 3
    # S4's names: a queue is a tool.
    assert value(seen, "opencell_tool_execution_total", tool_name="queue_bill_run", status="success") == 1
    assert value(seen, "opencell_tool_execution_total", tool_name="queue_bill_run", status="error") == 2
    assert value(seen, "opencell_tool_error_total", tool_name="queue_bill_run", error_type="ValueError") == 2


def test_a_time_out_is_called_so(counting: App) -> None:
    @actor(attempts=1)
    def slow() -> None:
        raise TimeoutError

    with fake(counting.broker) as jobs:
        slow.send()
        jobs.run_all()
    assert (
        value(read(counting), "opencell_tool_error_total", tool_name="queue_slow", error_type="timeout") == 1
    )


def test_a_held_job_is_no_failure_and_says_nothing_of_times(counting: App) -> None:
    @actor
    def patient() -> None:
        raise HoldJob(5, reason="not now")

    with fake(counting.broker) as jobs:
        patient.send()
        jobs.run_all()
    seen, by = read(counting), {"queue": "patient", "actor": "patient"}
    assert value(seen, "callboard_attempts_total", **by, outcome="held", attempt="first") == 1
    assert value(seen, "callboard_job_wait_seconds_count", **by) is None


def test_tenants_beyond_the_limit_are_called_other(counting: App) -> None:
    @actor
    def sync() -> None: ...

    with fake(counting.broker) as jobs:
        for tenant in ("acme", "bell", "cora", "dora"):
            sync.send_with_options(tenant_id=tenant)
        jobs.run_all()
    name, seen = "callboard_tenant_attempts_total", read(counting)
    tenants = {dict(labels)["tenant"]: count for (found, labels), count in seen.items() if found == name}
    assert sum(tenants.values()) == 4
    assert len(tenants) == 3
    assert tenants["other"] == 2


def test_a_tenant_that_is_named_other_is_not_mixed_with_the_others(counting: App) -> None:
    @actor
    def sync() -> None: ...

    with fake(counting.broker) as jobs:
        for tenants_sent in (("other", "=other"), ("cora", "dora", "eve")):
            for tenant in tenants_sent:
                sync.send_with_options(tenant_id=tenant)
            jobs.run_all()
    name, seen = "callboard_tenant_attempts_total", read(counting)
    tenants = {dict(labels)["tenant"]: count for (found, labels), count in seen.items() if found == name}
    assert tenants == {"=other": 1, "==other": 1, "other": 3}


def test_tenants_are_in_no_label_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, MemoryStore(), telemetry={"metrics_port": 9464})

    @actor(attempts=1)
    def sync() -> None:
        raise PermanentError("no")

    with fake(app.broker) as jobs:
        sync.send_with_options(tenant_id="acme")
        jobs.run_all()
    text = generate_latest(registry_of(app.instruments.tallies, app.instruments.sources)).decode()
    assert 'queue="sync"' in text
    assert "acme" not in text
    assert "opencell" not in text


def test_types_of_errors_are_bounded_too() -> None:
    tallies = Tallies(by_error=True)
    for number in range(MOST_ERROR_TYPES + 5):
        tallies.error("sync", f"Error{number}")
    assert len(tallies.total().errors) == MOST_ERROR_TYPES + 1
    assert tallies.total().errors["sync", OTHER] == 5


def test_threads_count_apart_and_nothing_is_lost_when_they_end() -> None:
    tallies, threads = Tallies(), 3 * FOLD_AT

    def count() -> None:
        for _ in range(50):
            tallies.of("q", "a").ended(Outcome.COMPLETED, 1, 0.002, 0.2)

    for _ in range(threads):
        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
    tally = tallies.total().actors["q", "a"]
    assert sum(tally.outcomes) == sum(tally.waits) == sum(tally.runs) == 50 * threads
    assert tally.waits[0] == 50 * threads
    assert tally.runs[BOUNDS.index(0.25)] == 50 * threads
    assert len(tallies._sheets) <= FOLD_AT  # what ended was taken over


def test_who_has_numbers_of_their_own_hands_in_a_source(counting: App) -> None:
    used = Gauges("callboard_limit_used", "Of a limit.", ("limit",), ((("gmail",), 3),))
    counting.instruments.sources.append(lambda: [used])
    assert value(read(counting), "callboard_limit_used", limit="gmail") == 3


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_worker_serves_its_counts_on_loopback_and_stops_with_it(
    monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str, port: int
) -> None:
    app = make_app(
        monkeypatch,
        home=home,
        redis={"url": redis_url, "namespace": namespace},
        telemetry={"metrics_port": port},
    )

    @actor
    def add(x: int) -> None: ...

    worker = dramatiq.Worker(app.broker, worker_threads=4, worker_timeout=50)
    began = time.monotonic()
    worker.start()
    for number in range(10):
        add.send(number)

    def scraped() -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            return samples(answer.read().decode())

    by = {"queue": "add", "actor": "add", "outcome": "completed", "attempt": "first"}
    eventually(lambda: value(scraped(), "callboard_attempts_total", **by) == 10)
    seen = scraped()
    assert value(seen, "callboard_events_behind", reader="audit") is not None
    assert (value(seen, "process_resident_memory_bytes") or 0) > 1_000_000
    ran_s = value(seen, "callboard_job_run_seconds_sum", queue="add", actor="add")
    assert 0 < (ran_s or 0) < 4 * (time.monotonic() - began), "it has four threads"
    worker.stop(timeout=10_000)
    app.broker.close()
    app.engine().dispose()
    eventually(lambda: _is_free(port))


def _is_free(port: int) -> bool:
    try:
        listen("127.0.0.1", port).close()
    except AddressTaken:
        return False
    return True


def test_a_second_process_on_the_host_takes_the_next_free_port(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    registry = registry_of(Tallies())
    first = serve_metrics(registry, "127.0.0.1", port)
    second = serve_metrics(registry, "127.0.0.1", port)
    try:
        addresses = re.findall(r"http://127\.0\.0\.1:\d+/metrics", caplog.text)
        assert len(set(addresses)) == 2
        for address in addresses:
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert b"process_" in answer.read()
    finally:
        first()
        second()


def test_without_a_free_port_the_worker_runs_all_the_same(
    counting: App, caplog: pytest.LogCaptureFixture
) -> None:
    with listen("127.0.0.1", 0) as taken:
        serve_metrics(registry_of(None), "192.0.2.1", taken.getsockname()[1])()
    assert "No metrics are served" in caplog.text
