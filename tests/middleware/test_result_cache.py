"""A declared cache: what is known is not run again, within its actor, its tenant and its time."""

from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import details, job_of


def test_a_known_result_is_given_without_a_run(jobs: FakeJobs) -> None:
    runs: list[int] = []

    @actor(cache={"key": ["account_id"], "ttl": "10min"})
    def balance(account_id: int, note: str = "") -> dict[str, int]:
        runs.append(account_id)
        return {"balance": 100 + account_id}

    first, again, other = balance.send(1), balance.send(1, note="other words"), balance.send(2)
    jobs.run_all()
    assert runs == [1, 2]
    assert (job_of(jobs, again).state, job_of(jobs, again).record) == (
        JobState.COMPLETED,
        b'{"result":{"balance":101}}',
    )
    assert [first.get_result(), other.get_result()] == [{"balance": 101}, {"balance": 102}]
    assert sorted(detail.reason for detail in details(jobs)) == [
        "",
        "",
        "answered from the cache: the actor did not run",
    ]


def test_another_tenant_another_actor_and_a_later_time_run(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor(cache={"ttl": "1min"})
    def first(number: int) -> int:
        runs.append("first")
        return number

    @actor(cache={"ttl": "1min"})
    def second(number: int) -> int:
        runs.append("second")
        return number

    for tenant in ("acme", "globex", "acme"):
        first.send_with_options(args=(1,), tenant_id=tenant)
    second.send(1)
    jobs.run_all()
    assert sorted(runs) == ["first", "first", "second"]
    jobs.advance(60)
    second.send(1)
    jobs.run_all()
    assert len(runs) == 4


@pytest.mark.parametrize(
    "declared", [{"key": ["account"], "ttl": "1min"}, {"key": "x", "ttl": 5}, {"ttl": "x"}, True]
)
def test_a_cache_that_makes_no_sense_is_refused(app: App, declared: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"cache"):

        @actor(cache=declared)
        def wrong(account_id: int) -> int:
            return account_id


def test_failures_empty_results_and_long_ones_are_no_answers(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor(cache={"ttl": "1min"}, attempts=1)
    def answer(kind: str) -> Any:
        runs.append(kind)
        if kind == "fails":
            raise ValueError(kind)
        return None if kind == "nothing" else "x" * 70_000

    for kind in ("fails", "nothing", "long"):
        answer.send(kind)
        answer.send(kind)
    jobs.run_all()
    assert sorted(runs) == ["fails", "fails", "long", "long", "nothing", "nothing"]


def test_a_call_can_ask_for_a_run(jobs: FakeJobs) -> None:
    runs: list[int] = []

    @actor(cache={"ttl": "1min"})
    def roll() -> int:
        runs.append(1)
        return len(runs)

    roll.send()
    jobs.run_all()
    fresh = roll.send_with_options(cache=False)
    jobs.run_all()
    assert fresh.get_result() == 2
    with pytest.raises(InvalidPayload, match=r"cache=False"):
        roll.send_with_options(cache={"ttl": 5})


def test_what_follows_a_job_follows_a_known_result_too(jobs: FakeJobs) -> None:
    heard: list[tuple[str, Any]] = []

    @actor
    def told(message: dict[str, Any], result: int) -> None:
        heard.append(("told", result))

    @actor
    def added(result: int) -> int:
        heard.append(("added", result))
        return result + 1

    @actor(cache={"ttl": "1min"}, on_success="told")
    def seven() -> int:
        heard.append(("ran", 7))
        return 7

    seven.send()
    jobs.run_all()
    (seven.message() | added.message()).run()
    jobs.run_all()
    assert sorted(heard) == [("added", 7), ("ran", 7), ("told", 7), ("told", 7)]


def test_async_actors_on_a_real_worker_are_answered_from_the_cache(
    real_app: App, running_worker: StartWorker
) -> None:
    runs: list[int] = []

    @actor(cache={"key": ["account_id"], "ttl": "10min"})
    async def balance(account_id: int) -> int:
        runs.append(account_id)
        return account_id * 2

    running_worker()
    assert balance.send(21).get_result(block=True, timeout=40_000) == 42
    assert balance.send(21).get_result(block=True, timeout=40_000) == 42
    assert runs == [21]
    assert real_app.store.clear_cache("balance\x1f") == 1
    assert balance.send(21).get_result(block=True, timeout=40_000) == 42
    assert runs == [21, 21]
    assert real_app.store.list_jobs("balance", JobState.COMPLETED)[0].attempts == 1
