"""How a run ended, as it will be settled: for what stands above all that decide."""

from jobs.errors import HoldJob, JobCancelled, LeaseLost, LimitReached
from jobs.model import Outcome
from middleware.delivery import Delivery


def outcome_of(run: Delivery) -> Outcome:
    """What the broker will make of it, verdict or not."""
    if run.verdict is not None:
        return run.verdict.outcome
    cause = run.exception
    if cause is None and not run.failed:
        return Outcome.COMPLETED
    if isinstance(cause, HoldJob | LimitReached):
        return Outcome.HELD
    if isinstance(cause, JobCancelled):
        return Outcome.CANCELLED
    if isinstance(cause, LeaseLost):
        return Outcome.INTERRUPTED
    # A middleware that broke does not cost the job, unless it was decided all the same that it has failed.
    undecided = run.hook_failed and not run.failed
    return Outcome.RETRY if undecided and run.job.attempt < run.job.max_attempts else Outcome.FAILED
