"""The API's /metrics: queues for Prometheus, for whoever has the key, and a span for each request."""

from pathlib import Path

import httpx2
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.composition import App
from control.api.keys import KeyFile
from jobs.errors import StoreUnavailable
from jobs.memory import MemoryStore
from jobs.model import Outcome
from middleware.tracing import Tracing
from tests.control.board import small_app, work
from tests.control.serving import serving


def test_queues_and_workers_are_there_for_whoever_has_the_key(api: httpx2.Client, app: App) -> None:
    app.broker.actors["count"].send(3)
    app.broker.actors["count"].send(4)
    work(app.store, "count", Outcome.FAILED)
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'callboard_queue_jobs{queue="count",state="waiting"} 1.0' in lines
    assert 'callboard_queue_failed_total{queue="count"} 1.0' in lines
    assert "callboard_store_up 1.0" in lines
    assert "callboard_workers 0.0" in lines


def test_without_the_key_there_is_nothing(api: httpx2.Client, bare: httpx2.Client) -> None:
    answer = bare.get(str(api.base_url.join("/metrics")))
    assert answer.status_code == 401
    assert "callboard_queue" not in answer.text


def test_with_the_store_away_it_says_so(api: httpx2.Client, served: tuple[App, httpx2.Client]) -> None:
    class Away(MemoryStore):
        def stats(self, queues: object) -> list[object]:  # type: ignore[override]
            raise StoreUnavailable("gone")

    served[0].broker.store = Away()
    assert "callboard_store_up 0.0" in api.get("/metrics").text


@pytest.mark.parametrize(("who", "code"), [("open", 200), ("off", 404), ("key", 401)])
def test_the_settings_say_who_may_read(tmp_path: Path, bare: httpx2.Client, who: str, code: int) -> None:
    app = small_app(MemoryStore(), tmp_path, telemetry={"metrics_api": who})
    key = KeyFile(app.settings.home).ensure()
    with serving(app) as url:
        headers = {"Authorization": f"Bearer {key}"} if who == "off" else {}
        assert bare.get(f"{url}/metrics", headers=headers).status_code == code


def test_a_request_is_the_beginning_of_the_trace_of_what_it_adds(tmp_path: Path, bare: httpx2.Client) -> None:
    app = small_app(MemoryStore(), tmp_path, telemetry={"otlp_endpoint": "http://127.0.0.1:1"})
    exporter = InMemorySpanExporter()
    app.instruments._tracing = Tracing(exporter, at_once=True)
    key = KeyFile(app.settings.home).ensure()
    client = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with serving(app) as url:
        body = {"queue": "count", "data": {"upto": 41_424_344}}
        headers = {"Authorization": f"Bearer {key}", "traceparent": client}
        assert bare.post(f"{url}/api/v1/jobs", json=body, headers=headers).status_code == 201
        assert bare.get(f"{url}/api/v1/jobs").status_code == 401
    send, request = sorted(exporter.get_finished_spans(), key=lambda span: span.name, reverse=True)
    assert (request.name, send.name) == ("POST /api/v1/jobs", "send count")
    assert f"{request.context.trace_id:032x}" == "ab" * 16
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == "cd" * 8
    assert send.parent is not None
    assert send.parent.span_id == request.context.span_id
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/api/v1/jobs",
        "http.response.status_code": 201,
    }
    assert "41424344" not in request.to_json() + send.to_json()


def test_no_span_but_ours_is_made_of_a_request_whatever_the_process_s_own_provider(
    tmp_path: Path, bare: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FastAPI makes spans of its own, with the query in them, as soon as a process has a provider.
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter, at_once=True)
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", tracing.provider)
    app = small_app(MemoryStore(), tmp_path, telemetry={"otlp_endpoint": "http://127.0.0.1:1"})
    app.instruments._tracing = tracing
    key = KeyFile(app.settings.home).ensure()
    with serving(app) as url:
        bare.get(f"{url}/api/v1/queues?token=s3cr3t", headers={"Authorization": f"Bearer {key}"})
    (only,) = exporter.get_finished_spans()
    assert only.name == "GET /api/v1/queues"
    assert "s3cr3t" not in only.to_json()
