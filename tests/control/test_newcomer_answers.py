"""Answers that say what is missing and why: shredded data, cached jobs, left-out places, ids of tenants."""

from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

import dramatiq
import orjson
import pytest

from actors import app as platform
from actors.composition import App, compose
from actors.declare import actor
from broker.notes import SEALED
from control.service import HistoryService, JobService
from control.service.keys import KeyActions
from control.service.limit_actions import LimitService
from control.service.standing import why_view
from database.audit import AuditWriter
from jobs.errors import KeyShredded
from jobs.marks import Secret
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Standing, Verdict
from settings import Settings, key_text
from tests.control.board import small_app
from tests.control.letters import a_board
from tests.control.running import refused
from tests.sealed import KEYS, give_keys
from tests.tables import give_tables

QUEUE = "email-sync"


def card_charge(card: Annotated[str, Secret]) -> None:
    """Take money."""


@pytest.fixture
def sealing(tmp_path: Path, redis_url: str, namespace: str) -> App:
    """An application whose jobs are encrypted, on a real server and with a database."""
    where = {"url": redis_url, "namespace": namespace}
    app = compose(Settings.model_validate({"home": tmp_path, "redis": where, "keys": KEYS}))
    give_tables(app.engine())
    dramatiq.actor(card_charge, queue_name="card-charge", broker=app.broker)
    return app


def a_paid_job(app: App) -> str:
    """A completed job of acme with an encrypted result; its id."""
    charge: Any = app.broker.actors["card_charge"]
    job_id = charge.send_with_options(kwargs={"card": "4111"}, job_id="c1", tenant_id="acme").message_id
    (job,) = app.store.fetch(FetchRequest("w1", "t1", 1, {"card-charge": 1})).jobs
    told = app.broker.codec.close_note("result", job, {"result": {"paid": 250}})
    record = orjson.dumps({SEALED: b64encode(told).decode()})
    app.store.settle("w1", [Verdict(job.id, job.token, Outcome.COMPLETED, record=record)])
    return str(job_id)


def test_after_a_shredding_a_job_says_what_cannot_be_read_and_why(sealing: App) -> None:
    job_id = a_paid_job(sealing)
    before = JobService(sealing).get(job_id)
    assert (before.data, before.returnvalue, before.notes) == ({"card": "[private]"}, {"paid": 250}, {})

    KeyActions(sealing, "ada").shred("acme", "acme")

    why = "cannot be read: the key of tenant 'acme' was shredded"
    view = JobService(sealing).get(job_id)
    assert (view.data, view.returnvalue) == (None, None)
    assert view.to_json()["notes"] == {"data": why, "returnvalue": why}


def test_the_command_shows_it_in_their_places(
    sealing: App, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = a_paid_job(sealing)
    KeyActions(sealing, "ada").shred("acme", "acme")
    monkeypatch.setattr("actors.app", sealing)
    lines = [
        line.split(maxsplit=1) for line in here("jobs", "get", job_id).stdout.splitlines() if line.strip()
    ]
    shown = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    assert shown["data"] == shown["returnvalue"] == "(cannot be read: the key of tenant 'acme' was shredded)"
    assert "notes" not in shown


def test_a_payload_of_an_older_key_is_said_to_be_shredded_in_one_plain_sentence(sealing: App) -> None:
    job_id = a_paid_job(sealing)
    keys = KeyActions(sealing, "ada")
    keys.shred("acme", "acme")
    keys.restore("acme")
    job = sealing.store.get(job_id)
    assert job is not None
    with pytest.raises(KeyShredded) as refusal:
        sealing.broker.codec.check(job)
    assert str(refusal.value) == "This was encrypted with a key of tenant 'acme' that was shredded."


def test_a_reason_that_is_a_sentence_ends_with_one_stop(app: App, store: MemoryStore) -> None:
    store.enqueue([NewJob("j1", QUEUE, "email_sync", b"")])
    job = store.get("j1")
    assert job is not None
    standing = Standing(job, rests_until=job.created_at, rest_scope="job", rest_reason="The key is not here.")
    said = why_view(standing, []).reasons
    assert any(reason.endswith("because The key is not here.") for reason in said)


def test_a_job_that_was_answered_from_the_cache_says_so_in_its_attempts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_board(monkeypatch, tmp_path) as board:
        board.jobs.store.read_events("audit", "one")

        @actor(cache={"ttl": 60_000})
        def rate_of(day: str) -> int:
            return 7

        for _ in range(2):
            message = rate_of.send("monday")
            board.jobs.run_all()
        batch = board.jobs.store.read_events("audit", "one")
        AuditWriter(board.app.engine()).write(batch.events)
        (attempt,) = HistoryService(board.app).attempts(message.message_id).attempts
        assert attempt.to_json()["reason"].startswith("answered from the cache")


def test_rates_of_queues_that_nobody_declares_are_not_among_the_limits(tmp_path: Path) -> None:
    app = small_app(MemoryStore(), tmp_path, queue_defaults={"per_resource_rate": "9/min"})
    listed = {rule.limit for rule in LimitService(app, "ada").read().rules}
    assert "per-resource-rate:email-sync" in listed
    assert "per-resource-rate:voice-call" not in listed


def test_a_key_over_http_is_in_camel_case_as_all_answers(ruled: App) -> None:
    give_keys(ruled.settings.home)
    shown = KeyActions(ruled, "ada").add().to_json()
    assert "usedFrom" in shown
    assert "used_from" not in shown


def test_resealing_names_what_it_looks_at(sealing: App, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a_paid_job(sealing)
    ring = {**KEYS["ring"], "2": key_text(bytes(reversed(range(32))))}
    redis = sealing.settings.redis.model_dump(exclude_unset=True)
    newer = compose(
        Settings.model_validate(
            {"home": sealing.settings.home, "redis": redis, "keys": {"ring": ring, "current": 2}}
        )
    )
    monkeypatch.setattr("actors.app", newer)
    said = here("keys", "rotate", "--reseal").stdout.splitlines()
    assert said[:2] == [
        "tenants' keys: 1 looked at, 1 sealed anew",
        "payloads of jobs: 1 looked at, 1 sealed anew",
    ]


def test_a_log_that_is_empty_because_job_log_is_left_out_says_so(
    here: Any, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.enqueue([NewJob("j1", QUEUE, "email_sync", b"")])
    assert here("jobs", "logs", "j1").stdout == "job j1 has logged nothing\n"
    chosen = platform.settings.middleware.model_copy(update={"without": ("job_log",)})
    monkeypatch.setattr(platform, "settings", platform.settings.model_copy(update={"middleware": chosen}))
    said = here("jobs", "logs", "j1").stdout
    assert said == "job j1 has logged nothing: job_log is left out (middleware.without)\n"


def test_an_id_of_a_callers_that_is_not_there_is_told_how_a_tenants_is_written(
    here: Any, memory: MemoryStore
) -> None:
    assert refused(here("jobs", "get", "ship-1")).endswith("; one that a tenant gave is TENANT~ship-1")
    for other in ("acme~ship-1", "5f6e0c1a-0000-4000-8000-123456789abc"):
        assert "TENANT~" not in refused(here("jobs", "get", other))


def test_the_stack_is_shown_as_it_is(here: Any, memory: MemoryStore) -> None:
    shown = orjson.loads(here("config", "stack", "--json").stdout)
    assert (shown[0]["class"], shown[0]["from"]) == ("broker.worker.lifecycle.Lifecycle", "broker")
    # A Worker that an earlier test ran on this application has left its own middleware at the broker.
    places = [row["place"] for row in shown if row["from"] != "broker"]
    assert places == [layer.place for layer in platform.layers]
    (retries,) = [row for row in shown if row["place"] == "retries"]
    assert (retries["class"], retries["from"]) == ("middleware.retries.Retries", "default")
    assert "middleware.retries.Retries" in here("config", "stack").stdout
