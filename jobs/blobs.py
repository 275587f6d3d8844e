"""The port of the blob store: arguments that are too large for the job store, kept beside it.

A blob is written before its job is sent and read when the job runs. What its job no longer needs is removed
by `sweep`, so a crash at any point leaves a blob too many for a while and never one too few.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from jobs.errors import PermanentError

#: The option of a job whose arguments are in a blob: `{"key", "bytes", "sha256"}`.
OPTION = "blob"
#: A blob is this old, in ms, before a sweep looks for its job: it is written before the job is sent.
YOUNG_MS = 15 * 60_000
SWEEP_CHUNK = 200


class BlobMissing(PermanentError):
    """The arguments of a job are not in the blob store, or are not what was put there."""


class StoredBlob(NamedTuple):
    """`stored_at` is in ms since 1970."""

    key: str
    job_id: str
    size: int
    stored_at: int


class BlobStore(Protocol):
    """Its verbs raise the errors of the place that keeps the blobs."""

    def put(self, key: str, job_id: str, data: bytes) -> None:
        """Keep it; the same key again is the same blob."""

    def get(self, key: str) -> bytes | None:
        """The blob, or None when it is not there."""

    def page(self, after: str, before_ms: int, limit: int) -> Sequence[tuple[str, str, int, int]]:
        """Key, job, size in bytes and time of blobs that were stored before, in the order of their keys."""

    def remove(self, keys: Sequence[str]) -> int:
        """Remove blobs; returns how many were there."""


class Swept(NamedTuple):
    """What a sweep has looked at and removed so far."""

    looked: int = 0
    removed: int = 0
    bytes: int = 0


def sweep(
    blobs: BlobStore, is_there: Callable[[str], bool], now_ms: int, young_ms: int = YOUNG_MS
) -> Iterator[Swept]:
    """Remove blobs whose job is gone, chunk by chunk; gives what was done after each."""
    done, after = Swept(), ""
    while page := [StoredBlob(*row) for row in blobs.page(after, now_ms - young_ms, SWEEP_CHUNK)]:
        gone = [blob for blob in page if not is_there(blob.job_id)]
        removed = blobs.remove([blob.key for blob in gone]) if gone else 0
        size = sum(blob.size for blob in gone)
        done = Swept(done.looked + len(page), done.removed + removed, done.bytes + size)
        after = page[-1].key
        yield done
