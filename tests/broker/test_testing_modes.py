"""`fake` and `inline`: what users' tests run their actors with. Both take the way of a real worker."""

import dramatiq.asyncio
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import fake, inline
from jobs.errors import InvalidPayload
from jobs.memory import MemoryStore
from jobs.states import JobState
from tests.fundamentals.stage import make_app


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    return make_app(monkeypatch, MemoryStore())


def test_the_real_store_is_back_afterwards_whatever_happened(app: App) -> None:
    real, accept = app.store, app.broker.accept
    for mode in (fake, inline):
        with pytest.raises(KeyError), mode(app.broker) as jobs:
            raise KeyError(app.store is jobs.store)
        assert app.store is real
        assert app.broker.accept == accept
        assert dramatiq.asyncio.get_event_loop_thread() is None


def test_modes_can_be_nested(app: App) -> None:
    runs = []

    @actor
    async def count(number: int) -> None:
        runs.append(number)

    with fake(app.broker) as outer:
        count.send(1)
        with inline(app.broker):
            count.send(2)
        count.send(3)
        assert len(outer.queued()) == 2
        outer.run_all()
    assert runs == [2, 1, 3]


def test_nothing_is_left_over_for_the_next_test(app: App) -> None:
    @actor
    def count(number: int) -> None: ...

    with fake(app.broker):
        count.send(1)
    with fake(app.broker) as jobs:
        assert jobs.queued() == []


def test_queued_tells_waiting_and_delayed_jobs_of_one_queue_or_all(app: App) -> None:
    @actor
    def letters(number: int) -> None: ...

    @actor
    def parcels(number: int) -> None: ...

    with fake(app.broker) as jobs:
        parcels.send(1)
        letters.send(2)
        letters.send_with_options(args=(3,), delay=1_000)
        assert [job.queue for job in jobs.queued()] == ["letters", "letters", "parcels"]
        assert [job.state for job in jobs.queued("letters")] == [JobState.WAITING, JobState.DELAYED]


def test_queued_tells_all_however_many(app: App) -> None:
    @actor
    def letters(number: int) -> None: ...

    with fake(app.broker) as jobs:
        app.broker.enqueue_many(letters.message(number) for number in range(300))
        assert len(jobs.queued("letters")) == 300


def test_tenants_take_turns_by_their_weights_as_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, MemoryStore(), tenants={"big": {"weight": 3}})
    done: list[str] = []

    @actor
    def letters(tenant: str) -> None:
        done.append(tenant)

    with fake(app.broker) as jobs:
        for tenant in ("small", "big"):
            for _ in range(6):
                letters.send_with_options(args=(tenant,), tenant_id=tenant)
        jobs.run_all()
    assert sorted(done[:8]) == ["big"] * 6 + ["small"] * 2


def test_a_rate_holds_nothing_back_because_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"rate": "1/h", "tenant_rate": "1/h", "gate_rate": "1/h"}
    app = make_app(monkeypatch, MemoryStore(), queues={"letters": limits})

    @actor
    def letters(number: int) -> None: ...

    with fake(app.broker) as jobs:
        for number in range(5):
            letters.send_with_options(args=(number,), gate="one:printer")
        assert jobs.run_all() == 5


def test_a_key_is_free_again_when_its_job_has_run(app: App) -> None:
    @actor(unique={"by": ["account"]})
    def letters(account: str) -> None: ...

    with fake(app.broker) as jobs:
        assert [letters.send("a1").created for _ in range(2)] == [True, False]
        assert jobs.run_all() == 1
        assert letters.send("a1").created


def test_inline_runs_a_job_that_is_already_there_no_second_time(app: App) -> None:
    runs = []

    @actor(unique={"key": "all", "mode": "throttle", "ttl": 60_000})
    def rebuild(number: int) -> None:
        runs.append(number)

    with inline(app.broker) as jobs:
        first, second = rebuild.send(1), rebuild.send(2)
        assert (second.created, second.message_id) == (False, first.message_id)
        jobs.advance(seconds=60)
        assert rebuild.send(3).created
    assert runs == [1, 3]


def test_jobs_that_send_each_other_without_end_are_noticed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.testing.MOST_RUNS", 200)

    @actor
    def echo() -> None:
        echo.send()

    with fake(app.broker) as jobs:
        echo.send()
        with pytest.raises(RuntimeError, match="200 jobs ran and more keep coming"):
            jobs.run_all()


def test_a_job_that_ends_the_program_fails_as_it_does_in_a_worker(app: App) -> None:
    @actor(attempts=1)
    def leave() -> None:
        raise SystemExit(3)

    with fake(app.broker) as jobs:
        message = leave.send()
        jobs.run_all()
        job = jobs.store.get(message.message_id)
        assert job is not None
        assert job.state is JobState.FAILED


def test_but_ctrl_c_still_stops_the_tests(app: App) -> None:
    @actor
    def slow() -> None:
        raise KeyboardInterrupt

    with fake(app.broker) as jobs:
        slow.send()
        with pytest.raises(KeyboardInterrupt):
            jobs.run_all()


def test_inline_refuses_what_does_not_fit_and_runs_nothing(app: App) -> None:
    runs = []

    @actor
    def count(number: int) -> None:
        runs.append(number)

    with inline(app.broker), pytest.raises(InvalidPayload):
        count.send("one")  # type: ignore[arg-type]
    assert runs == []


def test_inline_runs_the_jobs_that_a_job_sends_before_it_goes_on(app: App) -> None:
    done = []

    @actor
    def outer() -> None:
        inner.send()
        done.append("outer")

    @actor
    def inner() -> None:
        done.append("inner")

    with inline(app.broker):
        outer.send()
    assert done == ["inner", "outer"]


def test_inline_settles_a_failed_job_before_it_raises(app: App) -> None:
    @actor
    def failing() -> None:
        raise LookupError

    @actor
    def declined() -> dict[str, object]:
        return {"success": False, "error": "declined"}

    with inline(app.broker) as jobs:
        with pytest.raises(LookupError):
            failing.send()
        with pytest.raises(Exception, match="declined"):
            declined.send()
        assert [job.state for job in jobs.queued("failing")] == [JobState.DELAYED]
        assert jobs.store.stats(["declined"])[0].failed == 1


def test_inline_runs_the_same_id_once(app: App) -> None:
    runs = []

    @actor
    def count(number: int) -> None:
        runs.append(number)

    with inline(app.broker):
        for _ in range(2):
            count.send_with_options(args=(1,), job_id="one")
    assert runs == [1]
