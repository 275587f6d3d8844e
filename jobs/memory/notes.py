"""What jobs note while they run: the outcomes of their steps, and the lines that they log."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.model import LOG_ATTEMPTS, LOG_BYTES, AttemptLog, LogChunk
from jobs.states import JobState

if TYPE_CHECKING:
    from jobs.memory.state import State


@dataclass(slots=True)
class Log:
    """The log of one attempt."""

    token: int
    attempt: int
    chunks: list[LogChunk] = field(default_factory=list)
    next: int = 0
    dropped: int = 0

    def add(self, chunk: LogChunk) -> None:
        if chunk.number < self.next:
            return
        self.next = chunk.number + 1
        self.chunks.append(chunk)
        while sum(len(kept.lines) for kept in self.chunks) > LOG_BYTES and len(self.chunks) > 1:
            self.dropped += self.chunks.pop(0).line_count


@dataclass(slots=True)
class Notes:
    """Of one job."""

    steps: dict[str, bytes] = field(default_factory=dict)
    lasting: set[str] = field(default_factory=set)
    logs: list[Log] = field(default_factory=list)  # by token

    def attempts(self) -> list[AttemptLog]:
        return [
            AttemptLog(log.token, log.attempt, log.dropped, tuple(chunk.lines for chunk in log.chunks))
            for log in self.logs
        ]

    def begin_anew(self) -> None:
        """Forget all steps but what is lasting."""
        self.steps = {name: kept for name, kept in self.steps.items() if name in self.lasting}


def save_step(
    state: "State", owner: str, job_id: str, token: int, name: str, outcome: bytes, lasting: bool
) -> bool:
    record = state.shelf.get(job_id)
    if record is None or record.job.state is not JobState.ACTIVE:
        return False
    if (record.job.owner, record.job.deliveries) != (owner, token):
        return False
    if lasting and name not in record.notes.steps:
        record.notes.lasting.add(name)
    record.notes.steps[name] = outcome
    return True


def add_log(state: "State", owner: str, chunk: LogChunk) -> None:
    record = state.shelf.get(chunk.job_id)
    if record is None or not 1 <= chunk.token <= record.job.deliveries:
        return
    job, logs = record.job, record.notes.logs
    if chunk.token == job.deliveries and job.state is JobState.ACTIVE and job.owner != owner:
        return
    log = next((log for log in logs if log.token == chunk.token), None)
    if log is None:
        if len(logs) >= LOG_ATTEMPTS and chunk.token < logs[0].token:
            return
        log = Log(chunk.token, chunk.attempt, next=chunk.number)
        logs.append(log)
        logs.sort(key=lambda one: one.token)
    log.add(chunk)
    del logs[: max(0, len(logs) - LOG_ATTEMPTS)]
