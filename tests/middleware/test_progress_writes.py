"""Progress is cheap to report and quick to be seen."""

import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest
import redis

from actors.composition import App
from actors.declare import actor
from broker.codec import Codec
from broker.redis.redis_store import RedisStore
from broker.testing import FakeJobs
from control.service.reading import progress_view
from jobs.errors import StoreUnavailable
from jobs.model import FetchRequest, Job, NewJob
from jobs.states import JobState
from middleware.current import running
from middleware.progress import WRITE_EVERY_S, Progress, milestone, progress
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of
from tests.waiting import eventually

CALLS = 200_000
ROUNDS = 25


def test_many_calls_cost_few_writes_and_the_last_always_arrives(
    jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    write = jobs.store.report_progress

    def counted(owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        writes.append(updates)
        write(owner, updates)

    monkeypatch.setattr(jobs.store, "report_progress", counted)

    @actor
    def long() -> None:
        for done in range(CALLS):
            progress(done, CALLS, f"row {done}")

    message = long.send()
    started = time.monotonic()
    jobs.run_all()
    most = (time.monotonic() - started) / WRITE_EVERY_S + 2

    assert 1 <= len(writes) <= most
    latest = orjson.loads(job_of(jobs, message).progress or b"")
    assert latest == {"percent": 100, "done": CALLS - 1, "total": CALLS, "message": f"row {CALLS - 1}"}


def test_progress_is_seen_elsewhere_in_under_200_ms(real_app: App, running_worker: StartWorker) -> None:
    """By the quickest of some: what else the machine does makes one slow, but none quick."""
    said: dict[int, float] = {}
    go_on = {done: threading.Event() for done in range(1, ROUNDS + 1)}

    @actor
    def long() -> None:
        for done, event in go_on.items():
            said[done] = time.monotonic()
            # From the second on each is said when another was just written: it has to wait its turn.
            progress(done, ROUNDS)
            assert event.wait(20)

    running_worker()
    message = long.send()
    elsewhere = RedisStore(real_app.redis_address, real_app.settings.redis.namespace)

    def seen(done: int) -> float:
        def there() -> bool:
            job = elsewhere.get(message.message_id)
            if job is None or job.progress is None:
                return False
            return bool(orjson.loads(job.progress)["done"] >= done)

        eventually(there, every=0.002)
        return time.monotonic()

    took: list[float] = []
    try:
        for done, event in go_on.items():
            took.append(seen(done) - said[done])
            event.set()
            if done > 1 and took[-1] < 0.2:
                break
    finally:
        for event in go_on.values():
            event.set()
        elsewhere.close()
    assert min(took[1:]) < 0.2, took


def test_progress_of_a_delivery_that_lost_its_lease_is_passed_over(real_app: App) -> None:
    """What the old owner still says must not overwrite what the new one has said."""
    written: list[tuple[str, Mapping[str, tuple[int, bytes]]]] = []

    def write(owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        real_app.store.report_progress(owner, updates)
        written.append((owner, updates))

    store, middleware = real_app.store, Progress(write)
    store.enqueue([NewJob("one", "long", "long", b"[[],{},{},0]")])
    for owner in ("frozen", "other"):
        (job,) = store.fetch(FetchRequest(owner, owner, 1, {"long": 1})).jobs
        proxy = Codec().proxy(job)
        proxy.owner = owner
        running.set(proxy)
        middleware.before_process_message(real_app.broker, proxy)
        progress(10 if owner == "frozen" else 60)
        eventually(lambda owner=owner: any(owner == who for who, _ in written))
        store.renew(owner, 0)
        if owner == "frozen":
            frozen = proxy
            eventually(lambda: store.reclaim(3))
    running.set(frozen)
    progress(20)
    eventually(lambda: len(written) == 3)
    latest = store.get("one")
    assert latest is not None
    assert orjson.loads(latest.progress or b"")["percent"] == 60
    assert written[0][1]["one"][0] == 1
    running.set(None)


def test_a_failed_attempt_keeps_the_progress_that_it_reached(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def half() -> None:
        progress(50)
        raise ValueError

    message = half.send()
    jobs.run_all()
    assert orjson.loads(job_of(jobs, message).progress or b"")["percent"] == 50


def test_a_job_that_says_nothing_has_no_progress_of_the_one_before(jobs: FakeJobs) -> None:
    @actor
    def loud() -> None:
        progress(50)

    @actor
    def silent() -> None: ...

    loud.send()
    message = silent.send()
    jobs.run_all()
    assert job_of(jobs, message).progress is None


def test_the_job_goes_on_while_the_store_cannot_take_progress(
    jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def away(owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        tried.set()
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(jobs.store, "report_progress", away)

    @actor
    def long() -> None:
        progress(40)
        assert tried.wait(20)
        tried.clear()
        progress(80)
        assert tried.wait(20), "a failed write does not end the writing"

    message = long.send()
    jobs.run_all()
    job: Job = job_of(jobs, message)
    assert job.state is JobState.COMPLETED
    assert orjson.loads(job.progress or b"")["percent"] == 80


def test_a_message_is_cut_and_what_json_cannot_hold_is_replaced(jobs: FakeJobs) -> None:
    @actor
    def long() -> None:
        progress(1, message="half a pair: \ud83d " + "x" * 10_000)

    message = long.send()
    jobs.run_all()
    told = orjson.loads(job_of(jobs, message).progress or b"")["message"]
    assert told.startswith("half a pair: ? xxx")
    assert len(told) == 200


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [
        (Decimal(5), 10, (50, 5, 10)),
        (Fraction(1, 2), Decimal(1), (50, 0.5, 1)),
        (1, 2**80, (0, 1, float(2**80))),
        (True, 2, (50, 1, 2)),
    ],
)
def test_a_number_is_what_can_be_made_one(
    jobs: FakeJobs, done: Any, total: Any, shown: tuple[float, ...]
) -> None:
    @actor
    def long() -> None:
        progress(done, total, None)

    message = long.send()
    jobs.run_all()
    job = job_of(jobs, message)
    told = orjson.loads(job.progress or b"{}")
    assert (told["percent"], told["done"], told["total"]) == shown
    assert (job.state, told["message"]) == (JobState.COMPLETED, "")


@pytest.mark.parametrize(
    ("done", "total"), [(1, 0), (1, -1), ("half", 100), (None, 100), (float("nan"), 100), (object(), 5)]
)
def test_progress_that_cannot_be_shown_is_told_once_and_never_fails_the_job(
    jobs: FakeJobs, caplog: pytest.LogCaptureFixture, done: Any, total: Any
) -> None:
    @actor(attempts=1)
    def long() -> None:
        progress(20)
        for _ in range(3):
            progress(done, total)
        if total == 100:
            milestone(done)

    messages = [long.send(), long.send()]
    jobs.run_all()
    for message in messages:
        job = job_of(jobs, message)
        assert job.state is JobState.COMPLETED
        assert orjson.loads(job.progress or b"{}")["percent"] == 20
    (line,) = [record.getMessage() for record in caplog.records if record.name == "middleware.progress"]
    assert "progress() takes numbers, with a total above 0" in line
    assert "half" not in line


def test_outside_a_job_it_does_nothing_whatever_it_is_given() -> None:
    progress("half", 0)  # type: ignore[arg-type]
    milestone(None)  # type: ignore[arg-type]


def test_milestones_are_kept_though_they_come_too_quickly_to_be_seen(jobs: FakeJobs) -> None:
    @actor
    def quick() -> None:
        for percent in (5, 10, 20, 40, 95):
            milestone(percent, f"at {percent}")
        progress(97.5)
        milestone(100, "done")

    message = quick.send()
    jobs.run_all()
    told = orjson.loads(job_of(jobs, message).progress or b"")
    assert [percent for percent, _ in told["milestones"]] == [5, 10, 20, 40, 95, 100]
    assert told["message"] == "done"
    view = progress_view(job_of(jobs, message))
    assert [passed.percent for passed in view.milestones] == [5, 10, 20, 40, 95, 100]


def test_a_run_keeps_its_latest_milestones(jobs: FakeJobs) -> None:
    @actor
    def many() -> None:
        for n in range(100):
            milestone(n)

    message = many.send()
    jobs.run_all()
    told = orjson.loads(job_of(jobs, message).progress or b"")
    assert [percent for percent, _ in told["milestones"]] == list(range(80, 100))


def test_a_million_calls_cost_the_server_a_handful_of_commands_a_second(
    real_app: App, running_worker: StartWorker
) -> None:
    took = list[float]()

    @actor
    def long() -> None:
        started = time.monotonic()
        for done in range(1_000_000):
            progress(done, 1_000_000)
        took.append(time.monotonic() - started)

    def written() -> int:
        with redis.Redis.from_url(real_app.redis_address().url) as client:
            stats: dict[str, dict[str, int]] = client.info("commandstats")
        return stats.get("cmdstat_evalsha", {}).get("calls", 0)

    running_worker()
    before = written()
    message = long.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED, 60, every=1)
    (seconds,) = took
    # Ten writes of progress a second, and what a worker asks anyway.
    assert written() - before < 15 * (seconds + 1) + 30
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert orjson.loads(job.progress or b"")["done"] == 999_999
