"""The states of a job and the one table of legal transitions.

Both stores and the tests use this table. A resting job (out of tokens, held) is `waiting`.
"""

from enum import StrEnum

from jobs.errors import IllegalTransition


class JobState(StrEnum):
    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"  # needs other jobs first
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"  # dead-lettered
    CANCELLED = "cancelled"

    @property
    def settled(self) -> bool:
        """True when nothing more happens to the job unless an operator replays it."""
        return self in SETTLED


SETTLED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

#: What may follow what. `None` is "not there": a job begins from it, and removal ends in it.
TRANSITIONS: dict[JobState | None, frozenset[JobState | None]] = {
    None: frozenset({JobState.WAITING, JobState.DELAYED, JobState.BLOCKED}),
    JobState.WAITING: frozenset({JobState.ACTIVE, JobState.CANCELLED, None}),
    JobState.DELAYED: frozenset({JobState.WAITING, JobState.CANCELLED, None}),
    JobState.BLOCKED: frozenset(
        {JobState.WAITING, JobState.DELAYED, JobState.CANCELLED, JobState.FAILED, None}
    ),
    JobState.ACTIVE: frozenset(
        {
            JobState.COMPLETED,
            JobState.DELAYED,  # retry with a backoff, or handed back by a stop
            JobState.WAITING,  # handed back unstarted, or its lease was lost
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.COMPLETED: frozenset({None}),
    JobState.FAILED: frozenset({JobState.WAITING, None}),  # replayed, or retention
    JobState.CANCELLED: frozenset({JobState.WAITING, None}),  # started again by an operator, or retention
}


def check_transition(before: JobState | None, after: JobState | None) -> None:
    """Raise IllegalTransition unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"a job cannot go from {before or 'nothing'} to {after or 'nothing'}")
