"""Dead letters that were not made by this fleet: they are never run again, only removed.

The seal itself decides, not what the record says of the failure: a job that was refused because clocks were
wrong, or because a key was missing, can be retried once that is mended.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.errors import ForgedMessage, KeyMissing
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App

FORGED_STAYS = "it was not made by this fleet, or was altered, and is never run; remove it"


def is_forged(app: "App", job: Job) -> bool:
    """Whether its payload does not open for its job. A key that is missing says nothing about that."""
    try:
        app.broker.codec.check(job)
    except ForgedMessage:
        return True
    except KeyMissing:
        return False
    return False


def not_forged(app: "App", job_ids: Sequence[str]) -> list[str]:
    """Those that may be run again."""
    found = ((job_id, app.store.get(job_id)) for job_id in job_ids)
    return [job_id for job_id, job in found if job is None or not is_forged(app, job)]
