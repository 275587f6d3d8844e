"""The port through which running jobs note things: outcomes of steps, and lines of a log."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from jobs.model import FetchedJob, LogChunk


class Notes(Protocol):
    """The composition root implements it over the store and the codec. All raise StoreUnavailable."""

    def close(self, kind: Literal["step", "log"], job: FetchedJob, value: Any) -> bytes:
        """The JSON form of a value as it may leave the process: sealed where the job is. Raises
        InvalidPayload for what has no such form."""

    def open(self, kind: Literal["step", "log"], job: FetchedJob, stored: bytes) -> Any:
        """What was closed, in its JSON form."""

    def stored_name(self, job: FetchedJob, name: str) -> str:
        """Under which name a step is stored: of an encrypted job one that says nothing. Raises KeyMissing."""

    def save_step(self, owner: str, job: FetchedJob, name: str, outcome: bytes, *, lasting: bool) -> bool:
        """False when the owner does not hold this delivery any more."""

    def steps(self, job: FetchedJob) -> Mapping[str, bytes]:
        """What earlier deliveries of the job have saved."""

    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        """Store lines."""
