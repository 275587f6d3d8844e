"""In which state the audit saw jobs last: one question for many of them."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine, select

from database.engine import read_session
from database.models import JobExecution

#: Ids in one statement.
CHUNK = 500


def last_states(engine: Engine, job_ids: Sequence[str]) -> dict[str, str]:
    """The state of each job after its last attempt that has a row; those without one are left out.

    Raises DatabaseUnavailable.
    """
    states: dict[str, str] = {}
    with read_session(engine) as session:
        for ids in _chunks(job_ids):
            rows = (
                select(JobExecution.job_id, JobExecution.state)
                .where(JobExecution.job_id.in_(ids))
                .order_by(JobExecution.created_at, JobExecution.token, JobExecution.id)
            )
            states.update((job_id, state) for job_id, state in session.execute(rows))
    return states


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
