"""How outcomes of steps are kept: on the real server, encrypted when their job is, and asked for seldom."""

import threading
from types import SimpleNamespace
from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from actors.notes import JobNotes
from broker.testing import FakeJobs
from control.service import JobService
from control.service.keys import KeyActions
from jobs.errors import ForgedMessage
from jobs.marks import Secret
from jobs.states import JobState
from middleware.job_log import job_log
from middleware.sealing.ring_file import Ring, new_key, read_ring, write_ring
from middleware.steps import OUTCOME, StepRun, effect, step
from tests.broker.workers import state_of
from tests.middleware.deeds import AT_ONCE, Deeds
from tests.waiting import eventually


def test_a_job_without_steps_asks_the_store_for_none(jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(jobs.store, "steps", lambda job_id: asked.append(job_id) or {})

    @actor(backoff=AT_ONCE, attempts=2)
    def plain() -> None:
        raise ConnectionError

    @actor
    def first_run() -> None:
        step("one", lambda: 1)

    plain.send()
    first_run.send()
    jobs.run_all()
    assert asked == []


def test_steps_on_the_real_server(real_app: App, running_worker: Any) -> None:
    do, gone = Deeds("two"), threading.Event()

    @actor(backoff=AT_ONCE)
    def order() -> str:
        step("one", do, "one")
        step("two", do, "two")
        gone.set()
        return "done"

    running_worker()
    message = order.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    assert do.done == ["one", "two"]
    assert list(real_app.store.steps(message.message_id)) == ["one", "two"]


def test_what_an_encrypted_job_notes_is_encrypted(real_app: App, running_worker: Any) -> None:
    seen = list[str]()

    @actor(backoff=AT_ONCE, attempts=2)
    def secretive(token: Annotated[str, Secret]) -> None:
        job_log.info("looking", token=token)
        seen.append(step("look", lambda: f"outcome {token}"))
        seen.append(effect("mail", {"key": token}, lambda intent: intent["key"], lambda intent: None))
        raise ConnectionError

    running_worker()
    message = secretive.send("hunter2-hunter2")
    store = real_app.store
    eventually(lambda: state_of(store, message.message_id) is JobState.FAILED)
    eventually(lambda: len(store.logs(message.message_id)) == 2)
    kept, logs = store.steps(message.message_id), store.logs(message.message_id)
    assert len(kept) == 2
    assert {"look", "mail"}.isdisjoint(kept)
    assert b"hunter2" not in b"".join([*kept.values(), *(chunk for log in logs for chunk in log.chunks)])
    assert seen == ["outcome hunter2-hunter2", "hunter2-hunter2"] * 2
    (first, _) = JobService(real_app).logs(message.message_id)
    assert first.lines[0].values == {"token": "hunter2-hunter2"}


def test_the_names_of_steps_of_an_encrypted_job_are_digests_that_outlast_a_rotation(
    real_app: App, running_worker: Any
) -> None:
    calls = list[str]()
    file = real_app.settings.keys_file

    @actor(backoff=AT_ONCE, attempts=1)
    def secretive(address: Annotated[str, Secret]) -> None:
        step(f"mail {address}", calls.append, address)
        raise ConnectionError

    running_worker()
    store, job_id = real_app.store, secretive.send("ada@example.com").message_id
    eventually(lambda: state_of(store, job_id) is JobState.FAILED)
    assert "ada@example.com" not in str(list(store.steps(job_id)))
    assert [one.name for one in JobService(real_app).steps(job_id).steps] == ["mail ada@example.com"]

    ring = read_ring(file)
    assert ring is not None
    write_ring(file, Ring({**ring.keys, 2: new_key()}, 2))
    real_app.sealing.ring.look_again()
    keys = KeyActions(real_app, "ada")
    for _ in keys.reseal():
        pass
    keys.retire(1)
    assert store.retry_dead([job_id]) == [True]
    eventually(lambda: store.get(job_id).deliveries == 2 and state_of(store, job_id) is JobState.FAILED)
    assert calls == ["ada@example.com"]

    # One step is not taken for another one of its job, either.
    ((name, kept),) = store.steps(job_id).items()
    job = store.get(job_id)
    assert job is not None
    other = real_app.broker.codec.stored_name(job, "transfer")
    assert other != name
    run = StepRun(
        SimpleNamespace(job=job, secret=True, cancelled=False, under_way=None, over=0),
        JobNotes(lambda: real_app.broker),
    )
    run._stored = {other: kept}
    with pytest.raises(ForgedMessage, match="another step"):
        run.begin("transfer", OUTCOME)
