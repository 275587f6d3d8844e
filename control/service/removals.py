"""What a removed job leaves: the blob of its large arguments, and its id, which stays taken for a while."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from broker.codec import UndecodablePayload
from jobs.blobs import OPTION as BLOB
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger(__name__)

_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


class Leaving(NamedTuple):
    """`blob` is the key of its blob, and `id_memory_ms` how long an id that its sender gave stays taken."""

    blob: str | None = None
    id_memory_ms: int | None = None


def leaving(app: "App", job_ids: Sequence[str]) -> dict[str, Leaving]:
    """What these jobs will leave, of those that are there and can be read. Raises StoreUnavailable."""
    return {job.id: _of(app, job) for job in map(app.store.get, job_ids) if job is not None}


def remove_blobs(app: "App", left: Iterable[Leaving]) -> None:
    """Remove the blobs of jobs that are gone. One that cannot be removed now is left to the sweep."""
    keys = [one.blob for one in left if one.blob]
    if not keys:
        return
    try:
        app.blobs().remove(keys)
    except Exception as error:  # noqa: BLE001  whichever store it is: the jobs are removed all the same
        logger.warning("%d blobs of removed jobs stay until the sweep: %s", len(keys), type(error).__name__)


def span_words(ms: int) -> str:
    """7 days, 36 hours: in the largest unit that divides it."""
    for size, unit in _UNITS:
        if ms >= size and ms % size == 0:
            count = ms // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{ms:,} milliseconds"


def _of(app: "App", job: Job) -> Leaving:
    try:
        options = app.broker.decode(job).options
    except UndecodablePayload:
        return Leaving()
    reference = options.get(BLOB)
    key = reference.get("key") if isinstance(reference, Mapping) else None
    memory = app.rules_of(job.queue).id_memory_ms if options.get("job_id") is not None else None
    return Leaving(key if isinstance(key, str) else None, memory)
