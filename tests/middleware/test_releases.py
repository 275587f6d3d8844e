"""Jobs that were sent by another release: older arguments are lifted, newer jobs left to newer workers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import dramatiq
import pytest
from dramatiq import pipeline
from dramatiq.middleware import CurrentMessage
from pydantic import Field

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from jobs.errors import InvalidPayload, StoreUnavailable
from jobs.marks import Secret
from jobs.memory import MemoryStore
from jobs.model import WorkerInfo
from jobs.states import JobState
from middleware import releases
from middleware.contract import Contract
from middleware.releases import NewerWorkers, Releases, Stamp, stamp_of
from settings import Settings, SettingsError, load_settings
from tests.fundamentals.stage import make_app
from tests.middleware.steps import error_of, events, job_of
from tests.waiting import eventually

Fleet = Callable[..., App]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """An application of a release; jobs go from one to another with `hand_over`."""
    return lambda release: make_app(monkeypatch, MemoryStore(), release=release)


def hand_over(sent: FakeJobs, to: App) -> FakeJobs:
    """The other release's workers, on the jobs that were sent."""
    jobs = FakeJobs(to.broker, to.rules_of)
    jobs.store = sent.store
    return jobs


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the minute for a newer worker were over."""
    monkeypatch.setattr(releases, "NEWER_S", 0.0)


def stamp(jobs: FakeJobs, message: "dramatiq.Message[Any]") -> Stamp:
    found = stamp_of(jobs._broker.decode(job_of(jobs, message)).options)
    assert found is not None
    return found


# The stamp


def test_each_job_says_of_which_release_and_signature_it_is(fleet: Fleet) -> None:
    app = fleet(12)

    @actor(version=3)
    def mailbox_sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        fingerprint = app.contract("mailbox_sync").fingerprint
        assert stamp(jobs, mailbox_sync.send("a")) == Stamp(12, 3, fingerprint)
        assert mailbox_sync.send("a").options == {"stamp": f"12.3.{fingerprint}"}
        (many,) = app.broker.enqueue_many([mailbox_sync.message("a")])
        assert stamp(jobs, many) == Stamp(12, 3, fingerprint)


def test_a_caller_cannot_forge_it(fleet: Fleet) -> None:
    app = fleet(12)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        assert stamp(jobs, sync.send_with_options(args=("a",), stamp="3.1.x")).release == 12
        assert stamp(jobs, sync.send_with_options(args=("a",), stamp=7)).release == 12


def test_a_message_that_is_sent_again_keeps_its_stamp_and_its_job(fleet: Fleet) -> None:
    app = fleet(12)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        sent = sync.send("a")
        again = app.broker.enqueue(sent)
        assert (again.message_id, again.created) == (sent.message_id, False)
        assert len(jobs.queued()) == 1


@pytest.mark.parametrize(
    "text", ["", "7", "7.x.ab", "-1.1.ab", "²..", "9" * 5_000 + ".1.ab", None, 5, ["7", 1, "ab"]]
)
def test_what_is_no_stamp_counts_as_none(text: Any) -> None:
    assert stamp_of({"stamp": text}) is None


def test_the_release_is_a_setting_and_else_that_of_the_version() -> None:
    assert load_settings({"CALLBOARD_RELEASE": "2041"}).release == 2041
    assert Settings().release == 100  # of 0.1.0
    with pytest.raises(SettingsError, match="release"):
        load_settings({"CALLBOARD_RELEASE": "v2"})


def test_signatures_that_accept_the_same_have_one_fingerprint() -> None:
    def first(a: int, b: str = "") -> None:
        """One."""

    def same(a: int, b: str = "") -> int:
        """Two."""
        return 1

    def by_name(*, a: int, b: str = "") -> None: ...

    def other_order(b: str = "", a: int = 0) -> None: ...

    def other_type(a: str, b: str = "") -> None: ...

    def more(a: int, b: str = "", *rest: int) -> None: ...

    def more_texts(a: int, b: str = "", *rest: str) -> None: ...

    prints = [
        Contract("f", function).fingerprint
        for function in (first, same, by_name, other_order, other_type, more, more_texts)
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == len(prints) - 1
    assert all(len(one) == 8 for one in prints)


def test_words_change_no_fingerprint_and_a_parameter_named_title_counts() -> None:
    def titled(title: int) -> None: ...

    def titled_by_a_text(title: str) -> None: ...

    def described(description: int) -> None: ...

    def explained(title: Annotated[int, Field(description="a number")]) -> None: ...

    def print_of(function: Callable[..., Any]) -> str:
        return Contract("f", function).fingerprint

    assert print_of(titled) == print_of(explained)
    assert print_of(titled) != print_of(titled_by_a_text)
    assert print_of(titled) != print_of(described)


# Lifting


def of_version_1(account: str, days: int = 7) -> dict[str, Any]:
    return {"account_id": account, "since": date(2026, 1, days)}


def of_version_2(account_id: str, since: date) -> dict[str, Any]:
    return {"account_id": account_id, "since": since, "folders": ["INBOX"]}


def sent_by_release_1(fleet: Fleet, *args: Any, **kwargs: Any) -> tuple[FakeJobs, Any]:
    app = fleet(1)

    @actor
    def mailbox_sync(account: str, days: int = 7) -> None: ...

    with fake(app.broker) as jobs:
        return jobs, mailbox_sync.send(*args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"), [(("a1",), {}), (("a1", 7), {}), ((), {"account": "a1"}), (("a1",), {"days": 7})]
)
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_old_arguments_are_lifted_version_by_version(
    fleet: Fleet, args: tuple[Any, ...], kwargs: dict[str, Any], kind: str
) -> None:
    sent, message = sent_by_release_1(fleet, *args, **kwargs)
    new = fleet(2)
    got = []

    def mailbox_sync(account_id: str, since: date, folders: list[str]) -> None:
        got.append((account_id, since, folders))

    async def mailbox_sync_async(account_id: str, since: date, folders: list[str]) -> None:
        mailbox_sync(account_id, since, folders)

    function: Any = mailbox_sync if kind == "plain" else mailbox_sync_async
    options: Any = {"version": 3, "upcasts": {1: of_version_1, 2: of_version_2}}
    actor(queue="mailbox-sync", actor_name="mailbox_sync", **options)(function)
    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert got == [("a1", date(2026, 1, 7), ["INBOX"])]
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_a_job_from_before_there_were_stamps_counts_as_version_1(fleet: Fleet) -> None:
    app = fleet(1)
    got = []

    @actor(version=2, upcasts={1: lambda account: {"account_id": account}})
    def sync(account_id: str) -> None:
        got.append(account_id)

    with fake(app.broker) as jobs:
        sent = sync.send("a1")
        payload = job_of(jobs, sent).payload
        bare = payload.replace(b'{"stamp":"' + sent.options["stamp"].encode() + b'"}', b"{}")
        assert bare != payload
        other = replace_payload(jobs, sync, bare)
        jobs.run_all()
        assert job_of(jobs, other).state is JobState.COMPLETED
    assert got == ["a1", "a1"]


def replace_payload(jobs: FakeJobs, of: Any, payload: bytes) -> str:
    from jobs.model import NewJob

    jobs._broker.accept([NewJob("other", of.queue_name, of.actor_name, payload)])
    return "other"


def test_the_lifted_arguments_are_checked_like_any_others(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=2, upcasts={1: lambda account, days=7: {"account_id": account, "since": "soon"}})
    def mailbox_sync(account_id: str, since: date) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert "since: input should be a valid date" in error_of(jobs, message)["message"]


def broken(account: Annotated[str, Secret], days: int = 7) -> dict[str, Any]:
    raise KeyError(f"no account {account}")


@pytest.mark.parametrize(
    ("upcast", "reason"),
    [
        (broken, "mailbox_sync cannot lift arguments of version 1 to 2: KeyError in broken, "),
        (lambda account, days=7: [account], "has an upcast of version 1 that does not return arguments by"),
        (lambda account, days=7: {1: account}, "has an upcast of version 1 that does not return arguments"),
        (lambda other: {"account_id": other}, "mailbox_sync of version 1 cannot take these arguments: other"),
    ],
)
def test_an_upcast_that_fails_ends_the_job_at_once_and_quotes_no_value(
    fleet: Fleet, upcast: Any, reason: str
) -> None:
    sent, message = sent_by_release_1(fleet, account="hunter2")
    new = fleet(2)

    @actor(version=2, upcasts={1: upcast})
    def mailbox_sync(account_id: str) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 1, "dead-letter")
    assert reason in error_of(jobs, message)["message"]
    assert b"hunter2" not in (job.record or b"") + b"".join(event.detail for event in events(jobs))


def test_a_version_that_is_lifted_no_more_says_so(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=3, upcasts={2: of_version_2})
    def mailbox_sync(account_id: str, since: date, folders: list[str]) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert error_of(jobs, message)["message"] == (
        "mailbox_sync no longer takes arguments of version 1: it has no upcast for them."
    )


def test_without_versions_the_refusal_says_that_the_signature_was_another(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, account="a1")
    new = fleet(2)

    @actor
    def mailbox_sync(account_id: str) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert error_of(jobs, message)["message"].endswith(
        "It was sent by another version of the signature, of release 1: register a function in `upcasts` "
        "that makes the new arguments of the old ones."
    )


def test_a_payload_of_another_signature_that_fits_all_the_same_just_runs(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor
    def mailbox_sync(account: str, days: float = 7, more: str = "") -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_an_old_message_that_is_sent_again_is_lifted_then(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=2, upcasts={1: of_version_1})
    def mailbox_sync(account_id: str, since: date) -> None: ...

    old = new.broker.decode(job_of(sent, message)).copy(message_id="again")
    with fake(new.broker) as jobs:
        again = new.broker.enqueue(old)
        assert stamp(jobs, again)[:2] == (2, 2)
        assert job_of(jobs, again).payload.startswith(b'[[],{"account_id":"a1","since":"2026-01-07"}')


def test_the_later_jobs_of_a_pipeline_are_of_the_version_that_made_it(fleet: Fleet) -> None:
    old = fleet(1)

    @actor(queue="first")
    def first() -> int:
        return 5

    @actor(queue="second")
    def second(account: str, number: int) -> None: ...

    with fake(old.broker) as sent:
        pipeline([first.message(), second.message("a1")], broker=old.broker).run()
    new = fleet(2)
    got = []
    actor(queue="first")(first.fn)

    def lift(account: str, number: int) -> dict[str, Any]:
        return {"number": number, "account_id": account}

    @actor(queue="second", actor_name="second", version=2, upcasts={1: lift})  # type: ignore[arg-type]
    def second_of_today(*, account_id: str, number: int) -> None:
        got.append((account_id, number))

    with fake(new.broker) as jobs:
        jobs.store = sent.store
        new.broker.store = sent.store
        jobs.run_all()
    assert got == [("a1", 5)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"version": 0}, "version of sync must be a whole number from 1"),
        ({"version": "2"}, "version of sync must be a whole number from 1"),
        ({"version": True}, "version of sync must be a whole number from 1"),
        ({"version": 2, "upcasts": [of_version_1]}, "upcasts of sync must be functions by version"),
        ({"version": 2, "upcasts": {"1": of_version_1}}, "upcasts of sync must be functions by version"),
        ({"version": 2, "upcasts": {1: "of_version_1"}}, "must be plain functions; that of 1 is none"),
        ({"upcasts": {1: of_version_1}}, "from 1 to 0, because its version is 1"),
        ({"version": 4, "upcasts": {1: of_version_1, 3: of_version_2}}, "each version from 1 to 3"),
        ({"version": 2, "upcasts": {2: of_version_2}}, "each version from 2 to 1"),
    ],
)
def test_versions_that_make_no_sense_are_refused_where_they_are_declared(
    app: App, options: Any, reason: str
) -> None:
    with pytest.raises(InvalidPayload, match=reason):

        @actor(**options)
        def sync(account_id: str) -> None: ...


def test_an_upcast_whose_hints_cannot_be_checked_is_refused_too(app: App) -> None:
    def old(callback: Callable[[], int]) -> dict[str, Any]:
        return {}

    with pytest.raises(TypeError, match="The upcast 1 of actor sync cannot be checked: a type hint has no"):

        @actor(version=2, upcasts={1: old})
        def sync() -> None: ...


@pytest.mark.parametrize("option", ["version", "upcasts"])
def test_a_call_has_no_version(app: App, jobs: FakeJobs, option: str) -> None:
    @actor
    def sync() -> None: ...

    with pytest.raises(InvalidPayload, match=f"{option} is said of an actor"):
        sync.send_with_options(**{option: 2})


# A rolling deploy


def test_an_older_worker_hands_a_newer_job_back_and_no_attempt_is_spent(fleet: Fleet) -> None:
    new = fleet(2)

    @actor(queue="sync", actor_name="sync")
    def sync_of_release_2(account_id: str) -> None:
        raise AssertionError("it does not run here")

    with fake(new.broker) as sent:
        message = sync_of_release_2.send("a1")
    old = fleet(1)
    ran = []

    @actor
    def sync(account_id: str) -> None:
        ran.append(account_id)

    with fake(old.broker):
        jobs = hand_over(sent, old)
        for _ in range(5):
            assert jobs.run_all() == 1
            job = job_of(jobs, message)
            assert (job.state, job.attempts) == (JobState.DELAYED, 0)
            sent.advance(3)
    assert ran == []
    assert events(jobs) == []


def test_when_no_newer_worker_came_it_is_taken_after_all(fleet: Fleet, no_waiting: None) -> None:
    """A release that was rolled back must not leave its jobs behind."""
    new = fleet(2)
    actor(queue="sync", actor_name="sync")(lambda account_id: None)
    with fake(new.broker) as sent:
        message = new.broker.get_actor("sync").send("a1")
    old = fleet(1)
    ran = []

    @actor
    def sync(account_id: str) -> None:
        ran.append(account_id)

    with fake(old.broker):
        jobs = hand_over(sent, old)
        jobs.run_all()
    assert ran == ["a1"]
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_but_not_when_its_arguments_are_of_a_newer_version(fleet: Fleet, no_waiting: None) -> None:
    new = fleet(2)

    @actor(queue="sync", actor_name="sync", version=2)
    def sync_of_release_2(account: str) -> None: ...

    with fake(new.broker) as sent:
        message = sync_of_release_2.send("a1")
    old = fleet(1)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(old.broker):
        jobs = hand_over(sent, old)
        jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.dead_letter) == (JobState.FAILED, "dead-letter")
    assert error_of(jobs, message)["message"] == (
        "sync was sent by release 2 with version 2 of its arguments; this is release 1 with version 1, "
        "and no worker of a newer one is left."
    )


A_WORKER = WorkerInfo("other", "host", 1, "0.1.0+2", 4, ("sync",), 0)


@pytest.mark.parametrize(
    ("worker", "waits"),
    [
        (A_WORKER, True),
        (replace(A_WORKER, version="0.2.0+3"), True),
        (replace(A_WORKER, version="0.1.0+1"), False),
        (replace(A_WORKER, version="0.1.0"), False),  # of a release that numbers nothing
        (replace(A_WORKER, queues=("other",)), False),
        (replace(A_WORKER, owner="test"), False),  # this one itself
    ],
)
def test_after_a_minute_it_waits_on_only_while_a_newer_worker_serves_its_queue(
    fleet: Fleet, no_waiting: None, worker: WorkerInfo, waits: bool
) -> None:
    class Job:
        message_id, queue_name, owner = "j", "sync", "test"

    job: Any = Job()
    assert NewerWorkers(lambda: [worker]).may_come(job, 2) is waits


def test_while_the_registry_cannot_be_asked_it_waits(no_waiting: None) -> None:
    def away() -> list[WorkerInfo]:
        raise StoreUnavailable("away")

    class Job:
        message_id, queue_name, owner = "j", "sync", "test"

    job: Any = Job()
    assert NewerWorkers(away).may_come(job, 2)


def test_the_registry_is_asked_seldom(no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Job:
        queue_name, owner = "sync", "test"

        def __init__(self, message_id: str) -> None:
            self.message_id = message_id

    workers = NewerWorkers(lambda: asked.append(1) or [])  # type: ignore[func-returns-value]
    for number in range(200):
        one: Any = Job(str(number))
        workers.may_come(one, 2)
    assert len(asked) == 1


class Clock:
    """Jobs of release 2 as a worker of an older one meets them, at times of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.there: list[WorkerInfo] = [A_WORKER]
        monkeypatch.setattr("middleware.releases.time.monotonic", lambda: self.now)
        self.newer = NewerWorkers(lambda: self.there)

    def may_come(self, message_id: str = "j", queue: str = "sync", release: int = 2) -> bool:
        class Job:
            owner, queue_name = "test", queue

        job: Any = Job()
        job.message_id = message_id
        return self.newer.may_come(job, release)


def test_after_a_rollback_each_of_many_jobs_runs_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are remembered one by one, and none of them met twice by the same process."""
    clock = Clock(monkeypatch)
    assert clock.may_come("last seen")
    clock.there = []
    clock.now += releases.NEWER_S + releases.ASK_EVERY_S
    assert not any(clock.may_come(f"job-{number}") for number in range(releases.MOST_MET + 10))


def test_a_newer_worker_that_restarts_late_in_a_deploy_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for _ in range(40):  # two minutes
        assert clock.may_come()
        clock.now += 3.0
    clock.there = []
    for _ in range(15):
        assert clock.may_come(), "a restart takes under a minute"
        clock.now += 3.0
    clock.there = [A_WORKER]
    clock.now += 10.0
    assert clock.may_come()
    clock.there = []
    clock.now += 59.0
    assert clock.may_come()


def test_what_it_remembers_of_newer_releases_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "MOST_MET", 50)
    clock = Clock(monkeypatch)
    for number in range(200):
        clock.may_come(release=number + 2)
    assert len(clock.newer._met) == 50


def test_an_actor_that_sends_its_lifted_message_on_is_not_lifted_twice(fleet: Fleet) -> None:
    old = fleet(1)

    @actor(queue="pay", actor_name="pay")
    def in_euros(amount: int) -> None: ...

    with fake(old.broker) as sent:
        in_euros.send(7)
    new = fleet(2)
    seen: list[int] = []

    @actor(queue="pay", actor_name="pay", version=2, upcasts={1: lambda amount: {"amount": amount * 100}})
    def in_cents(amount: int) -> None:
        seen.append(amount)
        mine = CurrentMessage.get_current_message()
        if len(seen) == 1 and mine is not None:
            new.broker.enqueue(mine.copy(message_id="again"))

    with fake(new.broker):
        jobs = hand_over(sent, new)
        new.broker.store = sent.store
        jobs.run_all()
        jobs.run_all()
    assert seen == [700, 700]


def test_two_releases_on_the_real_server_each_take_their_own(
    monkeypatch: pytest.MonkeyPatch, home: Any, redis_url: str, namespace: str
) -> None:
    monkeypatch.setattr(releases, "NEWER_DELAY_MS", 100)
    shared = {"home": home, "redis": {"url": redis_url, "namespace": namespace}}
    ran: list[tuple[int, str]] = []

    def release(number: int, options: dict[str, Any], function: Any) -> tuple[App, Any]:
        app = make_app(monkeypatch, release=number, **shared)
        return app, actor(queue="sync", actor_name="sync", **options)(function)

    old, sync_1 = release(1, {}, lambda account: ran.append((1, account)))
    lift: Any = {"version": 2, "upcasts": {1: lambda account: {"account_id": account}}}
    new, sync_2 = release(2, lift, lambda *, account_id: ran.append((2, account_id)))
    workers = [dramatiq.Worker(old.broker, worker_threads=2, worker_timeout=50)]
    workers[0].start()
    try:
        newer = [sync_2.send(account_id=f"new-{number}") for number in range(5)]
        first = sync_1.send("old")
        eventually(lambda: (1, "old") in ran)
        eventually(lambda: all(found(new, one).state is not JobState.ACTIVE for one in newer))
        assert ran == [(1, "old")], "the older worker leaves them alone"

        workers.append(dramatiq.Worker(new.broker, worker_threads=2, worker_timeout=50))
        workers[1].start()
        eventually(lambda: len(ran) == 6)
        assert sorted(ran[1:]) == [(2, f"new-{number}") for number in range(5)]
        eventually(lambda: all(found(new, one).state is JobState.COMPLETED for one in (*newer, first)))
        assert {found(new, one).attempts for one in newer} == {1}
        assert {worker.version.partition("+")[2] for worker in new.store.workers()} == {"1", "2"}

        workers.pop(0).stop(timeout=10_000)
        sync_1.send("late")  # by a producer that is not deployed yet
        eventually(lambda: (2, "late") in ran)
    finally:
        for worker in workers:
            worker.stop(timeout=10_000)
        for app in (old, new):
            app.broker.close()
            app.engine().dispose()


def found(app: App, message: Any) -> Any:
    job = app.store.get(message.message_id)
    assert job is not None
    return job


def test_left_out_no_job_is_stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, MemoryStore(), middleware={"without": ["releases"]})
    assert not any(isinstance(one, Releases) for one in app.broker.middleware)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        message = sync.send("a1")
        assert message.options == {}
        jobs.run_all()
        assert job_of(jobs, message).state is JobState.COMPLETED
