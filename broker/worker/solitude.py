"""A job whose worker died before runs alone, so that no neighbour dies with it once more.

The store gives such a suspect only to a process that holds nothing. Where it has found none it says
`suspect` to one: that one lets its jobs end, fetches nothing meanwhile, and asks again when it is empty.
Until the suspect's outcome is stored nothing else is fetched. Used by `holdings` under its lock.
"""

#: A process whose jobs run longer than this, in seconds, gives up its turn. The store has passed it on
#: after 30 s by its own clock.
TURN_S = 31.0


class Solitude:
    __slots__ = ("_shard", "_until", "job")

    def __init__(self) -> None:
        #: The suspect that runs here or whose outcome is not stored yet.
        self.job: str | None = None
        self._shard: str | None = None  # the shard that has a suspect for us
        self._until = 0.0

    @property
    def sought(self) -> bool:
        """True while something may not be fetched."""
        return self.job is not None or self._shard is not None

    def heard(self, shard: str, suspect: bool, now: float) -> None:
        """The store's answer to a fetch: a suspect waits for this process to be empty, or not any more."""
        if suspect:
            if self._shard is None:
                self._shard, self._until = shard, now + TURN_S
        elif self._shard == shard:
            self._shard = None

    def began(self, job_id: str) -> None:
        self.job = job_id

    def stored(self, job_ids: set[str]) -> None:
        """The store has these outcomes."""
        if self.job in job_ids:
            self.job = None

    def forbids(self, shard: str, empty: bool, now: float) -> bool:
        """Whether this shard may not be fetched from now. `empty`: the process holds nothing at all."""
        if self.job is not None:
            return True
        if self._shard is None:
            return False
        if now >= self._until:
            self._shard = None
            return False
        return not (empty and shard == self._shard)
