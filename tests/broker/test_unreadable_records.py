"""A record that cannot be read must not stop its neighbours."""

import pytest
import redis

from broker.redis.redis_store import RedisStore
from jobs.model import FetchRequest, NewJob
from jobs.states import JobState

QUEUE = "reports"


def new(job_id: str, **changes: object) -> NewJob:
    return NewJob(job_id, QUEUE, "reports", b"[[],{},{},0]")._replace(**changes)


@pytest.mark.parametrize("garbage", [None, b"garbage", b"\x91\x01", b"\xc1"])
def test_it_becomes_a_dead_letter_and_its_neighbours_run(
    store: RedisStore, client: "redis.Redis", garbage: bytes | None
) -> None:
    store.enqueue([new("before"), new("broken"), new("after"), new("waking", delay_ms=1)])
    # Until a job has changed, its creation is all there is of it.
    for job_id in ("broken", "waking"):
        if garbage is None:
            client.hdel(store.keys.of("jobs"), job_id)
        else:
            client.hset(store.keys.of("jobs"), job_id, garbage)

    taken = [
        job.id for token in ("a", "b") for job in store.fetch(FetchRequest("w", token, 10, {QUEUE: 10})).jobs
    ]

    assert taken == ["before", "after"]
    dead = store.list_jobs(QUEUE, JobState.FAILED)
    assert {job.id for job in dead} >= {"broken"}
    assert b"UnreadableRecord" in (dead[0].record or b"")
    assert store.get("before").attempts == 1  # type: ignore[union-attr]


def test_a_held_job_whose_record_was_lost_does_not_hold_up_the_others(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.enqueue([new("one"), new("two")])
    store.fetch(FetchRequest("w", "a", 10, {QUEUE: 10}, lease_ms=0))
    client.hdel(store.keys.of("meta"), "one")
    assert store.reclaim(max_lost=3) == 2
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING)] == ["two"]
    assert [job.id for job in store.list_jobs(QUEUE, JobState.FAILED)] == ["one"]
    assert store.stats([QUEUE])[0].active == 0
