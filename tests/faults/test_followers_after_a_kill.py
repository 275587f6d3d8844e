"""SIGKILL around a settlement: what follows from a job is there once, with its outcome or not at all."""

import orjson
import pytest

from jobs.model import NewJob
from jobs.states import JobState
from tests.faults.fleet import Fleet
from tests.sealed import signed
from tests.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("step", "runs"), [("the actor has ended", 2), ("the settlement is stored", 1)])
def test_a_worker_is_killed_when(fleet: Fleet, step: str, runs: int) -> None:
    following = {
        "queue_name": "after",
        "actor_name": "next_in_line",
        "args": [],
        "kwargs": {},
        "options": {},
        "message_id": "the-next-one",
        "message_timestamp": 0,
    }
    payload = orjson.dumps([[], {"n": 7}, {"pipe_target": following}, 0])
    victim = fleet.start(trap=step, queues=["chained"], lease_s=30.0)
    fleet.store.enqueue([signed(NewJob("chained-7", "chained", "chained", payload))])
    eventually(victim.ended)
    if step == "the actor has ended":
        assert fleet.store.get("the-next-one") is None
    else:
        assert fleet.store.stats(["after"])[0].waiting == 2
    fleet.start()

    # The next job of the pipeline, and the callback: each once.
    eventually(lambda: len(fleet.store.list_jobs("after", JobState.COMPLETED)) == 2)
    assert len(fleet.runs("chained-7")) == runs
    jobs = fleet.store.list_jobs("after", JobState.COMPLETED)
    assert sorted((job.actor, job.record, job.deliveries) for job in jobs) == [
        ("after_chained", b'{"result":7}', 1),
        ("next_in_line", b'{"result":7}', 1),
    ]
    stats = fleet.store.stats(["after"])[0]
    assert (stats.completed_total, stats.waiting, stats.active) == (2, 0, 0)
