"""What a topology must be able to do: the life of jobs from enqueue to the event, over all shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote

from broker.redis.connection import RedisAddress
from broker.redis.topology import Topology
from jobs.model import FetchRequest, NewJob, Outcome, Settled, Verdict, WorkerInfo
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore
from tests.topologies.servers import PASSWORD, SENTINEL_PASSWORD

LOGIN = f":{quote(PASSWORD, safe='')}@"
WORKER = WorkerInfo("w", "host", 1, "1", 1, (), 0)


def sentinel_url(*ports: int, password: str = SENTINEL_PASSWORD) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis+sentinel://{LOGIN}{hosts}/jobs?sentinel_password={password}"


def cluster_url(*ports: int) -> str:
    return f"redis+cluster://{LOGIN}{','.join(f'127.0.0.1:{port}' for port in ports)}"


def job(job_id: str, queue: str = "q") -> NewJob:
    return NewJob(job_id, queue, "actor", b"{}")


def topology(url: str, namespace: str, **shards: list[str]) -> Topology:
    address = RedisAddress(url)
    return Topology(lambda: address, namespace, shards)


@contextmanager
def store_at(url: str, namespace: str, **shards: list[str]) -> Iterator[JobStore]:
    """The store, closed at the end."""
    store = topology(url, namespace, **shards).store()
    try:
        yield store
    finally:
        store.close()


def run_all(store: JobStore, queues: list[str], owner: str = "w") -> list[str]:
    """Run what waits, shard by shard, as workers do; the ids in the order of their start."""
    done = []
    for number, (shard, part) in enumerate(store.shards.items()):
        mine = {queue: 100 for queue in queues if store.shard_of(queue) == shard}
        part.register(replace(WORKER, owner=owner), 15_000)
        fetched = part.fetch(FetchRequest(owner, f"{owner}-{number}", 100, mine))
        verdicts = [Verdict(given.id, given.token, Outcome.COMPLETED) for given in fetched.jobs]
        assert part.settle(owner, verdicts) == [Settled.STORED] * len(verdicts)
        done += [given.id for given in fetched.jobs]
    return done


def basic_flow(store: JobStore, queues: list[str]) -> None:
    """Everything a producer, a worker and an operator need, once."""
    store.configure({queue: QueueRules() for queue in queues}, {})
    ids = [f"{queue}-{number}" for queue in queues for number in range(3)]
    jobs = [job(job_id, job_id.rpartition("-")[0]) for job_id in ids]
    assert [accepted.id for accepted in store.enqueue(jobs) if accepted.created] == ids
    assert not any(accepted.created for accepted in store.enqueue(jobs))
    assert store.offer(queues) >= 0
    assert sorted(run_all(store, queues)) == sorted(ids)
    assert all(row.completed == 3 and row.waiting == 0 for row in store.stats(queues))
    events = store.read_events("audit", "me").events
    assert sorted(event.job_id for event in events) == sorted(ids)
    store.ack_events("audit", [event.id for event in events])
    assert [worker.owner for worker in store.workers()] == ["w"]
    for queue in queues:
        assert len(store.list_jobs(queue, JobState.COMPLETED)) == 3
        assert store.obliterate(queue) == 3
    for part in store.shards.values():
        part.leave("w")
