"""Where the jobs of the in-memory store lie: by id, by queue and state, by owner, by due time.

Every change of state goes through `move`, which keeps all of these in step and the table of legal
transitions. Which line a waiting job stands in is the matter of `order`.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.memory.notes import Notes
from jobs.memory.order import LineKey
from jobs.model import Job, NewJob
from jobs.states import JobState, check_transition


@dataclass(slots=True)
class Record:
    """A job, and what nobody outside needs to see of it."""

    job: Job
    new: NewJob  # as it came: its unique key and how long its id is remembered
    place: int  # when it became ready, in microseconds
    dead_letter: str
    line: LineKey | None = None  # where it stands, or stood last
    settled_token: int = 0  # the last delivery that was settled
    begun: bool = False  # it was held or cut short while it ran
    result_until: int = 0  # when the result is forgotten, before the job is; 0: with it
    charge: int = 0  # what its line paid for the delivery
    share: str = ""  # the share it is active under
    rated: list[tuple[str, ...]] = field(default_factory=list)  # rates that count its start
    event: int = 0  # its latest entry in the event stream
    notes: Notes = field(default_factory=Notes)  # its steps and logs

    @property
    def suspect(self) -> bool:
        return self.job.lost_leases > 0

    @property
    def held(self) -> bool:
        return self.job.held_until is not None

    @property
    def entry(self) -> tuple[int, int, str]:
        """Its place in a line."""
        return (self.job.priority, self.place, self.job.id)

    @property
    def apart(self) -> tuple[int, str, str]:
        """Its place among those that stand in no line."""
        gate = f"\x1e{self.job.gate}" if self.job.gate else ""
        return (self.place, f"{self.job.lane}{gate}\x1f", self.job.id)


class Shelf:
    """Not safe for threads by itself; the store holds its lock."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._in_state: dict[tuple[str, JobState], dict[str, None]] = defaultdict(dict)
        self._held_by: dict[str, dict[str, None]] = defaultdict(dict)
        self._due: list[tuple[int, str, str]] = []
        self._markers: dict[str, int] = {}
        self._markers_end: list[tuple[int, str]] = []

    def get(self, job_id: str) -> Record | None:
        return self._records.get(job_id)

    def add(self, record: Record) -> None:
        check_transition(None, record.job.state)
        self._records[record.job.id] = record
        self._enter(record.job)

    def remove(self, record: Record, now: int) -> None:
        """The job leaves; its id stays known for a while."""
        job = record.job
        check_transition(job.state, None)
        self._leave(job)
        del self._records[job.id]
        self._markers[job.id] = now + record.new.marker_ms
        heapq.heappush(self._markers_end, (now + record.new.marker_ms, job.id))

    def forget_markers(self, now: int) -> None:
        """Ids that have been remembered long enough."""
        while self._markers_end and self._markers_end[0][0] <= now:
            _, job_id = heapq.heappop(self._markers_end)
            if self._markers.get(job_id, now + 1) <= now:
                del self._markers[job_id]

    def forget_marker(self, job_id: str) -> None:
        """The id may be used anew."""
        self._markers.pop(job_id, None)

    def known(self, job_id: str, now: int) -> bool:
        """Whether the id belongs to a job that is here or has left not long ago."""
        return job_id in self._records or self._markers.get(job_id, 0) > now

    def was_here(self, job_id: str, now: int) -> bool:
        return self._markers.get(job_id, 0) > now

    def move(self, record: Record, state: JobState, /, **changes: Any) -> None:
        """Change a job's state."""
        check_transition(record.job.state, state)
        self._leave(record.job)
        record.job = replace(record.job, state=state, **changes)
        self._enter(record.job)

    def amend(self, record: Record, /, **changes: Any) -> None:
        """Change what does not move the job."""
        record.job = replace(record.job, **changes)

    def take_due(self, now: int) -> list[Record]:
        """The delayed jobs that are due, in order."""
        due = []
        while (next_due := self.next_due()) is not None and next_due[0] <= now:
            due.append(self._records[heapq.heappop(self._due)[2]])
        return due

    def next_due(self) -> tuple[int, str] | None:
        """When the next delayed job falls due, and its queue."""
        while self._due:
            due_at, queue, job_id = self._due[0]
            record = self._records.get(job_id)
            if record is not None and record.job.state is JobState.DELAYED and record.job.due_at == due_at:
                return due_at, queue
            heapq.heappop(self._due)  # it was moved or removed meanwhile
        return None

    def count(self, queue: str, state: JobState) -> int:
        return len(self._in_state[queue, state])

    def records(self, queue: str, state: JobState) -> list[Record]:
        return [self._records[job_id] for job_id in self._in_state[queue, state]]

    def held_by(self, owner: str) -> list[Record]:
        """What an owner runs, by queue and id."""
        held = [self._records[job_id] for job_id in self._held_by[owner]]
        return sorted(held, key=lambda record: (record.job.queue, record.job.id))

    def all(self) -> Iterator[Record]:
        return iter(self._records.values())

    def _enter(self, job: Job) -> None:
        self._in_state[job.queue, job.state][job.id] = None
        if job.owner is not None:
            self._held_by[job.owner][job.id] = None
        if job.state is JobState.DELAYED:
            heapq.heappush(self._due, (job.due_at or 0, job.queue, job.id))

    def _leave(self, job: Job) -> None:
        del self._in_state[job.queue, job.state][job.id]
        if job.owner is not None:
            del self._held_by[job.owner][job.id]


def ended(record: Record) -> tuple[int, str, str, str]:
    """The order of settled jobs."""
    job = record.job
    return (job.finished_at or 0, job.lane, str(record.new.marker_ms), job.id)
