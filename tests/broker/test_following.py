"""What follows from a job: what goes into its verdict, what goes before it, and under which ids."""

import orjson
import pytest

from broker.codec import Codec
from broker.following import MOST_BYTES, MOST_JOBS, following, following_id, with_followers
from broker.proxy import JobProxy
from broker.redis.sharded_store import ShardedStore
from broker.sent import new_id
from jobs.memory import MemoryStore
from jobs.model import FetchedJob, NewJob, Outcome, Settled, Verdict
from jobs.states import JobState
from tests.contract.steps import fetch, ids, take

PAYLOAD = orjson.dumps([[], {}, {}, 0])


def a_run(token: int = 1, settled: int = 0) -> JobProxy:
    job = FetchedJob("one", "near", "actor", PAYLOAD, token, 1, 3, 5, "", 0, 1, 1, 1, settled)
    return Codec().proxy(job)


def sharded() -> ShardedStore:
    return ShardedStore({"main": MemoryStore(), "far": MemoryStore()}, {"remote": "far"})


def new(job_id: str, queue: str = "near", payload: bytes = PAYLOAD) -> NewJob:
    return NewJob(job_id, queue, "actor", payload)


VERDICT = Verdict("one", 1, Outcome.COMPLETED)


def test_jobs_of_its_shard_go_into_the_verdict_and_others_before() -> None:
    store, run = sharded(), a_run()
    run.follow = (new("a"), new("b", "remote"), new("c"))
    verdict = with_followers(run, VERDICT, store)
    assert [job.id for job in verdict.follow] == ["a", "c"]
    assert [job.id for job in store.list_jobs("remote", JobState.WAITING)] == ["b"]
    assert store.get("a") is None


def test_what_is_too_much_for_one_step_goes_before_it_in_order() -> None:
    store, run = MemoryStore(), a_run()
    run.follow = tuple(new(f"job-{n:05}") for n in range(10_000))
    verdict = with_followers(run, VERDICT, store)
    assert [job.id for job in verdict.follow] == [f"job-{n:05}" for n in range(10_000 - MOST_JOBS, 10_000)]
    assert store.stats(["near"])[0].waiting == 10_000 - MOST_JOBS
    assert ids(fetch(store, queues=["near"], credits=2)) == ["job-00000", "job-00001"]


def test_so_does_what_is_too_large() -> None:
    store, run = MemoryStore(), a_run()
    run.follow = (new("large", payload=b"x" * (MOST_BYTES + 1)), new("small"))
    verdict = with_followers(run, VERDICT, store)
    assert [job.id for job in verdict.follow] == ["small"]
    assert store.get("large") is not None


def test_ids_are_the_same_when_the_job_has_to_run_again_and_others_for_its_next_outcome() -> None:
    def made(run: JobProxy) -> list[str]:
        following.begin(run)
        try:
            return [new_id(), new_id()]
        finally:
            following.end()

    first = made(a_run(token=1))
    assert made(a_run(token=2)) == first, "its lease was lost before the end was stored"
    assert made(a_run(token=3, settled=2)) != first, "it was run again after its end"
    assert len({*first, new_id(), new_id()}) == 4
    failed = a_run(token=2)
    failed.fail()
    assert not {*made(failed)} & {*first}, "what follows a failure is not what follows a success"
    assert first[0] == following_id("one", 0, "completed\x1f\x1f1")


def test_jobs_of_two_actors_never_share_an_id() -> None:
    ids = set()
    for actor in ("is_done", "has_failed"):
        following.begin(a_run())
        try:
            ids.add(new_id(actor))
        finally:
            following.end()
    assert len(ids) == 2


def test_a_store_of_shards_puts_each_follower_into_its_own() -> None:
    store = sharded()
    store.enqueue([new("one")])
    job = take(store.shards["main"], queues=["near"])
    verdict = Verdict("one", job.token, Outcome.COMPLETED, follow=(new("a"), new("b", "remote")))
    assert store.settle("worker-1", [verdict]) == [Settled.STORED]
    assert store.shards["main"].get("a") is not None
    assert store.shards["main"].get("b") is None
    assert store.shards["far"].get("b") is not None
    assert store.settle("worker-1", [verdict]) == [Settled.REPEATED]
    assert store.stats(["near", "remote"])[1].waiting == 1


@pytest.mark.parametrize("number", [0, 1])
def test_few_jobs_leave_the_store_alone(number: int) -> None:
    run = a_run()
    run.follow = tuple(new(f"{n}") for n in range(number))
    assert with_followers(run, VERDICT, MemoryStore()).follow == run.follow
