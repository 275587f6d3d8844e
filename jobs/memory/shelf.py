"""Where the jobs of the in-memory store lie: by id, by queue and state, by owner, in running order.

Every change of state goes through `move`, which keeps all of these in step and the table of legal
transitions.
"""

import heapq
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jobs.model import Job
from jobs.states import JobState, check_transition


@dataclass
class Record:
    """A job, its place in line, its dead-letter queue, and the last delivery of it that was settled."""

    job: Job
    sequence: int
    dead_letter: str
    settled_token: int = 0


class Shelf:
    """Not safe for threads by itself; the store holds its lock."""

    def __init__(self) -> None:
        #: Queues with waiting jobs, the one served longest ago first.
        self.turns: deque[str] = deque()
        self._records: dict[str, Record] = {}
        self._in_state: dict[tuple[str, JobState], dict[str, None]] = defaultdict(dict)
        self._held_by: dict[str, dict[str, None]] = defaultdict(dict)
        self._lines: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        self._due: list[tuple[int, str]] = []
        self._sequence = 0

    def get(self, job_id: str) -> Record | None:
        return self._records.get(job_id)

    def add(self, job: Job, dead_letter: str) -> None:
        """`dead_letter` is where it goes if it fails for good."""
        check_transition(None, job.state)
        record = self._records[job.id] = Record(job, self._next(), dead_letter)
        self._enter(record)

    def remove(self, job_id: str) -> None:
        record = self._records[job_id]
        check_transition(record.job.state, None)
        self._leave(record)
        del self._records[job_id]

    def move(self, record: Record, state: JobState, /, *, new_place: bool = False, **changes: Any) -> None:
        """Change a job's state. `new_place` puts it behind what waits already."""
        check_transition(record.job.state, state)
        self._leave(record)
        if new_place:
            record.sequence = self._next()
        record.job = replace(record.job, state=state, **changes)
        self._enter(record)

    def amend(self, record: Record, /, **changes: Any) -> None:
        """Change what does not move the job."""
        record.job = replace(record.job, **changes)

    def first_waiting(self, queue: str) -> Record:
        return self._records[self._lines[queue][0][2]]

    def waits(self, queue: str) -> bool:
        return bool(self._lines[queue])

    def served(self, queue: str) -> None:
        """It is another queue's turn now."""
        self.turns.remove(queue)
        if self._lines[queue]:
            self.turns.append(queue)

    def fall_due(self, now: int) -> list[Record]:
        """Take the delayed jobs that are due, in order."""
        due = []
        while (next_due := self.next_due()) is not None and next_due <= now:
            due.append(self._records[heapq.heappop(self._due)[1]])
        return due

    def next_due(self) -> int | None:
        while self._due:
            due_at, job_id = self._due[0]
            record = self._records.get(job_id)
            if record is not None and record.job.state is JobState.DELAYED and record.job.due_at == due_at:
                return due_at
            heapq.heappop(self._due)  # it was moved or removed meanwhile
        return None

    def count(self, queue: str, state: JobState) -> int:
        return len(self._in_state[queue, state])

    def jobs(self, queue: str, state: JobState) -> list[Job]:
        """Jobs of one queue and state: settled ones newest first, the others in running order."""
        records = [self._records[job_id] for job_id in self._in_state[queue, state]]
        if state.settled:
            records.sort(key=lambda record: (record.job.finished_at or 0, record.job.id), reverse=True)
        elif state is JobState.DELAYED:
            records.sort(key=lambda record: (record.job.due_at or 0, record.job.id))
        else:
            records.sort(key=_place)
        return [record.job for record in records]

    def held_by(self, owner: str) -> list[Record]:
        return [self._records[job_id] for job_id in self._held_by[owner]]

    def all_jobs(self) -> Iterable[Job]:
        return (record.job for record in self._records.values())

    def _enter(self, record: Record) -> None:
        job = record.job
        self._in_state[job.queue, job.state][job.id] = None
        if job.owner is not None:
            self._held_by[job.owner][job.id] = None
        if job.state is JobState.WAITING:
            insort(self._lines[job.queue], _place(record))
            if job.queue not in self.turns:
                self.turns.append(job.queue)
        elif job.state is JobState.DELAYED:
            heapq.heappush(self._due, (job.due_at or 0, job.id))

    def _leave(self, record: Record) -> None:
        job = record.job
        del self._in_state[job.queue, job.state][job.id]
        if job.owner is not None:
            del self._held_by[job.owner][job.id]
        if job.state is JobState.WAITING:
            line = self._lines[job.queue]
            # Mostly the first: that is what is fetched.
            if line[0][2] == job.id:
                line.pop(0)
            else:
                line.remove(_place(record))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def _place(record: Record) -> tuple[int, int, str]:
    """A job's place in its queue: priority, sequence, id. One lane per queue for now."""
    return (record.job.priority, record.sequence, record.job.id)
