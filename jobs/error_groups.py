"""What a group of exceptions says, as `asyncio.TaskGroup` raises it: the one that decides about the job."""

from collections.abc import Iterator

from jobs.errors import (
    HoldJob,
    InvalidPayload,
    JobExpired,
    LimitReached,
    PermanentError,
    RetryAfter,
    RunEnded,
)

FINAL = (PermanentError, InvalidPayload, JobExpired)


def telling(exception: BaseException) -> BaseException:
    """The exception to go by: of a group, in this order, what ends the run, what holds the job, what is
    final, what asks for a wait, or the first; anything else is what it is."""
    if not isinstance(exception, BaseExceptionGroup):
        return exception
    return min(leaves(exception), key=_rank)  # of equals the first


def leaves(exception: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group and in the groups in it, in their order; any other exception alone."""
    if isinstance(exception, BaseExceptionGroup):
        for one in exception.exceptions:
            yield from leaves(one)
    else:
        yield exception


def _rank(exception: BaseException) -> int:
    if isinstance(exception, LimitReached):
        return 2
    if not isinstance(exception, Exception):
        return 0 if isinstance(exception, RunEnded) else 1  # an interrupt, say
    return next((rank for rank, kinds in _ORDER if isinstance(exception, kinds)), 5)


_ORDER: tuple[tuple[int, tuple[type[Exception], ...]], ...] = (
    (2, (HoldJob,)),
    (3, FINAL),
    (4, (RetryAfter,)),
)
