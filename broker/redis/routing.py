"""Which queue is in which shard."""

from collections.abc import Iterable, Mapping

from broker.redis.places import MAIN_SHARD
from jobs.errors import InvalidAdjustment
from jobs.rules import QueueRules


class Routing:
    """`queues` maps queues to shards; all others are in `main`."""

    def __init__(self, queues: Mapping[str, str]) -> None:
        self.queues = dict(queues)

    def shard_of(self, queue: str) -> str:
        return self.queues.get(queue, MAIN_SHARD)

    def parted(self, queues: Iterable[str]) -> dict[str, list[str]]:
        """The queues of each shard, in their order."""
        parts: dict[str, list[str]] = {}
        for queue in queues:
            parts.setdefault(self.shard_of(queue), []).append(queue)
        return parts

    def only(self, queues: Iterable[str]) -> str:
        """The shard that all these queues are in. Raises ValueError when there is none."""
        named = sorted(self.parted(queues))
        if len(named) != 1:
            raise ValueError(
                f"One call works on one shard, not on {', '.join(named) or 'none'}: use `shards`."
            )
        return named[0]

    def check_shares(self, rules: Mapping[str, QueueRules]) -> None:
        """Raise InvalidAdjustment when queues that share their limits are not in one shard."""
        first: dict[str, str] = {}
        for queue, rule in rules.items():
            other = first.setdefault(rule.share, queue) if rule.share else queue
            here, there = self.shard_of(queue), self.shard_of(other)
            if here != there:
                raise InvalidAdjustment(
                    f"The queues {other} and {queue} share their limits ({rule.share}), so they must be in "
                    f"one shard; {other} is in {there}, {queue} in {here}."
                )
