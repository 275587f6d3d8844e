"""Groups: their results, and what runs when all of a group are completed."""

from typing import Any

import pytest
from dramatiq import group
from dramatiq.results import ResultMissing

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


def test_a_callback_runs_once_when_all_of_a_group_are_completed(jobs: FakeJobs) -> None:
    done: list[Any] = []

    @actor
    def add(x: int) -> int:
        done.append(x)
        return x

    @actor
    def all_done() -> None:
        done.append("all")

    sums = group([add.message(1), add.message(2), add.message(3)])
    sums.add_completion_callback(all_done.message())
    sums.run()
    jobs.run_all()
    assert (sorted(done[:3]), done[3:]) == ([1, 2, 3], ["all"])


def test_a_member_that_fails_leaves_its_group_incomplete(jobs: FakeJobs) -> None:
    done: list[int] = []

    @actor
    def declined() -> dict[str, Any]:
        return {"success": False, "error": "declined"}

    @actor
    def fine() -> None: ...

    @actor
    def all_done() -> None:
        done.append(1)

    both = group([declined.message(), fine.message()])
    both.add_completion_callback(all_done.message())
    both.run()
    jobs.run_all()
    assert done == []


def test_group_callbacks_run_on_real_workers(real_app: App, running_worker: StartWorker) -> None:
    @actor
    async def double(x: int) -> int:
        return 2 * x

    @actor
    def all_done() -> str:
        return "all"

    running_worker()
    doubles = group([double.message(n) for n in range(20)])
    doubles.add_completion_callback(all_done.message())
    doubles.run()
    eventually(lambda: real_app.store.list_jobs("all-done", JobState.COMPLETED), timeout=20)
    assert real_app.store.stats(["all-done"])[0].completed_total == 1


def test_a_member_that_meets_a_unique_key_has_the_result_of_the_job_there(jobs: FakeJobs) -> None:
    @actor(unique={"by": ["account"]})
    def sync(account: str, round: int) -> str:
        return f"{account} in round {round}"

    there = sync.send("ada", 1)
    syncs = group([sync.message("ada", 2), sync.message("bob", 2)]).run()
    jobs.run_all()
    assert list(syncs.get_results()) == ["ada in round 1", "bob in round 2"]
    assert there.created
    again = sync.send("cyd", 1), sync.send("cyd", 2)
    assert (again[1].created, again[1].message_id) == (False, again[0].message_id)


def test_results_follow_their_rules(jobs: FakeJobs) -> None:
    @actor(result_max_bytes=20, result_ttl=60_000)
    def say(text: str) -> str:
        return text

    @actor(store_results=False)
    def quiet() -> str:
        return "unheard"

    short, long, unheard = say.send("short"), say.send("x" * 30), quiet.send()
    jobs.run_all()
    assert short.get_result() == "short"
    assert unheard.get_result() is None
    with pytest.raises(ResultMissing, match=r"the result took 43 bytes, more than the 20 that are kept"):
        long.get_result()
    job = jobs.store.get(long.message_id)
    assert job is not None
    assert job.state is JobState.COMPLETED
    jobs.advance(60)
    jobs.store.trim({})
    with pytest.raises(ResultMissing, match=r"its time was over"):
        short.get_result()
