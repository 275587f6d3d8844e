"""How far the rows of the audit are behind: as the job store says, and as this process's writer knows."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from broker.redis.stream_lag import StreamLag, stream_lag
from broker.redis.topology import Topology
from middleware.tallies import Gauges

if TYPE_CHECKING:
    from database.audit import AuditWriter

READER = "audit"


class AuditLag:
    """`topology` is None where jobs are in memory, and nothing is behind."""

    def __init__(self, topology: Callable[[], Topology | None]) -> None:
        self._topology = topology
        self._writers: list[AuditWriter] = []

    def watch(self, writer: "AuditWriter") -> "AuditWriter":
        """A writer of this process, whose trouble with the database is told from now on."""
        self._writers.append(writer)
        return writer

    def in_store(self) -> StreamLag:
        """What no process has stored yet. Raises StoreUnavailable."""
        topology = self._topology()
        return stream_lag(topology, READER) if topology else StreamLag()

    def held_ms(self) -> int:
        """For how long the oldest event in hand has waited for the database; 0 when it takes rows."""
        return max((writer.lag_ms for writer in self._writers), default=0)

    def gauges(self) -> Iterable[Gauges]:
        """For a scrape."""
        yield Gauges(
            "callboard_audit_held_seconds",
            "How long the oldest attempt in this process's hand has waited for the database; 0: it does not.",
            (),
            (((), self.held_ms() / 1000),),
        )
        behind = self.in_store()
        yield Gauges(
            "callboard_audit_behind_entries",
            "Entries of the event stream, each of up to dozens of attempts, that no process has stored yet.",
            (),
            (((), behind.entries),),
        )
        yield Gauges(
            "callboard_audit_behind_seconds",
            "How long the oldest of these entries has waited.",
            (),
            (((), behind.oldest_ms / 1000),),
        )
