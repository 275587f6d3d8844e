"""10. A job that is there already is not added again. `send()` tells which one it is.

`unique=True` counts all arguments, `{"by": [...]}` some of them, `{"key": …}` none; each within a tenant
and an actor. The `mode` says what a second one does.
"""

import threading

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker


def test_the_second_send_names_the_first_job(real_app: App, running_worker: StartWorker) -> None:
    @actor(unique={"by": ["account_id"]})
    def sync(account_id: str, full: bool = False) -> str:
        return account_id

    first = sync.send("a1")
    second = sync.send("a1", full=True)
    assert (first.created, second.created) == (True, False)
    assert second.message_id == first.message_id
    assert sync.send("a2").created

    running_worker()
    assert second.get_result(block=True) == "a1", "who sent the second one waits for the first"
    assert sync.send("a1").created, "it has finished, so there may be another"


def test_a_call_may_ask_for_it_and_tenants_are_apart(real_app: App) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    def send(tenant: str) -> bool:
        return sync.send_with_options(args=("a1",), tenant_id=tenant, unique=True).created

    assert [send("acme"), send("acme"), send("other")] == [True, False, True]
    assert sync.send_with_options(args=("a1",), tenant_id="acme").created, "this one did not ask"


def test_until_started_lets_one_wait_while_another_runs(real_app: App, running_worker: StartWorker) -> None:
    started, go_on = threading.Event(), threading.Event()

    @actor(unique={"key": "all", "mode": "until_started"})
    def rebuild() -> None:
        started.set()
        go_on.wait(40)

    running_worker()
    rebuild.send()
    started.wait(40)
    again = [rebuild.send_with_options(delay=60_000).created for _ in range(2)]
    go_on.set()
    assert again == [True, False]


def test_until_finished_lasts_over_retries_until_the_job_has_ended(jobs: FakeJobs) -> None:
    answers = iter([ConnectionError("no route"), None])

    @actor(unique=True, backoff={"type": "fixed", "delay": 1_000})
    def flaky() -> None:
        if answer := next(answers):
            raise answer

    flaky.send()
    jobs.run_all()
    assert not flaky.send().created, "it will be tried again"
    jobs.advance(seconds=1)
    jobs.run_all()
    assert flaky.send().created


def test_throttle_adds_none_for_a_time_whatever_became_of_the_first(jobs: FakeJobs) -> None:
    @actor(unique={"key": "all", "mode": "throttle", "ttl": 60_000})
    def rebuild() -> None: ...

    rebuild.send()
    jobs.run_all()
    jobs.advance(seconds=59)
    assert not rebuild.send().created, "it is done, and its minute is not over"
    jobs.advance(seconds=1)
    assert rebuild.send().created


def test_debounce_lets_only_the_newest_run(jobs: FakeJobs) -> None:
    seen = []

    @actor(unique={"by": ["document"], "mode": "debounce"})
    def save(document: str, text: str) -> None:
        seen.append(text)

    def typed(text: str) -> object:
        return save.send_with_options(args=("d1", text), delay=2_000)

    first = typed("H")
    jobs.advance(seconds=1)
    second = typed("He")
    assert second.replaced == first.message_id  # type: ignore[attr-defined]
    jobs.advance(seconds=1.5)
    assert jobs.run_all() == 0, "two seconds have not passed since the last word"
    jobs.advance(seconds=0.5)
    jobs.run_all()
    assert seen == ["He"]


def test_latest_lets_one_run_and_the_newest_wait(real_app: App, running_worker: StartWorker) -> None:
    seen = []
    started, go_on = threading.Event(), threading.Event()

    @actor(unique={"by": ["account_id"], "mode": "latest"})
    def sync(account_id: str, number: int) -> None:
        started.set()
        go_on.wait(40)
        seen.append(number)

    running_worker()
    sync.send("a1", 1)
    started.wait(40)
    second = sync.send("a1", 2)
    third = sync.send("a1", 3)
    assert (third.created, third.replaced) == (True, second.message_id)
    assert real_app.store.get(second.message_id) is None

    job = real_app.store.get(third.message_id)
    assert job is not None
    assert job.state is JobState.WAITING, "although three threads of the worker are free"
    go_on.set()
    real_app.broker.join("sync", timeout=40_000)
    assert seen == [1, 3]


def test_an_id_of_your_own_is_known_for_days(jobs: FakeJobs) -> None:
    @actor(remove_on_complete=True)
    def invoice(number: int) -> None: ...

    def send() -> bool:
        return invoice.send_with_options(args=(7,), job_id="invoice-7", tenant_id="acme").created

    assert send()
    jobs.run_all()
    assert jobs.store.get("acme~invoice-7") is None, "it is done and gone"
    jobs.advance(seconds=6 * 24 * 3_600)
    assert not send()
    jobs.advance(seconds=2 * 24 * 3_600)
    assert send(), "`id_memory_ms` of its queue: seven days"
