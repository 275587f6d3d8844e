"""Sealing at work: a real server, a real worker, and no secret in clear anywhere."""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import dramatiq
import orjson
import pytest
import redis

from actors.composition import App
from actors.declare import actor
from broker.redis.embedded import EmbeddedServer
from control.service import JobService
from database.tenant_keys import StoredTenantKeys
from jobs.errors import KeyMissing
from jobs.marks import Secret
from jobs.model import NewJob
from jobs.states import JobState
from jobs.wrapped_keys import WrappedKey
from middleware.job_log import job_log
from middleware.progress import progress
from settings import Settings, SettingsError
from tests.fundamentals.stage import StartWorker, make_app
from tests.middleware.transfers import settled, stored
from tests.sealed import give_keys, signed
from tests.waiting import eventually

PLANTED = "hunter2-4111111111111111"


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"queues": {"sealed": {"encryption": True}, "plain": {"encryption": False}}}


@pytest.fixture
def durable_url(tmp_path: Path) -> Iterator[str]:
    """A server that writes all it holds into a file."""
    server = EmbeddedServer(tmp_path / "durable")
    yield server.start().url
    server.stop()


@pytest.fixture
def sealed_app(
    monkeypatch: pytest.MonkeyPatch, home: Path, durable_url: str, policies: dict[str, Any]
) -> Iterator[App]:
    app = make_app(monkeypatch, home=home, redis={"url": durable_url}, **policies)
    yield app
    app.broker.close()
    app.engine().dispose()


def test_no_secret_is_in_clear_anywhere_and_whoever_has_the_key_reads_it(
    sealed_app: App, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @actor(queue="sealed", attempts=1)
    def charge(card: str) -> str:
        progress(50, message=f"charging {card}")
        job_log.info(f"card {card}")
        return f"charged {card}"

    @actor(queue="sealed", attempts=1)
    def echo(card: str, before: str) -> None:
        pass

    @actor(queue="marked", attempts=1)
    def fail(card: Annotated[str, Secret]) -> None:
        progress(10, message=f"about to fail with {card}")
        raise ValueError(f"no such card {card}")

    caplog.set_level("DEBUG")
    worker = dramatiq.Worker(sealed_app.broker, worker_threads=2)
    # In arguments, in options (the next one's arguments), and as a unique key.
    done = charge.message_with_options(args=(PLANTED,), tenant_id="acme", unique={"by": ["card"]})
    dramatiq.pipeline([done, echo.message(PLANTED)], broker=sealed_app.broker).run()
    failed = fail.send_with_options(kwargs={"card": PLANTED}, tenant_id="acme")
    waiting = charge.send_with_options(args=(PLANTED + "-",), delay=3_600_000)
    worker.start()
    try:
        assert settled(sealed_app, done.message_id).state is JobState.COMPLETED
        assert settled(sealed_app, failed.message_id).state is JobState.FAILED
        eventually(lambda: _inputs(sealed_app))
    finally:
        worker.stop(timeout=10_000)

    assert in_redis(sealed_app, PLANTED) == []
    files = [file for folder in (home, tmp_path) for file in folder.rglob("*") if file.is_file()]
    assert any(file.suffix == ".aof" or "aof" in file.name for file in files)
    assert [str(file) for file in files if PLANTED.encode() in file.read_bytes()] == []
    assert PLANTED not in caplog.text

    view = JobService(sealed_app).get(done.message_id)
    assert (view.data, view.returnvalue) == ({"card": PLANTED}, f"charged {PLANTED}")
    assert JobService(sealed_app).progress(done.message_id).message == f"charging {PLANTED}"
    assert JobService(sealed_app).get(waiting.message_id).data == {"card": PLANTED + "-"}


def test_a_result_in_clear_is_not_taken_for_that_of_an_encrypted_job(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor(queue="sealed", attempts=1)
    def count() -> int:
        progress(50, message="half")
        return 7

    job_id = count.send().message_id
    running_worker()
    settled(real_app, job_id)
    assert JobService(real_app).get(job_id).returnvalue == 7
    assert JobService(real_app).progress(job_id).message == "half"

    keys = real_app.store.keys
    with redis.Redis.from_url(real_app.redis_address().url) as client:
        client.hset(keys.of("outcomes"), job_id, b'{"result":1000000,"sealed":"AgAB"}')
        assert JobService(real_app).get(job_id).returnvalue is None
        client.hset(keys.of("outcomes"), job_id, b'{"result":1000000}')
        client.hset(keys.of("progress"), job_id, b'{"percent":50,"message":"all is well"}')

    view = JobService(real_app).get(job_id)
    assert view.returnvalue is None
    assert JobService(real_app).progress(job_id).message is None
    opened = real_app.broker.notes.opened(stored(real_app, job_id))
    assert b"is in clear: somebody else wrote it" in (opened.record or b"")


def test_a_result_that_cannot_be_encrypted_is_not_kept_and_its_job_is_done_all_the_same(
    real_app: App, running_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*about: object) -> bytes:
        raise OSError("no such engine")

    @actor(queue="sealed", attempts=1)
    def count() -> int:
        return 7

    job_id = count.send().message_id
    monkeypatch.setattr(real_app.broker.codec, "close_note", broken)
    running_worker()
    assert settled(real_app, job_id).state is JobState.COMPLETED
    record = settled(real_app, job_id).record
    assert record is not None
    assert orjson.loads(record)["note"] == "it could not be encrypted, so the result was not kept"


def test_a_shredded_tenants_jobs_are_unreadable_and_refused_and_others_go_on(
    real_app: App, running_worker: StartWorker, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor(queue="sealed", attempts=1)
    def store(value: str) -> str:
        ran.append(value)
        return value

    done = store.send_with_options(args=("done",), tenant_id="acme")
    running_worker()
    settled(real_app, done.message_id)
    late = store.send_with_options(args=("late",), tenant_id="acme", delay=3_600_000)

    assert real_app.sealing.tenants.shred("acme")

    view = JobService(real_app).get(done.message_id)
    assert (view.data, view.returnvalue) == (None, None)
    with pytest.raises(KeyMissing, match="shredded"):
        store.send_with_options(args=("new",), tenant_id="acme")
    real_app.store.promote([late.message_id])
    job = settled(real_app, late.message_id)
    assert orjson.loads(job.record or b"")["error"]["type"] == "KeyShredded"
    other = store.send_with_options(args=("other",), tenant_id="globex")
    settled(real_app, other.message_id)
    assert ran == ["done", "other"]
    assert real_app.sealing.tenants.restore("acme")
    again = store.send_with_options(args=("again",), tenant_id="acme")
    settled(real_app, again.message_id)
    assert ran == ["done", "other", "again"]


def test_marked_parameters_are_encrypted_and_others_only_signed(real_app: App) -> None:
    @actor(queue="open")
    def open_one(value: str) -> None:
        pass

    @actor(queue="open")
    def marked_one(value: Annotated[str, Secret]) -> None:
        pass

    clear = open_one.send_with_options(args=(PLANTED,), delay=60_000)
    secret = marked_one.send_with_options(args=(PLANTED,), delay=60_000)

    assert PLANTED.encode() in stored(real_app, clear.message_id).payload
    assert PLANTED.encode() not in stored(real_app, secret.message_id).payload


def test_a_missing_key_sends_the_job_to_others_and_only_later_to_the_dead_letters(
    real_app: App,
    transfer: "dramatiq.Actor[..., Any]",
    running_worker: StartWorker,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.worker.intake.UNKNOWN_ACTOR_DELAY_MS", 50)
    monkeypatch.setattr("broker.worker.intake.UNKNOWN_ACTOR_S", 0.5)
    job = signed(NewJob("other-key", "transfer", "transfer", b'[[],{"account":"a","amount":1},{},1]'))
    real_app.store.enqueue([job._replace(payload=job.payload[:1] + b"\0\x09" + job.payload[3:])])
    running_worker()

    eventually(lambda: stored(real_app, "other-key").deliveries > 1)
    found = settled(real_app, "other-key")

    assert orjson.loads(found.record or b"")["error"]["type"] == "KeyMissing"
    assert found.attempts == 1
    assert ran == []


def test_a_slow_database_of_tenants_holds_up_their_jobs_and_no_others(
    real_app: App,
    transfer: "dramatiq.Actor[..., Any]",
    running_worker: StartWorker,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.worker.intake.UNKNOWN_ACTOR_DELAY_MS", 50)

    @actor(queue="sealed")
    def store(value: str) -> None:
        ran.append(value)

    for number in range(20):
        store.send_with_options(args=("secret",), tenant_id=f"tenant{number}")
        real_app.sealing.tenants.forget(f"tenant{number}")
    slow = threading.Event()
    answer = StoredTenantKeys.get

    def late(stored: StoredTenantKeys, tenant: str) -> WrappedKey | None:
        assert slow.wait(20)
        return answer(stored, tenant)

    monkeypatch.setattr(StoredTenantKeys, "get", late)
    transfer.send("plain", 1)
    began = time.monotonic()
    running_worker()
    eventually(lambda: ran == ["plain"])
    for number in range(10):
        settled(real_app, transfer.send(f"plain{number}", 1).message_id)
    assert time.monotonic() - began < 15  # twenty tenants, and each would take two seconds
    assert "secret" not in ran

    slow.set()
    eventually(lambda: ran.count("secret") == 20)


def test_on_a_shared_server_without_a_key_nothing_is_sent_and_no_worker_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, namespace: str
) -> None:
    monkeypatch.delitem(sys.modules, "dramatiq.cli", raising=False)  # under it the process ends instead
    app = make_app(monkeypatch, home=tmp_path, redis={"url": redis_url, "namespace": namespace})

    @actor(queue="transfer")
    def send_it(n: int) -> None:
        pass

    with pytest.raises(KeyMissing, match=re.escape("run `callboard keys new` once")):
        send_it.send(1)
    with pytest.raises(SettingsError, match=re.escape("CALLBOARD_KEYS__RING__1")):
        dramatiq.Worker(app.broker).start()
    give_keys(tmp_path)
    assert send_it.send(1).created
    app.broker.close()


def test_keys_in_the_settings_win_over_the_file(tmp_path: Path) -> None:
    give_keys(tmp_path)
    app = App(Settings(home=tmp_path, keys={"ring": {"7": "ab" * 32}}))

    assert app.sealing.ring.closing().number == 7


def in_redis(app: App, text: str) -> list[str]:
    """The keys under which a text stands in clear, whatever their type."""
    address = app.redis_address().url
    wanted, found = text.encode(), list[str]()
    with redis.Redis.from_url(address) as client:
        for key in client.scan_iter(count=1_000):
            kind = client.type(key).decode()
            read: dict[str, Callable[[], Any]] = {
                "string": lambda key=key: client.get(key),
                "hash": lambda key=key: client.hgetall(key),
                "list": lambda key=key: client.lrange(key, 0, -1),
                "set": lambda key=key: client.smembers(key),
                "zset": lambda key=key: client.zrange(key, 0, -1),
                "stream": lambda key=key: client.xrange(key),
            }
            if wanted in key or wanted in _flat(read[kind]()):
                found.append(f"{kind} {key!r}")
    return found


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return b"".join(map(_flat, value))
    return b""


def _inputs(app: App) -> list[bytes]:
    """The inputs of failed attempts in SQL."""
    with app.engine().connect() as connection:
        rows = connection.exec_driver_sql("SELECT inputs FROM job_executions WHERE inputs IS NOT NULL")
        return [row[0] for row in rows]
