"""Spans: one trace from whoever sent a job to its last run, and nothing at all unless it is switched on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from jobs.memory import MemoryStore
from middleware.current import current_job
from middleware.tracing import Tracing
from tests.fundamentals.stage import make_app
from tests.middleware.receivers import receiving
from tests.middleware.steps import details
from tests.middleware.workers import planted_worker
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
# redis-py itself loads a part of OpenTelemetry's SDK where it is installed.
HEAVY = ["opentelemetry.exporter", "google.protobuf", "sentry_sdk", "prometheus_client", "structlog"]


class Traced:
    """An application whose spans are kept in memory."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.exporter = InMemorySpanExporter()
        self.tracing = app.instruments._tracing = Tracing(self.exporter, at_once=True)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        (one,) = self.spans(name)
        return one


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    telemetry = {"otlp_endpoint": "http://127.0.0.1:1"}  # what is there is not asked: see `Traced`
    return Traced(make_app(monkeypatch, MemoryStore(), telemetry=telemetry))


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_send_wait_and_run_are_one_trace(traced: Traced) -> None:
    @actor
    def sync() -> None: ...

    with fake(traced.app.broker) as jobs:
        message = sync.send_with_options(tenant_id="acme")
        jobs.advance(3)
        jobs.run_all()
        (detail,) = details(jobs)
    send, wait, run = (traced.span(f"{name} sync") for name in ("send", "wait", "run"))
    assert {span.context.trace_id for span in (send, wait, run)} == {send.context.trace_id}
    assert wait.parent == run.parent
    assert run.parent is not None
    assert run.parent.span_id == send.context.span_id
    assert (send.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert wait.end_time == run.start_time
    assert wait.start_time is not None
    assert wait.end_time is not None
    assert round((wait.end_time - wait.start_time) / 1e9) == 3
    said = attributes(run)
    assert said["messaging.message.id"] == message.message_id
    assert (said["messaging.destination.name"], said["callboard.tenant_id"]) == ("sync", "acme")
    assert said["callboard.outcome"] == "completed"
    assert detail.trace_id == f"{run.context.trace_id:032x}"  # the audit row names it


def test_each_attempt_is_a_run_linked_to_the_one_before(traced: Traced) -> None:
    @actor(attempts=3, backoff={"delay": 0})
    def shaky() -> None:
        job = current_job()
        if job is None or job.attempt < 3:
            raise ValueError("not yet")

    with fake(traced.app.broker) as jobs:
        shaky.send()
        jobs.run_all()
    send, (first, second, third) = traced.span("send shaky"), traced.spans("run shaky")
    assert [attributes(run)["callboard.outcome"] for run in (first, second, third)] == [
        "retry",
        "retry",
        "completed",
    ]
    for run in (first, second, third):
        assert run.parent is not None
        assert run.parent.span_id == send.context.span_id
    assert first.links == ()
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert [link.context.span_id for link in third.links] == [second.context.span_id]
    assert [run.status.status_code for run in (first, third)] == [StatusCode.ERROR, StatusCode.UNSET]


def test_a_job_that_a_job_sends_is_its_child(traced: Traced) -> None:
    @actor
    def child() -> None: ...

    @actor
    def parent() -> None:
        child.send()

    with fake(traced.app.broker) as jobs:
        parent.send()
        jobs.run_all()
    run, send, below = traced.span("run parent"), traced.span("send child"), traced.span("run child")
    assert send.parent is not None
    assert send.parent.span_id == run.context.span_id
    assert below.parent is not None
    assert below.parent.span_id == send.context.span_id
    assert below.context.trace_id == traced.span("send parent").context.trace_id


def test_a_coroutine_sends_within_its_run_too(traced: Traced) -> None:
    @actor
    def child() -> None: ...

    @actor
    async def parent() -> None:
        child.send()

    with fake(traced.app.broker) as jobs:
        parent.send()
        jobs.run_all()
    send = traced.span("send child")
    assert send.parent is not None
    assert send.parent.span_id == traced.span("run parent").context.span_id


def test_the_next_of_a_pipeline_is_a_child_of_the_run_before_it(traced: Traced) -> None:
    @actor
    def one() -> int:
        return 1

    @actor
    def two(x: int) -> None: ...

    with fake(traced.app.broker) as jobs:
        (one.message() | two.message()).run()
        jobs.run_all()
    send = traced.span("send two")
    assert send.parent is not None
    assert send.parent.span_id == traced.span("run one").context.span_id


def test_after_a_run_nothing_of_it_is_left_on_the_thread(traced: Traced) -> None:
    @actor
    def sync() -> None: ...

    with fake(traced.app.broker) as jobs:
        sync.send()
        jobs.run_all()
        assert not trace.get_current_span().get_span_context().is_valid
        sync.send()
        jobs.run_all()
    first, second = traced.spans("run sync")
    assert first.context.trace_id != second.context.trace_id


def test_a_job_that_was_sent_without_traces_has_one_for_all_its_runs(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def shaky() -> None:
        raise ValueError

    with fake(traced.app.broker) as jobs:
        with monkeypatch.context() as untraced:
            untraced.setattr(traced.app.broker, "_hooks", {"before_enqueue": (), "after_enqueue": ()})
            shaky.send()
        jobs.run_all()
    first, second = traced.spans("run shaky")
    assert first.parent is None
    assert first.context.trace_id == second.context.trace_id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


def test_a_span_tells_of_a_failure_without_quoting_an_argument(traced: Traced) -> None:
    @actor(attempts=1)
    def leaky(token: str) -> None:
        try:
            {}[token]
        except KeyError as error:
            raise RuntimeError(f"bad token {token}") from error

    with fake(traced.app.broker) as jobs:
        leaky.send("s3cr3t-token-1")
        jobs.run_all()
    run = traced.span("run leaky")
    assert [dict(event.attributes or {})["exception.type"] for event in run.events] == [
        "RuntimeError",
        "KeyError",
    ]
    assert "s3cr3t" not in run.to_json()


def test_a_message_that_is_sent_again_is_linked_to_its_first_send(traced: Traced) -> None:
    @actor
    def sync() -> None: ...

    with fake(traced.app.broker):
        message = sync.message()
        traced.app.broker.enqueue(message)
        with trace.use_span(traced.tracing.request("POST", {})):
            traced.app.broker.enqueue(message)
    first, second = traced.spans("send sync")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert attributes(second)["callboard.created"] is False


def test_off_there_is_no_option_no_hook_and_no_library(app: App, jobs: FakeJobs) -> None:
    @actor
    def sync() -> None: ...

    assert "trace" not in sync.send().options
    assert "Telemetry" not in [type(one).__name__ for one in app.broker.middleware]
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import actors, sys; print([name for name in {HEAVY} if name in sys.modules])",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"


def test_a_real_worker_sends_the_whole_trace_to_a_collector(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, namespace: str, home: Path
) -> None:
    from tests.middleware.planted import declare

    with receiving() as collector:
        app = make_app(
            monkeypatch,
            home=home,
            redis={"url": redis_url, "namespace": namespace},
            telemetry={"otlp_endpoint": collector.url},
        )
        actors = declare()
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20k",
            "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that only the worker's end sends its spans
        }
        with planted_worker(redis_url, namespace, home, **environment) as worker:
            actors["parent"].send("ada")
            eventually(lambda: _completed(app) == 2)
            worker.process.terminate()
            assert worker.ended() == 0
        app.instruments.tracing().flush()
        app.instruments.tracing().provider.shutdown()
        app.broker.close()
        found = collector.spans()
    names = sorted(span.name for span in found if not span.name.startswith("wait"))
    assert names == ["run parent", "run shaky", "run shaky", "send parent", "send shaky"]
    assert len({span.trace_id for span in found}) == 1
    assert "Bearer k" in {headers.get("authorization") for headers in collector.headers}


def _completed(app: App) -> int:
    return sum(one.completed_total for one in app.store.stats(["parent", "shaky"]))


def test_a_collector_that_is_away_delays_neither_jobs_nor_the_end(
    redis_url: str, namespace: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.middleware.planted import declare

    app = make_app(monkeypatch, home=home, redis={"url": redis_url, "namespace": namespace})
    actors = declare()
    with planted_worker(
        redis_url, namespace, home, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1"
    ) as worker:
        message = actors["parent"].send("ada")
        eventually(lambda: (job := app.store.get(message.message_id)) and job.state.value == "completed")
        worker.process.terminate()
        assert worker.ended() == 0
    app.broker.close()


def test_a_trace_of_another_system_is_continued_and_nonsense_is_passed_over(traced: Traced) -> None:
    @actor
    def sync() -> None: ...

    with fake(traced.app.broker):
        sync.send_with_options(trace=f"00-{'ab' * 16}-{'cd' * 8}-01")
        sync.send_with_options(trace="nonsense")
        sync.send_with_options(trace=7)
    theirs, *ours = traced.spans("send sync")
    assert f"{theirs.context.trace_id:032x}" == "ab" * 16
    assert [span.parent for span in ours] == [None, None]
