"""Who holds a unique name: at most one job for each key of a tenant's actor."""

from typing import NamedTuple

from jobs.model import NewJob, UniqueMode

KEPT_WHILE_IT_RUNS = (UniqueMode.UNTIL_FINISHED, UniqueMode.THROTTLE)


class Holder(NamedTuple):
    id: str
    until: int  # 0: no end


class Uniqueness:
    def __init__(self) -> None:
        self._holders: dict[tuple[str, str, str], Holder] = {}

    def holder(self, new: NewJob, now: int) -> str | None:
        """The job that holds the name of `new`."""
        held = self._holders.get(_name(new))
        if held is None or 0 < held.until <= now:
            return None
        return held.id

    def take(self, new: NewJob, now: int) -> None:
        if new.unique is not None:
            until = now + new.unique.ttl_ms if new.unique.ttl_ms > 0 else 0
            self._holders[_name(new)] = Holder(new.id, until)

    def take_again(self, new: NewJob, now: int) -> None:
        """The job did not start after all."""
        if new.unique and new.unique.mode is not UniqueMode.THROTTLE and self.holder(new, now) is None:
            self.take(new, now)

    def started(self, new: NewJob, now: int) -> None:
        if new.unique and new.unique.mode not in KEPT_WHILE_IT_RUNS:
            self._release(new, now)

    def ended(self, new: NewJob, now: int) -> None:
        if new.unique and not (new.unique.mode is UniqueMode.THROTTLE and new.unique.ttl_ms > 0):
            self._release(new, now)

    def _release(self, new: NewJob, now: int) -> None:
        if self.holder(new, now) == new.id:
            del self._holders[_name(new)]


def _name(new: NewJob) -> tuple[str, str, str]:
    return (new.lane, new.actor, new.unique.key if new.unique else "")
