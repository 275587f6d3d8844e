"""A payload is replaced by compare and set; what does not wait is not started, whoever puts it in a line."""

import pytest

from broker.redis.redis_store import RedisStore
from jobs.memory import MemoryStore
from jobs.model import Outcome
from jobs.store import JobStore
from tests.contract.steps import a_job, fetch, settle


def test_a_payload_is_replaced_only_while_it_is_what_the_caller_saw(store: JobStore) -> None:
    store.enqueue([a_job("one", payload=b"old")])

    assert store.replace_payload("one", b"old", b"a longer new one")
    assert not store.replace_payload("one", b"old", b"third")
    assert not store.replace_payload("unknown", b"", b"x")
    found = store.get("one")
    assert found is not None
    assert found.payload == b"a longer new one"
    assert [job.payload for job in fetch(store).jobs] == [b"a longer new one"]


def test_it_is_replaced_in_every_state_and_nothing_else_of_the_job_changes(store: JobStore) -> None:
    store.enqueue([a_job("waiting"), a_job("delayed", delay_ms=60_000), a_job("failed"), a_job("active")])
    for job in fetch(store).jobs:
        if job.id == "failed":
            settle(store, job, Outcome.FAILED)
        elif job.id == "waiting":
            settle(store, job, Outcome.RETURNED)
    before = {job_id: store.get(job_id) for job_id in ("waiting", "delayed", "failed", "active")}

    for job_id, job in before.items():
        assert job is not None
        assert store.replace_payload(job_id, b"{}", b"new")
        after = store.get(job_id)
        assert after is not None
        assert after.payload == b"new"
        assert (after.state, after.created_at, after.due_at, after.attempts) == (
            job.state,
            job.created_at,
            job.due_at,
            job.attempts,
        )


def test_all_jobs_are_met_whatever_their_queue_and_whatever_becomes_of_them_meanwhile(
    store: JobStore,
) -> None:
    store.enqueue([a_job("active"), a_job("failed"), a_job("completed")])
    for job in fetch(store).jobs:
        if job.id != "active":
            settle(store, job, Outcome(job.id))
    store.enqueue([a_job(f"waiting{n}", queue=f"q{n}") for n in range(40)])
    store.enqueue([a_job(f"delayed{n:04}", payload=bytes(100), delay_ms=60_000) for n in range(1_000)])
    there = {"active", "failed", "completed", *(f"waiting{n}" for n in range(40))}
    there |= {f"delayed{n:04}" for n in range(1_000)}

    met, after, pages = set[str](), "", 0
    while after is not None:
        page, after = store.scan_all(10, after)
        met |= {job.id for job in page}
        # Each page two jobs change their place: they wait now, where the scan may have looked already.
        store.promote([f"delayed{pages:04}", f"delayed{999 - pages:04}"])
        pages += 1

    assert met == there
    assert pages > 10


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, None])
def test_a_job_that_is_pushed_into_a_line_again_does_not_start_and_its_neighbours_do(
    store: JobStore, outcome: Outcome | None
) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    first, second = fetch(store).jobs
    if outcome is not None:
        settle(store, first, outcome)
    settle(store, second, Outcome.RETURNED)
    before = store.get("one")

    push_into_its_line(store, "one")

    assert [job.id for job in fetch(store, "worker-2").jobs] == ["two"]
    assert store.get("one") == before
    events = [event for event in store.read_events("r", "c").events if b'"forged"' in event.detail]
    assert [(event.job_id, event.attempt, event.outcome) for event in events] == [("one", 0, Outcome.FAILED)]


def push_into_its_line(store: JobStore, job_id: str) -> None:
    """What somebody would do who may write to the server, or to this process's memory."""
    if isinstance(store, MemoryStore):
        record = store._state.shelf.get(job_id)
        assert record is not None
        assert record.line is not None
        store._state.lines.add(record.line, record.entry)
        return
    assert isinstance(store, RedisStore)
    waiting, lines = store.keys.of("waiting"), store.keys.of("lines")
    with store._link.talking() as opened:
        member = opened.client.zrange(waiting, 0, 0)[0]
        line, place, _ = member.rsplit(b"\x1f", 2)
        earlier = b"%s%013x" % (place[:2], int(place[2:], 16) - 1)
        opened.client.zadd(waiting, {b"\x1f".join((line, earlier, job_id.encode())): 0})
        opened.client.hincrby(lines, line, 1)
