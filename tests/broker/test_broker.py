"""What `send()` does before the store is asked and after it has answered."""

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq import Message, group
from dramatiq.middleware import Middleware

from actors.composition import App
from actors.declare import actor
from broker.sent import SentMessage
from broker.testing import FakeJobs, fake, inline
from jobs.errors import InvalidPayload, JobIdTaken, UnknownActor
from jobs.memory import MemoryStore
from jobs.model import Job
from jobs.states import JobState
from tests.fundamentals.stage import make_app

DAY_S = 24 * 3_600


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    return make_app(monkeypatch, MemoryStore(), queues={"letters": {"id_memory_ms": "2 days"}})


@pytest.fixture
def jobs(app: App) -> Iterator[FakeJobs]:
    with fake(app.broker) as jobs:
        yield jobs


def stored(jobs: FakeJobs, job_id: str) -> Job:
    job = jobs.store.get(job_id)
    assert job is not None
    return job


# Ids


def test_a_tenants_own_id_is_stored_with_the_tenant_before_it(jobs: FakeJobs) -> None:
    @actor
    def invoice(number: int) -> None: ...

    acme = invoice.send_with_options(args=(7,), job_id="invoice-7", tenant_id="acme")
    other = invoice.send_with_options(args=(7,), job_id="invoice-7", tenant_id="a/b c")
    nobody = invoice.send_with_options(args=(7,), job_id="invoice-7")

    assert [message.message_id for message in (acme, other, nobody)] == [
        "acme~invoice-7",
        "a=2Fb=20c~invoice-7",
        "invoice-7",
    ]
    assert all(message.created for message in (acme, other, nobody)), "three tenants, three jobs"
    assert stored(jobs, "acme~invoice-7").lane == "acme"
    assert not invoice.send_with_options(args=(7,), job_id="invoice-7", tenant_id="acme").created


def test_an_actors_tenant_counts_as_the_calls(jobs: FakeJobs) -> None:
    @actor(tenant_id="acme")
    def invoice(number: int) -> None: ...

    assert invoice.send_with_options(args=(7,), job_id="i").message_id == "acme~i"


def test_an_id_that_was_made_up_has_no_tenant_in_it(jobs: FakeJobs) -> None:
    @actor
    def invoice(number: int) -> None: ...

    message = invoice.send_with_options(args=(7,), tenant_id="acme")
    assert "~" not in message.message_id
    assert stored(jobs, message.message_id).lane == "acme"


def test_the_same_message_sent_again_is_the_same_job(jobs: FakeJobs, app: App) -> None:
    @actor
    def invoice(number: int) -> None: ...

    for options in ({}, {"job_id": "i", "tenant_id": "a b"}, {"tenant_id": "a b"}):
        first = invoice.send_with_options(args=(7,), **options)
        again = app.broker.enqueue(first)
        assert (first.created, again.created) == (True, False)
        assert again.message_id == first.message_id
    assert len(jobs.queued()) == 3


def test_an_id_of_another_tenant_cannot_be_used(jobs: FakeJobs, app: App) -> None:
    @actor
    def invoice(number: int) -> None: ...

    message = invoice.send_with_options(args=(7,), job_id="i", tenant_id="acme")
    moved = Message("invoice", "invoice", (7,), {}, {"tenant_id": "evil"}, message.message_id)
    with pytest.raises(InvalidPayload, match="the id 'acme~i' is one of another tenant"):
        app.broker.enqueue(moved)


def test_an_id_of_another_actor_is_taken(jobs: FakeJobs) -> None:
    @actor
    def invoice(number: int) -> None: ...

    @actor
    def reminder(number: int) -> None: ...

    invoice.send_with_options(args=(7,), job_id="seven")
    with pytest.raises(JobIdTaken, match="job_id 'seven' is taken by another job"):
        reminder.send_with_options(args=(7,), job_id="seven")


def test_a_callers_id_is_known_as_long_as_its_queue_says_and_a_made_up_one_for_minutes(
    jobs: FakeJobs, app: App
) -> None:
    @actor(queue="letters", remove_on_complete=True)
    def write(number: int) -> None: ...

    given = write.send_with_options(args=(1,), job_id="one")
    made_up = write.send(2)
    assert jobs.run_all() == 2
    assert jobs.store.get("one") is None, "it is gone and still known"

    jobs.advance(seconds=121)
    assert app.broker.enqueue(made_up).created
    assert not app.broker.enqueue(given).created
    jobs.advance(seconds=2 * DAY_S - 125)
    assert not write.send_with_options(args=(1,), job_id="one").created
    jobs.advance(seconds=10)
    assert write.send_with_options(args=(1,), job_id="one").created


# What happened


def test_a_second_job_with_the_same_key_is_the_first_one(jobs: FakeJobs) -> None:
    @actor(unique={"by": ["account_id"]})
    def sync(account_id: str, full: bool = False) -> None: ...

    first, second, other = sync.send("a1"), sync.send("a1", full=True), sync.send("a2")
    assert (first.created, second.created, other.created) == (True, False, True)
    assert second.message_id == first.message_id
    assert second.args == ("a1",), "the rest is what was sent"
    assert len(jobs.queued()) == 2


def test_the_store_never_sees_the_values_of_a_key(jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    given = []
    enqueue = jobs.store.enqueue
    monkeypatch.setattr(jobs.store, "enqueue", lambda new: given.extend(new) or enqueue(new))
    sync.send_with_options(args=("a1",), unique={"key": "hunter2"})
    (job,) = given
    assert job.unique is not None
    assert "hunter2" not in repr(job.unique)


def test_the_message_names_the_job_whose_place_it_took(jobs: FakeJobs) -> None:
    @actor(unique={"key": "all", "mode": "debounce"})
    def rebuild(number: int) -> None: ...

    first, second = rebuild.send(1), rebuild.send(2)
    assert (second.created, second.replaced) == (True, first.message_id)
    assert [job.id for job in jobs.queued()] == [second.message_id]


def test_the_mode_latest_has_a_gate_through_which_one_goes_at_a_time(jobs: FakeJobs) -> None:
    @actor(unique={"by": ["account_id"], "mode": "latest"})
    def sync(account_id: str) -> None: ...

    gates = {stored(jobs, sync.send(account).message_id).gate for account in ("a1", "a2")}
    assert len(gates) == 2
    assert all(gate.startswith("one:unique:sync:") for gate in gates)
    with pytest.raises(InvalidPayload, match="gate cannot be given with the unique mode latest"):
        sync.send_with_options(args=("a1",), gate="mine")


def test_many_are_told_apart_in_one_go(jobs: FakeJobs, app: App) -> None:
    @actor(unique={"by": ["account_id"]})
    def sync(account_id: str) -> None: ...

    sent = app.broker.enqueue_many(sync.message(account) for account in ("a", "b", "a"))
    assert [message.created for message in sent] == [True, True, False]
    assert sent[2].message_id == sent[0].message_id
    assert app.broker.enqueue_many([]) == []


def test_an_actor_that_dramatiq_declared_is_told_the_same(jobs: FakeJobs) -> None:
    @dramatiq.actor(queue_name="stock", unique=True)
    def stock(number: int) -> None: ...

    sent = [stock.send(1), stock.send(1)]
    assert all(isinstance(message, SentMessage) for message in sent)
    assert [getattr(message, "created", None) for message in sent] == [True, False]


# Middleware


class Watching(Middleware):
    """Notes what it hears; gives each job a tenant."""

    actor_options = frozenset({"colour"})

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bool]] = []

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        message.options.setdefault("tenant_id", "acme")
        self.heard.append(("before", message.message_id, message.created))

    def after_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        self.heard.append(("after", message.message_id, message.created))


def test_a_middleware_hears_the_end_of_a_send_that_added_nothing_too(jobs: FakeJobs, app: App) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    watching = Watching()
    app.broker.add_middleware(watching)
    for _ in range(2):
        sync.send_with_options(args=("a1",), job_id="x", tenant_id="acme")
    assert watching.heard == [
        ("before", "acme~x", True),
        ("after", "acme~x", True),
        ("before", "acme~x", True),
        ("after", "acme~x", False),
    ]


def test_a_tenant_that_a_middleware_gives_counts_for_lane_and_id(jobs: FakeJobs, app: App) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    app.broker.add_middleware(Watching())
    message = sync.send_with_options(args=("a1",), job_id="x")
    assert message.message_id == "acme~x"
    assert stored(jobs, "acme~x").lane == "acme"
    assert stored(jobs, sync.send("a1").message_id).lane == "acme"


def test_what_a_middleware_refuses_is_not_sent(jobs: FakeJobs, app: App) -> None:
    class Closed(Middleware):
        def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
            if message.args == (3,):
                raise PermissionError("not today")

    @actor
    def count(number: int) -> None: ...

    app.broker.add_middleware(Closed())
    with pytest.raises(PermissionError):
        count.send(3)
    with pytest.raises(PermissionError):
        app.broker.enqueue_many(count.message(number) for number in range(5))
    assert jobs.queued() == [], "of many, none"


def test_options_of_a_middleware_that_was_added_are_known(jobs: FakeJobs, app: App) -> None:
    @actor
    def count(number: int) -> None: ...

    with pytest.raises(InvalidPayload, match="there is no option 'colour'"):
        count.send_with_options(args=(1,), colour="red")
    app.broker.add_middleware(Watching())
    assert count.send_with_options(args=(1,), colour="red").created


# Declaring


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"priority": 0}, "priority must be a whole number from 1 to 10"),
        ({"priority": "high"}, "priority must be a whole number from 1 to 10"),
        ({"attempts": 0}, "attempts must be a whole number"),
        ({"gate": "a\nb"}, "gate must be 1 to 100 printable characters"),
        ({"unique": {"by": ["acount"]}}, "unique.by names 'acount'; there are account_id"),
        ({"unique": {"mode": "throttle"}}, "unique.ttl must be given with mode throttle"),
    ],
)
def test_an_option_that_makes_no_sense_is_found_when_the_actor_is_declared(
    app: App, option: dict[str, Any], words: str
) -> None:
    def sync(account_id: str) -> None: ...

    with pytest.raises(InvalidPayload) as refused:
        actor(**option)(sync)
    assert str(refused.value).startswith(words)
    assert app.broker.actors == {}


def test_by_may_not_name_at_send_what_the_function_does_not_take(jobs: FakeJobs) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    with pytest.raises(InvalidPayload, match=r"unique\.by names 'user'"):
        sync.send_with_options(args=("a1",), unique={"by": ["user"]})
    assert jobs.queued() == []


def test_an_actor_that_is_not_declared_cannot_be_sent_to(app: App) -> None:
    with pytest.raises(UnknownActor, match="There is no actor named 'nobody'"):
        app.broker.enqueue(Message("q", "nobody", (), {}, {}))


def test_callbacks_may_be_named_by_actor_or_by_name(jobs: FakeJobs, app: App) -> None:
    @actor
    def done(message: dict[str, Any], result: Any) -> None: ...

    @actor
    def work() -> None: ...

    for callback in (done, "done"):
        message = work.send_with_options(on_success=callback)
        assert message.options["on_success"] == "done"
    with pytest.raises(TypeError, match="on_success must be an actor or its name"):
        work.message_with_options(on_success=7)


# Pipelines and groups


def test_a_sent_message_goes_on_in_pipelines_and_groups(app: App) -> None:
    @actor
    def add(x: int, y: int) -> int:
        return x + y

    with inline(app.broker):
        sent = add.send(1, 2)
        assert sent.get_result() == 3

        chain = sent | add.message(10)
        assert [type(message).__name__ for message in chain.messages] == ["SentMessage", "Message"]
        again = add.message(1, 2) | sent.copy(message_id="later", args=(4,))
        again.run()
        assert again.get_result() == 7

        both = group([add.message(1, 1), add.message_with_options(args=(2, 2), job_id="four")])
        both.run()
        assert list(both.get_results()) == [2, 4]


# Emptying


def test_flush_removes_waiting_and_delayed_jobs_however_many(jobs: FakeJobs, app: App) -> None:
    @actor
    def count(number: int) -> None: ...

    app.broker.enqueue_many(count.message(number) for number in range(2_500))
    count.send_with_options(args=(1,), delay=60_000)
    app.broker.flush("count")
    assert jobs.queued() == []
    count.send(1)
    app.broker.flush_all()
    assert [job.state for job in jobs.queued()] == []


def test_a_job_with_every_option_is_stored_as_it_was_sent(jobs: FakeJobs) -> None:
    @actor
    def sync(account_id: str) -> None: ...

    message = sync.send_with_options(
        args=("a1",), priority=1, attempts=9, tenant_id="acme", gate="gmail:a1", job_id="j", delay=60_000
    )
    job = stored(jobs, message.message_id)
    assert (job.id, job.queue, job.actor, job.lane, job.gate) == (
        "acme~j",
        "sync",
        "sync",
        "acme",
        "gmail:a1",
    )
    assert (job.priority, job.max_attempts, job.state) == (1, 9, JobState.DELAYED)
