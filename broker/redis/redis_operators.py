"""What operators ask of the store on Redis: rules, verbs on jobs and queues, inspection."""

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from broker.redis.link import Link
from broker.redis.records import (
    CANCELLED,
    pack_adjustment,
    pack_rules,
    scope_key,
    unpack_adjustments,
    unpack_changes,
    unpack_jobs,
    unpack_lane,
    unpack_standing,
    unpack_stats,
    unpack_workers,
)
from jobs.adjustments import PROCESS_RULES, check_adjustments, check_priority
from jobs.errors import IllegalTransition, InvalidAdjustment
from jobs.events import AttemptDetail
from jobs.model import AttemptLog, Cancelled, Job, LaneStats, QueueStats, Scope, Standing, WorkerInfo
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore

logger = logging.getLogger(__name__)

_SETS = {
    JobState.WAITING: ("waiting", "apart"),
    JobState.DELAYED: ("delayed",),
    JobState.COMPLETED: ("completed",),
    JobState.FAILED: ("failed",),
    JobState.CANCELLED: ("cancelled",),
}
#: Jobs of one call of a verb, so that no script holds the server for long.
CHUNK = 500
#: Lines that one call looks at when rules have changed.
ROUSE_CHUNK = 500
#: So many chunks are moved at once when a queue's `priority_scope` changes.
REBAND_CHUNKS = 40
#: Lanes, and jobs whose age alone is asked for, of one call.
LANES_CHUNK, AGES_CHUNK = 100, 2_000


class RedisOperators(JobStore):
    """The operators' part of the store; the rest is `redis_store`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    # Rules

    def configure(self, rules: Mapping[str, QueueRules], weights: Mapping[str, float]) -> None:
        argv: list[Any] = []
        for queue, of_queue in rules.items():
            argv += ["q", queue, pack_rules(of_queue)]
        for tenant, weight in weights.items():
            argv += ["w", tenant, weight]
        changed = self._link.run("configure", argv)
        self.reband(rules)
        self._rouse(queue.decode() for queue in changed)

    def reband(self, queues: Iterable[str]) -> None:
        """Move jobs that wait in bands of a former `priority_scope`; what is left is for the next call."""
        names = list(queues)
        for _ in range(REBAND_CHUNKS if names else 0):
            if self._link.run("reband", [CHUNK, *names]) < CHUNK:
                return

    def _rouse(self, queues: Iterable[str]) -> None:
        """What the former rules of these queues held back is awake again, in chunks."""
        with_work = []
        for queue in queues:
            line, ready = self._link.run("rouse", [queue, "", ROUSE_CHUNK])
            while line:
                line, ready = self._link.run("rouse", [queue, line, ROUSE_CHUNK])
            with_work += [queue] * ready
        if with_work:
            self.offer(with_work)

    def adjust(self, scope: Scope, changes: Mapping[str, object]) -> None:
        packed = pack_adjustment(scope, changes)
        argv = [scope.queue, scope.lane or "", int(scope.lane is not None), packed]
        if self._link.run("adjust", argv):
            self._rouse([scope.queue])
        self.offer([scope.queue])

    def adjustments(self) -> dict[Scope, dict[str, object]]:
        with self._link.talking() as opened:
            found: Any = opened.client.hgetall(self._link.keys.of("policies"))
        return unpack_adjustments(found)

    def process_rules(self, queues: Sequence[str]) -> dict[str, dict[str, object]]:
        reply = self._link.run("process_rules", queues)
        found = {}
        for name, packed in zip(reply[::2], reply[1::2], strict=True):
            queue = name.decode()
            try:
                changes = unpack_changes(packed)
                own = {rule: changes[rule] for rule in PROCESS_RULES & changes.keys()}
                check_adjustments(Scope(queue), own)
            except (ValueError, AttributeError, InvalidAdjustment) as error:
                # The worker that asks goes by the settings, as it does where nothing was adjusted.
                logger.warning("What was adjusted of queue %s cannot be read: %s", queue, error)
                continue
            if own:
                found[queue] = own
        return found

    def rest(self, scope: Scope, for_ms: int, reason: str) -> None:
        self._link.run("rest", [scope_key(scope), for_ms, reason])

    def wake(self, scope: Scope) -> None:
        self._link.run("wake", [scope_key(scope)])
        self.offer([scope.queue])

    # Jobs

    def promote(self, job_ids: Sequence[str]) -> list[bool]:
        return self._change("promote", (), job_ids)

    def set_priority(self, job_ids: Sequence[str], priority: int) -> list[bool]:
        check_priority(priority)
        return self._change("set_priority", (priority,), job_ids)

    def remove(self, job_ids: Sequence[str], ended_by: int | None = None) -> list[bool]:
        return self._change("remove", (-1 if ended_by is None else ended_by,), job_ids)

    def withdraw(self, job_ids: Sequence[str]) -> list[bool]:
        return self._change("withdraw", (), job_ids)

    def retry_dead(
        self, job_ids: Sequence[str], ended_by: int | None = None, *, from_start: bool = False
    ) -> list[bool]:
        # A time in any case: the connection repeats a call whose reply was lost.
        horizon = self._now() if ended_by is None else ended_by
        return self._change("retry_dead", (horizon, int(from_start)), job_ids)

    def replace_payload(self, job_id: str, expected: bytes, payload: bytes) -> bool:
        return bool(self._link.run("replace_payload", [job_id, expected, payload]))

    def cancel(self, job_ids: Sequence[str], reason: str = "") -> list[Cancelled]:
        outcome = orjson.dumps({"error": {"type": "Cancelled", "message": reason or "cancelled"}})
        detail = AttemptDetail(reason=reason).to_bytes() if reason else b""
        answers: list[Cancelled] = []
        for chunk in _chunks(job_ids):
            reply = self._link.run("cancel", [self._link.keys.signals, outcome, reason, detail, *chunk])
            answers += [CANCELLED[word] for word in reply]
        return answers

    def _change(self, verb: str, before: tuple[Any, ...], job_ids: Sequence[str]) -> list[bool]:
        done: list[bool] = []
        for chunk in _chunks(job_ids):
            reply = self._link.run(verb, [*before, *chunk])
            done += map(bool, reply[: len(chunk)])
            if queues := reply[len(chunk) :]:
                self.offer(queue.decode() for queue in queues)
        return done

    # Queues

    def drain(self, queue: str, *, delayed: bool = True, limit: int = 1000) -> int:
        removed = 0
        for name in ("waiting", "apart", *(("delayed",) if delayed else ())):
            removed += self._clean(queue, name, limit - removed)
        return removed

    def clean(
        self, queue: str, state: JobState, older_than_ms: int = 0, keep: int = 0, limit: int = 1000
    ) -> int:
        if state is JobState.ACTIVE:
            raise IllegalTransition("Active jobs cannot be cleaned; cancel them.")
        before = self._now() - older_than_ms if older_than_ms > 0 else -1
        names, newest, removed = _SETS.get(state, ()), b"", 0
        if keep and not state.settled:
            # These sets are not in the order of time.
            latest = heapq.nlargest(keep, self._ages(queue, names))
            if len(latest) < keep:
                return 0
            keep, newest = 0, latest[-1]
        for name in names:
            removed += self._clean(queue, name, limit - removed, keep, before, newest)
        return removed

    def obliterate(self, queue: str, limit: int = 1000) -> int:
        removed = self.drain(queue, limit=limit)
        for state in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED):
            removed += self.clean(queue, state, 0, 0, limit - removed)
        if not removed:
            self._link.run("obliterate", [queue])
        return removed

    def _ages(self, queue: str, names: Iterable[str]) -> Iterator[bytes]:
        """How late the jobs of these sets came: the latest is the greatest."""
        for name in names:
            after = b""
            while True:
                after, *ages = self._link.run("ages", [queue, after, AGES_CHUNK], [self._link.keys.of(name)])
                yield from ages
                if not after:
                    break

    def _clean(
        self, queue: str, name: str, limit: int, keep: int = 0, before: int = -1, newest: bytes = b""
    ) -> int:
        total, skipped, after = 0, 0, b""
        while total < limit:
            argv = [queue, keep, before, min(limit - total, CHUNK), after, skipped, newest]
            removed, passed_over, after = self._link.run("clean", argv, [self._link.keys.of(name)])
            total, skipped = total + int(removed), skipped + int(passed_over)
            if not after:
                break
        return total

    def _now(self) -> int:
        with self._link.talking() as opened:
            seconds, micros = opened.client.time()
        return int(seconds * 1000 + micros // 1000)

    # Inspection

    def get(self, job_id: str) -> Job | None:
        found = unpack_jobs(self._link.run("get", [job_id]))
        return found[0] if found else None

    def steps(self, job_id: str) -> dict[str, bytes]:
        reply = self._link.run("steps", [job_id])
        return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}

    def logs(self, job_id: str) -> list[AttemptLog]:
        reply = self._link.run("logs", [job_id])
        return [
            AttemptLog(reply[i], reply[i + 1], reply[i + 2], tuple(reply[i + 3]))
            for i in range(0, len(reply), 4)
        ]

    def standing(self, job_id: str) -> Standing | None:
        reply = self._link.run("standing", [job_id])
        return unpack_standing(reply) if reply else None

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        if state is JobState.ACTIVE:
            return unpack_jobs(self._link.run("list_active", [queue, offset, limit]))
        if state not in _SETS:
            return []
        sets = self._link.keys.all_of(_SETS[state])
        return unpack_jobs(self._link.run("list", [queue, offset, limit, int(state.settled)], sets))

    def scan(
        self, queue: str, state: JobState, limit: int = 100, after: str = "", *, routed: bool = False
    ) -> tuple[list[Job], str | None]:
        if state is JobState.ACTIVE:
            return self._scan_active(queue, limit, after)
        names = ("dead",) if routed else _SETS.get(state, ())
        # Where there are two sets, the mark says which one it is in.
        number, _, mark = after.partition(":") if after else ("0", "", "")
        if int(number) >= len(names):
            return [], None
        key = self._link.keys.of(names[int(number)])
        last, *parts = self._link.run("scan", [queue, mark.encode("latin-1"), limit], [key])
        if last:
            return unpack_jobs(parts), f"{number}:{last.decode('latin-1')}"
        following = int(number) + 1
        return unpack_jobs(parts), f"{following}:" if following < len(names) else None

    def _scan_active(self, queue: str, limit: int, after: str) -> tuple[list[Job], str | None]:
        jobs, last = list[Job](), after.encode("latin-1")
        while len(jobs) < limit:
            last, *parts = self._link.run("scan_active", [queue, last, limit - len(jobs)])
            jobs += unpack_jobs(parts)
            if not last:
                return jobs, None
        return jobs, last.decode("latin-1")

    def scan_all(self, limit: int = 100, after: str = "") -> tuple[list[Job], str | None]:
        cursor, *parts = self._link.run("scan_all", [after or "0", limit])
        return unpack_jobs(parts), cursor.decode() or None

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        rows = self._link.run("stats", queues) if queues else []
        return [unpack_stats(queue, row) for queue, row in zip(queues, rows, strict=True)]

    def lanes(self, queue: str, lanes: Sequence[str] | None = None, limit: int = 100) -> list[LaneStats]:
        names = self._lanes_with_work(queue, limit) if lanes is None else lanes
        parts = [self._link.run("lanes", [queue, *chunk]) for chunk in _chunks(names, LANES_CHUNK)]
        return [unpack_lane(queue, row) for part in parts for row in part]

    def _lanes_with_work(self, queue: str, limit: int) -> list[str]:
        found, mark = dict[bytes, None](), b""
        while len(found) < limit:
            most = min(limit - len(found), LANES_CHUNK)
            mark, *names = self._link.run("lane_names", [queue, mark, most])
            found |= dict.fromkeys(names)
            if not mark:
                break
        return [name.decode() for name in found]

    def workers(self) -> list[WorkerInfo]:
        with self._link.talking() as opened:
            pipeline = opened.client.pipeline(transaction=False)  # a full Redis 6.2 refuses even these in one
            pipeline.hgetall(self._link.keys.of("workers"))
            pipeline.zrange(self._link.keys.of("leases"), 0, -1, withscores=True)
            pipeline.time()
            infos, leases, (seconds, micros) = pipeline.execute()
        return unpack_workers(infos, leases, seconds * 1000 + micros // 1000)


def _chunks(names: Sequence[str], size: int = CHUNK) -> Iterable[Sequence[str]]:
    return (names[i : i + size] for i in range(0, len(names), size))
