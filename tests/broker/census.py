"""Counts every job in the sets of a Redis store, to see that each is in exactly one."""

import re
from collections import Counter

import msgpack
import redis

from broker.connection import RedisAddress
from broker.keys import Keys

SETS = ("waiting", "delayed", "active", "completed", "failed", "cancelled")


def check_census(address: RedisAddress, keys: Keys) -> Counter[tuple[str, str]]:
    """Assert the invariants of the sets; returns the number of jobs by queue and state."""
    with redis.Redis.from_url(address.url) as client:
        pipeline = client.pipeline(transaction=True)
        for name in SETS:
            pipeline.zrange(keys.of(name), 0, -1)
        for name in ("meta", "payload", "outcomes", "progress"):
            pipeline.hgetall(keys.of(name))
        pipeline.zrange(keys.of("held"), 0, -1)
        for name in ("ready", "clock", "leases"):
            pipeline.zrange(keys.of(name), 0, -1, withscores=True)
        pipeline.zrange(keys.of("dead"), 0, -1)
        *sets, meta, payload, outcomes, progress, held, ready, clock, leases, dead = pipeline.execute()

    records = {job_id: msgpack.unpackb(packed) for job_id, packed in meta.items()}
    places = Counter[bytes]()
    count = Counter[tuple[str, str]]()
    for state, members in zip(SETS, sets, strict=True):
        for member in members:
            queue, job_id = member.split(b"\x1f")[0].decode(), member.rpartition(b"\x1f")[2]
            assert job_id in records, f"{state} holds {job_id!r}, which is not there"
            assert records[job_id][:2] == [state, queue], f"{job_id!r} is in {state} and says otherwise"
            places[job_id] += 1
            count[queue, state] += 1
    assert places == Counter(dict.fromkeys(records, 1)), "a job in two sets or in none"
    assert set(payload) == set(records)
    assert set(outcomes) <= set(records)
    assert set(progress) <= set(records)
    owned = {(record[14], job_id) for job_id, record in records.items() if record[0] == "active"}
    assert {(m.split(b"\x1f")[0].decode(), m.rpartition(b"\x1f")[2]) for m in held} == owned
    assert {owner for owner, _ in owned} <= {owner.decode() for owner, _ in leases}, "active without a lease"
    lettered = {job_id for job_id, record in records.items() if record[0] == "failed"}
    assert {member.rpartition(b"\x1f")[2] for member in dead} == lettered
    assert {queue for (queue, state) in count if state == "waiting"} <= {q.decode() for q, _ in ready}
    due = {queue.decode(): int(at) for queue, at in clock}
    for member in sets[1]:
        queue, at = re.match(rb"(.+)\x1f(\d{13})\x1f", member).groups()  # type: ignore[union-attr]
        assert due[queue.decode()] <= int(at), "a delayed job that no clock will wake"
    return count
