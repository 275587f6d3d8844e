"""What became of the jobs of ticks: from the audit, and from the job store what is not there yet."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.errors import CallboardError
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App


def job_outcomes(app: "App", job_ids: Iterable[str | None]) -> dict[str, str]:
    """The state of each job that one of the two knows. A job store that is away is asked no further; raises
    DatabaseUnavailable."""
    from database.job_outcomes import last_states

    wanted = list(dict.fromkeys(job_id for job_id in job_ids if job_id is not None))
    states = last_states(app.engine(), wanted) if wanted else {}
    for job_id in wanted:
        if states.get(job_id) == JobState.COMPLETED:
            continue  # a failed one may have been sent again meanwhile
        try:
            job = app.store.get(job_id)
        except CallboardError:
            break
        if job is not None:
            states[job_id] = job.state.value
    return states
