"""Counts all that a Redis store holds, to see that each job is in one place and each counter is true."""

from collections import Counter
from typing import Any

import msgpack
import redis

from broker.redis.connection import RedisAddress
from broker.redis.keys import PERMANENT, Keys
from broker.redis.records import (
    ACTOR,
    BAND,
    CANCEL,
    CREATED,
    DEAD_LETTER,
    DUE,
    FINISHED,
    GATE,
    LANE,
    LOST,
    MARKER,
    OWNER,
    PLACE,
    PRIORITY,
    QUEUE,
    REASON,
    SHARE,
    STATE,
    UNIQUE,
    UNIQUE_MODE,
    UNIQUE_TTL,
)

SEP, GATE_MARK, RESTING = "\x1f", "\x1e", 2**40
#: Where a job may be, and what its record says then.
PLACES = {
    "waiting": "waiting",
    "apart": "waiting",
    "delayed": "delayed",
    "held": "active",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}

Hash = dict[str, Any]


def check_census(address: RedisAddress, keys: Keys, now: int | None = None) -> Counter[tuple[str, str]]:
    """Assert the invariants of the keys; returns the number of jobs by queue and state. `now` is the time in
    ms where a test moves it."""
    with redis.Redis.from_url(address.url) as client:
        return census_with(client, keys, now)


def census_with(client: "redis.Redis", keys: Keys, now: int | None) -> Counter[tuple[str, str]]:
    found = _Found(client, keys, now)
    records = found.records()
    _check_places(found, records)
    _check_lines(found, records)
    _check_that_something_wakes_what_sleeps(found, records)
    _check_counters(found, records)
    _check_what_belongs_to_jobs(found, records)
    return Counter((record[QUEUE], record[STATE]) for record in records.values())


class _Found:
    """All keys of a shard in one snapshot."""

    def __init__(self, client: "redis.Redis", keys: Keys, now: int | None) -> None:
        pipeline = client.pipeline(transaction=True)
        names = [name for name in PERMANENT if PERMANENT[name].startswith(("hash", "ordered set"))]
        for name in names:
            if PERMANENT[name].startswith("hash"):
                pipeline.hgetall(keys.of(name))
            else:
                pipeline.zrange(keys.of(name), 0, -1, withscores=True)
        pipeline.time()
        *all_found, (seconds, micros) = pipeline.execute()
        self._raw = dict(zip(names, all_found, strict=True))
        self.now = now if now is not None else seconds * 1000 + micros // 1000

    def hash(self, name: str) -> dict[str, bytes]:
        return {field.decode(): value for field, value in self._raw[name].items()}

    def numbers(self, name: str) -> dict[str, int]:
        return {field: round(float(value)) for field, value in self.hash(name).items()}

    def members(self, name: str) -> dict[str, float]:
        return {member.decode(): score for member, score in self._raw[name]}

    def records(self) -> dict[str, list[Any]]:
        meta = self.hash("meta")
        return {
            job_id: msgpack.unpackb(meta[job_id]) if job_id in meta else _of_creation(creation)
            for job_id, creation in self.hash("jobs").items()
        }


def _of_creation(creation: bytes) -> list[Any]:
    """What includes/record.lua makes of a job that nothing has happened to yet."""
    place, due = int.from_bytes(creation[:7]), int.from_bytes(creation[7:13])
    band, length = creation[13], int.from_bytes(creation[14:16])
    said = msgpack.unpackb(creation[16 : 16 + length])
    record: list[Any] = [0] * (REASON + 1)
    record[STATE] = "delayed" if due else "waiting"
    record[QUEUE], record[ACTOR], record[LANE], record[GATE], record[PRIORITY] = said[:5]
    record[DEAD_LETTER] = said[6] or "dead-letter"
    record[UNIQUE], record[UNIQUE_MODE], record[UNIQUE_TTL], record[MARKER] = said[7:11]
    record[PLACE], record[DUE], record[BAND], record[CREATED] = place, due, band, place // 1000
    record[OWNER] = record[SHARE] = record[REASON] = ""
    return record


def _line(record: list[Any]) -> str:
    return SEP.join([record[QUEUE], f"{record[BAND]:02}", _lane(record)])


def _lane(record: list[Any]) -> str:
    return str(record[LANE]) + (GATE_MARK + record[GATE] if record[GATE] else "")


def _member(name: str, job_id: str, record: list[Any]) -> str:
    """How a job is written in one of the sets."""
    match name:
        case "waiting":
            parts = [_line(record), f"{record[PRIORITY]:02}{record[PLACE]:013x}"]
        case "apart":
            parts = [record[QUEUE], "h" if record[DUE] else "s", f"{record[PLACE]:013x}", _lane(record)]
        case "delayed":
            parts = [record[QUEUE], f"{record[DUE]:013}"]
        case "held":
            parts = [record[OWNER], record[QUEUE]]
        case "dead":
            parts = [record[DEAD_LETTER], f"{record[FINISHED]:013}"]
        case _:
            parts = [record[QUEUE], f"{record[FINISHED]:013}", record[LANE], str(record[MARKER])]
    return SEP.join([*parts, job_id])


def _check_places(found: _Found, records: dict[str, list[Any]]) -> None:
    """No job is in two places, none in no place."""
    seen = Counter[str]()
    for name, state in PLACES.items():
        for member in found.members(name):
            job_id = member.rpartition(SEP)[2]
            assert job_id in records, f"{name} holds {job_id!r}, which is not there"
            record = records[job_id]
            assert record[STATE] == state, f"{job_id!r} is in {name} and says it is {record[STATE]}"
            assert member == _member(name, job_id, record), f"{job_id!r} is not where its record says"
            seen[job_id] += 1
    assert seen == Counter(dict.fromkeys(records, 1)), "a job in two places or in none"
    failed = {_member("dead", job_id, r) for job_id, r in records.items() if r[STATE] == "failed"}
    assert set(found.members("dead")) == failed
    apart = {member.rpartition(SEP)[2] for member in found.members("apart")}
    for job_id, record in records.items():
        if record[STATE] == "waiting":
            assert (job_id in apart) == bool(record[LOST] or record[DUE]), (
                f"{job_id!r} waits in the wrong way"
            )


def _check_lines(found: _Found, records: dict[str, list[Any]]) -> None:
    """Each gate counts its jobs, each lane those that may pass its gates; lanes that are awake are in the
    order by their clock, gates that are awake have a turn, and what rests has neither."""
    waiting = {member.rpartition(SEP)[2] for member in found.members("waiting")}
    lines, clocks = found.numbers("lines"), found.numbers("clocks")
    jobs_in = Counter(_line(records[job_id]) for job_id in waiting)
    gates = {line: n for line, n in jobs_in.items() if GATE_MARK in line}
    passing = Counter({line: n for line, n in jobs_in.items() if GATE_MARK not in line})
    for line, n in gates.items():
        if lines[line] < RESTING:
            passing[line.partition(GATE_MARK)[0]] += n
    assert {line: n % RESTING for line, n in lines.items()} == {**gates, **passing}
    order, turns = set(), set()
    for line in [line for line, n in lines.items() if n < RESTING]:
        lane, _, gate = line.partition(GATE_MARK)
        if gate:
            turns.add(f"{lane}{GATE_MARK}{clocks[line]:014x}{SEP}{gate}")
        else:
            queue, band, name = line.split(SEP)
            order.add(SEP.join([queue, band, f"{clocks[line]:014x}", name]))
    assert set(found.members("order")) == order
    without_gate = {turn for turn in found.members("gates") if turn.endswith(SEP)}
    assert set(found.members("gates")) - without_gate == turns
    assert sorted(turn.partition(GATE_MARK)[0] for turn in without_gate) == sorted(
        {turn.partition(GATE_MARK)[0] for turn in turns}
    )
    assert {line for line in clocks if GATE_MARK in line} <= set(lines), "a gate that has gone has a turn"


def _check_that_something_wakes_what_sleeps(found: _Found, records: dict[str, list[Any]]) -> None:
    timers = found.members("timers")
    sleepers = set(map(_sleeper, found.members("asleep")))
    running = found.numbers("running")
    for member in found.members("asleep"):
        name = member[: -len(SEP + _sleeper(member))]
        assert name[0] == "p" or running.get(name, 0) > 0, f"{name!r} has free places and sleepers"
    for line, n in found.numbers("lines").items():
        if n >= RESTING:
            assert f"L{line}" in timers or f"L{line}" in sleepers, f"nothing will wake line {line!r}"
    rests = {scope: msgpack.unpackb(packed) for scope, packed in found.hash("rests").items()}
    assert {f"S{scope}": rest[0] for scope, rest in rests.items()} == {
        timer: until for timer, until in timers.items() if timer.startswith("S")
    }
    policies, ready = found.hash("policies"), found.members("ready")
    for queue in {member.partition(SEP)[0] for member in found.members("order")} - set(ready):
        paused, rests_now = f"p{SEP}{queue}" in policies, rests.get(queue, [0])[0] > found.now
        sleeps = f"Q{queue}" in timers or f"Q{queue}" in sleepers
        assert paused or rests_now or sleeps or queue in rests, f"nothing will make queue {queue!r} ready"
    held = {f"J{r[QUEUE]}{SEP}{i}": r[DUE] for i, r in records.items() if r[STATE] == "waiting" and r[DUE]}
    assert {timer: until for timer, until in timers.items() if timer.startswith("J")} == held
    due = dict[str, int]()
    for record in records.values():
        if record[STATE] == "delayed":
            due[record[QUEUE]] = min(due.get(record[QUEUE], record[DUE]), record[DUE])
    assert found.members("clock") == due, "a delayed job that no clock will wake"


def _sleeper(member: str) -> str:
    """Behind the name of its limit, which has one part of its own or two."""
    parts = member.split(SEP)
    return SEP.join(parts[2 if parts[0] in ("q", "s") else 3 :])


def _check_counters(found: _Found, records: dict[str, list[Any]]) -> None:
    """They equal a full count."""
    running, tally = Counter[str](), Counter[str]()
    lines = found.numbers("lines")
    for record in records.values():
        queue, lane, state = record[QUEUE], record[LANE], record[STATE]
        if state == "active":
            running.update(["q" + SEP + queue, "l" + SEP + queue + SEP + lane])
            if record[SHARE]:
                running["s" + SEP + record[SHARE]] += 1
            if record[GATE]:
                running["g" + SEP + lane + SEP + record[GATE]] += 1
        elif state == "waiting":
            apart = bool(record[LOST] or record[DUE])
            rests = bool(record[DUE]) if apart else _rests(lines, _line(record))
            tally[queue + SEP + lane + SEP + "apart"] += apart
            tally[queue + SEP + lane + SEP + "resting"] += rests
            tally[queue + SEP + SEP + "all-resting"] += rests
        else:
            tally[queue + SEP + lane + SEP + state] += 1
    assert found.numbers("running") == dict(+running)
    assert found.numbers("tally") == dict(+tally)


def _rests(lines: dict[str, int], line: str) -> bool:
    """Its gate, or its lane."""
    return lines[line] >= RESTING or lines.get(line.partition(GATE_MARK)[0], 0) >= RESTING


def _check_what_belongs_to_jobs(found: _Found, records: dict[str, list[Any]]) -> None:
    for name in ("meta", "outcomes", "progress"):
        assert set(found.hash(name)) <= set(records), f"{name} holds what belongs to no job"
    for name in ("steps", "logs"):
        noted = {field.partition(SEP)[0] for field in found.hash(name)}
        assert noted <= set(records), f"{name} holds what belongs to no job"
        assert noted <= set(found.hash(name)), f"{name} holds what its job knows nothing of"
    owners = {record[OWNER] for record in records.values() if record[STATE] == "active"}
    assert owners <= set(found.members("leases")), "active without a lease"
    for job_id, until in found.members("markers").items():
        assert job_id not in records or until <= found.now, f"{job_id!r} has left and is here"
    for record in records.values():
        assert record[STATE] == "active" or not record[OWNER]
        assert record[STATE] != "waiting" or not record[CANCEL]
    for name, packed in found.hash("unique").items():
        holder, mode, ends = msgpack.unpackb(packed)
        if 0 < ends <= found.now or (mode == "throttle" and ends):
            continue
        assert holder in records, f"{name!r} is held by a job that is not there"
        assert records[holder][STATE] in ("waiting", "delayed", "active"), (
            f"{name!r} is held by a settled job"
        )
