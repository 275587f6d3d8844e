"""Steps and logs of running jobs: the middleware's port over the broker's store and codec."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from broker.broker import CallboardBroker
from broker.codec import NoteKind
from jobs.model import FetchedJob, LogChunk


class JobNotes:
    """`broker` is asked for at each call: tests put another store into it."""

    def __init__(self, broker: Callable[[], CallboardBroker]) -> None:
        self._broker = broker

    def close(self, kind: NoteKind, job: FetchedJob, value: Any) -> bytes:
        return self._broker().codec.close_note(kind, job, value)

    def open(self, kind: NoteKind, job: FetchedJob, stored: bytes) -> Any:
        return self._broker().codec.open_note(kind, job, stored)

    def stored_name(self, job: FetchedJob, name: str) -> str:
        return self._broker().codec.stored_name(job, name)

    def save_step(self, owner: str, job: FetchedJob, name: str, outcome: bytes, *, lasting: bool) -> bool:
        return self._broker().store.save_step(owner, job.id, job.token, name, outcome, lasting=lasting)

    def steps(self, job: FetchedJob) -> Mapping[str, bytes]:
        return self._broker().store.steps(job.id)

    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        self._broker().store.add_log(owner, chunks)
