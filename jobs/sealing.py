"""The port of sealing: what leaves a process for Redis or SQL is signed, or encrypted, with the fleet's key.

`middleware/sealing/` implements it; the broker's codec uses it.
"""

from typing import Literal, NamedTuple, Protocol

Kind = Literal["payload", "result", "progress", "log", "step", "blob", "audit", "schedule"]


class About(NamedTuple):
    """What a sealed text belongs to; it opens for nothing else. `queue` is the one the job was sent to."""

    kind: Kind
    tenant: str
    actor: str
    queue: str
    job_id: str


class Opened(NamedTuple):
    """What was in an envelope, when it was closed (ms since 1970, by the clock of whoever closed it), whether
    it was encrypted, and the version of the fleet's key that it needs (0: none)."""

    plain: bytes
    sealed_at: int
    secret: bool
    key: int


class Seal(Protocol):
    """Raises KeyMissing when a key is not here or was shredded, KeyUnavailable when its store is away."""

    def close(self, plain: bytes, about: About, *, secret: bool, sealed_at: int | None = None) -> bytes:
        """Sign, or encrypt when `secret`. `sealed_at` is given when something is closed anew."""

    def open(self, sealed: bytes, about: About, *, in_a_hurry: bool = False) -> Opened:
        """What is in it. Raises ForgedMessage for what was not closed here, or not for `about`.

        `in_a_hurry`: KeyUnavailable, rather than wait for a store of keys that is slow."""

    def digest(self, text: bytes, tenant: str, purpose: str) -> str:
        """A keyed digest, for unique keys, caches and inputs: who has no key learns nothing of the text."""

    def name(self, name: str, about: About) -> str:
        """A digest for what a job keeps under a name, with a key that lasts as long as its tenant's:
        rotations leave it, and whoever has no key cannot tell which name it was made of."""

    def ready(self) -> None:
        """Raise KeyMissing, with what to do, unless there is a key to close with."""
