"""Places for worker processes, and when those there were kept from renewing their leases."""

import subprocess
from dataclasses import dataclass, field

from tests.faults.ledger import Row
from tests.faults.worker import WorkerUnderTest
from tests.proxy import TcpProxy

#: After a lease could not be renewed: it runs out, the server may grant grace, somebody looks.
GRACE_S = 10.0


@dataclass
class Harm:
    """Somebody (None: everybody) could not renew a lease. Times are seconds since 1970."""

    owner: str | None
    since: float
    until: float | None = None

    def excuses(self, row: Row, lease_s: float) -> bool:
        """Whether this lost lease may come from it."""
        return (
            self.owner in (None, row.owner)
            and self.since <= row.at + 0.5
            and (self.until is None or row.at <= self.until + lease_s + GRACE_S)
        )


@dataclass
class Host:
    """A place for one worker process, which is started again when it ends, behind a network of its own."""

    proxy: TcpProxy
    skew_s: float
    command: "subprocess.Popen[bytes] | None" = None
    worker: WorkerUnderTest | None = None
    harms: list[Harm] = field(default_factory=list)
