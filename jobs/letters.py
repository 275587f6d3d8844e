"""Rules that route a job that failed for good to a dead-letter queue: the first that fits wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

#: What the store writes of a job whose workers died once too often.
LEASE_LOST, LOST_CODE = "LeaseLost", "lost_lease"


class Ended(NamedTuple):
    """What a rule may look at. `errors` are the names of the exception's class and of those above it."""

    queue: str
    actor: str
    tenant: str
    errors: tuple[str, ...]
    code: str = ""
    attempts: int = 0

    @classmethod
    def lost(cls, queue: str, actor: str, tenant: str) -> "Ended":
        """A job that the store gives up because its workers died: where it goes is settled before it runs."""
        return cls(queue, actor, tenant, (LEASE_LOST,), LOST_CODE)


@dataclass(frozen=True, slots=True)
class LetterRule:
    """Goes to `to` when all that is given fits; of several words in one place one is enough, `*` is anything.

    `attempts` is how often it ran at least. `tenants` "" means jobs without a tenant.
    """

    to: str
    queues: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    attempts: int = 0

    def fits(self, ended: Ended) -> bool:
        return (
            ended.attempts >= self.attempts
            and _one_of(self.queues, (ended.queue,))
            and _one_of(self.actors, (ended.actor,))
            and _one_of(self.tenants, (ended.tenant,))
            and _one_of(self.codes, (ended.code,))
            and _one_of(self.errors, ended.errors)
        )


def route(rules: Sequence[LetterRule], ended: Ended, default: str) -> str:
    """The dead-letter queue of a job that failed for good."""
    return next((rule.to for rule in rules if rule.fits(ended)), default)


def names_of(exception: BaseException) -> tuple[str, ...]:
    """What a rule may call an exception: its class, or one that it derives from."""
    return tuple(kind.__name__ for kind in type(exception).__mro__ if kind is not object)


def _one_of(patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
