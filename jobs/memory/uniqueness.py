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

    def take(self, new: NewJob, made_at: int) -> None:
        if new.unique is not None:
            until = made_at + new.unique.ttl_ms if new.unique.ttl_ms > 0 else 0
            self._holders[_name(new)] = Holder(new.id, until)

    def take_again(self, new: NewJob, made_at: int, now: int) -> bool:
        """The job did not start after all, or runs again: it holds its name for what is left of the time it
        had when it was made. False when another one holds it."""
        if new.unique is None or 0 < new.unique.ttl_ms <= now - made_at:
            return True
        holder = self.holder(new, now)
        if holder is None:
            self.take(new, made_at)
        return holder in (None, new.id)

    def started(self, new: NewJob, now: int) -> None:
        if new.unique and new.unique.mode not in KEPT_WHILE_IT_RUNS:
            self._release(new, now)

    def ended(self, new: NewJob, now: int) -> None:
        if new.unique and not (new.unique.mode is UniqueMode.THROTTLE and new.unique.ttl_ms > 0):
            self._release(new, now)

    def withdrawn(self, new: NewJob, now: int) -> None:
        """Also a key that is held for a time: the job is to be sent again, and would meet itself."""
        if new.unique:
            self._release(new, now)

    def _release(self, new: NewJob, now: int) -> None:
        if self.holder(new, now) == new.id:
            del self._holders[_name(new)]


def _name(new: NewJob) -> tuple[str, str, str]:
    return (new.lane, new.actor, new.unique.key if new.unique else "")
