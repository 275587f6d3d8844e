"""Every key of ours, in one place. Nothing else builds a key's name.

The hash tag names a shard: all keys of a shard live on one node, so its scripts are atomic. No name
depends on a job: jobs are fields of hashes and members of ordered sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

#: Keys of a shard that stay for ever, with what they are. `wake:<queue>` lists hold at most one entry.
PERMANENT = {
    "jobs": "hash: job id -> place, due time and band at its creation, its description, its payload",
    "meta": "hash: job id -> packed record, from its first change on; before, the creation tells all",
    "outcomes": "hash: job id -> result or failure of the last attempt",
    "progress": "hash: job id -> latest progress",
    "steps": "hash: job id -> how many; with a number -> a name; with a name -> what the job keeps under it",
    "logs": "hash: job id -> its attempts; with token and number -> lines that it logged",
    "waiting": "ordered set, by bytes: queue, band, line, priority and place, id",
    "apart": "ordered set, by bytes: queue, h (held) or s (suspect), place, lane, id: waiting in no line",
    "lines": "hash: queue, band, lane -> how many wait, but for gates at rest; with gate -> how many wait"
    " there; plus 2^40 while it rests",
    "order": "ordered set, by bytes: queue, band, virtual time, lane: the lanes that are awake",
    "clocks": "hash: queue, band, lane -> its virtual time; queue, band -> the band's; with gate -> its turn",
    "gates": "ordered set, by bytes: queue, band, lane, turn, gate: the gates that are awake",
    "ready": "ordered set: queues with awake lanes, by when they were last served",
    "turns": "hash: queue -> starts of its bands; line -> of its priorities; alone -> who runs suspects;"
    " watch -> who watches timers",
    "timers": "ordered set: lines, queues, held jobs and rests by when they end",
    "rests": "hash: queue, or with lane, or with gate -> until when it rests, and why",
    "asleep": "ordered set, by bytes: name of a cap or paused lane, line or queue that waits for it",
    "running": "hash: name of a cap -> how many are active under it",
    "starts": "ordered set, by bytes: name of a rate, time, delivery: the starts within its window",
    "policies": "hash: q queue -> its rules of the settings; a queue (lane) -> what was adjusted;"
    " w lane -> its weight; p queue: it is paused; b queue: lanes come before bands; t queue: fair in time;"
    " m queue: its rules have changed and what rests is not awake yet; lanes: some lane has rules;"
    " configured: the settings' rules are here",
    "unique": "hash: unique name -> the job that holds it, mode, end",
    "costs": "hash: queue, lane, actor -> smoothed run time in ms",
    "overrides": "hash: limit rule, or with tenant -> what of it was changed while running",
    "meters": "hash: counter of a limit -> its window or level; of a provider -> how its breaker stands",
    "permits": "hash: job id -> what its delivery took of limits, and what it waits for",
    "limited": "ordered set, by bytes: k, counter, tenant; p, counter, delivery: a permit; w, counter, place,"
    " id, scope: what waits for it; s, counter, time, id: a job that stands by for it",
    "delayed": "ordered set, by bytes: queue, due time, id",
    "clock": "ordered set: queues by the earliest due time of their delayed jobs",
    "held": "ordered set, by bytes: owner, queue, id: what is active",
    "leases": "ordered set: worker processes by the end of their lease",
    "workers": "hash: worker process -> registry entry; and the last beat of any",
    "requests": "hash: worker process -> its last fetch, what it was given, whom it passed over",
    "idle": "ordered set: worker processes that found nothing to do, by until when that is believed",
    "completed": "ordered set, by bytes: queue, time, lane, memory of its id, id",
    "failed": "ordered set, by bytes: queue, time, lane, memory of its id, id",
    "cancelled": "ordered set, by bytes: queue, time, lane, memory of its id, id",
    "dead": "ordered set, by bytes: dead-letter queue, time, id",
    "markers": "ordered set: ids that have left, by until when they are known",
    "tally": "hash: queue, lane, word -> how many now",
    "totals": "hash: queue, word -> count since the beginning; queue, word, minute -> of that minute",
    "groups": "hash: group of jobs -> how many they are, how many are completed, which one was the last",
    "arrivals": "ordered set, by bytes: group, id of a completed member",
    "cache": "hash: key of a cached result -> the result; cached bytes in all under the empty key",
    "cached": "ordered set: keys of cached results by when they are over",
    "expiries": "ordered set: what to clear away, by when: rate logs, unique names, minutes, counters",
    "events": "stream: up to 128 ended attempts of one call as e, bytes written before as b",
    "backlog": "number of bytes ever written to the stream of events",
    "wake": "lists, one a queue: a wake-up that no idle worker has taken yet",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of one shard's keys. `namespace` keeps installations and tests apart."""

    namespace: str = "callboard"
    shard: str = "main"

    def of(self, name: str) -> str:
        """The full name of one of PERMANENT."""
        if name not in PERMANENT:
            raise KeyError(f"{name!r} is not a key of ours; it must be listed in PERMANENT first")
        return f"{self.namespace}:{{{self.shard}}}:{name}"

    def all_of(self, names: Iterable[str]) -> list[str]:
        return [self.of(name) for name in names]

    def wake(self, queue: str) -> str:
        return f"{self.of('wake')}:{queue}"

    def handed(self, job_id: str, token: int) -> str:
        """A list that is there for a second at most: what a delivery that stands by waits for."""
        return f"{self.namespace}:{{{self.shard}}}:handed:{token}:{job_id}"

    @property
    def signals(self) -> str:
        """The channel on which workers are told of jobs to cancel. Nothing is stored under this name."""
        return f"{self.namespace}:{{{self.shard}}}:signals"
