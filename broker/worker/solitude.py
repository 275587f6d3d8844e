"""A job whose worker died before runs alone, so that no neighbour dies with it once more.

The store gives such a suspect only to a process that holds nothing, and says `suspect` to one that shall
become empty. That one lets its jobs end, however long they take, and starts nothing meanwhile; now and then
it asks whether it is still needed, because an empty process may have come and taken the suspect. Until the
suspect's outcome is stored nothing else is fetched; then the next one, if there is one. A shard that does not
answer keeps nobody from the others. Used by `holdings` under its lock.
"""

#: A process that becomes empty asks so often, in seconds, whether it still shall. The store takes one that
#: it has not heard of for 10 s for gone.
ASK_EVERY_S = 2.0


class Solitude:
    __slots__ = ("_ask_at", "_of_job", "_shard", "job")

    def __init__(self) -> None:
        #: The suspect that runs here or whose outcome is not stored yet.
        self.job: str | None = None
        self._of_job = ""  # its shard
        self._shard: str | None = None  # the shard that has a suspect for us
        self._ask_at = 0.0

    @property
    def sought(self) -> bool:
        """True while something may not be fetched."""
        return self.job is not None or self._shard is not None

    def heard(self, shard: str, suspect: bool, now: float) -> None:
        """The store's answer to a fetch: a suspect waits for this process to be empty, or not any more."""
        if suspect:
            if self._shard in (None, shard):
                self._shard, self._ask_at = shard, now + ASK_EVERY_S
        elif self._shard == shard:
            self._shard = None

    def not_heard(self, shard: str) -> None:
        """This shard does not answer: whether it still has a suspect is not known."""
        if self._shard == shard:
            self._shard = None

    def began(self, job_id: str, shard: str) -> None:
        """A suspect runs here; the next one may follow it."""
        self.job, self._of_job, self._shard = job_id, shard, shard

    def stored(self, job_ids: set[str]) -> None:
        """The store has these outcomes."""
        if self.job in job_ids:
            self.job = None

    def forbids(self, shard: str, empty: bool, ended: bool, now: float) -> bool:
        """Whether this shard may not be fetched from now. `empty`: the process holds nothing at all; `ended`:
        of the suspect only its verdict is left."""
        if self.job is not None and (shard == self._of_job or not ended):
            return True
        if self._shard is None:
            return False
        return shard != self._shard or not (empty or now >= self._ask_at)
