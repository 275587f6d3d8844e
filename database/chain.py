"""Links of a chain of hashes: each covers its content and the link before it.

With a key nobody who can only write to the database can make a link that fits; without one the chain shows
accidents, and changes by people who do not know how it is made.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from database.errors import AuditKeyMissing
from database.models import AuditChain

EXECUTIONS: Final = "executions"
OPERATORS: Final = "operators"
#: The hash before the first link.
NOTHING: Final = "0" * 64
#: Bytes of one row's digest: among the rows of one batch these tell any two apart.
ROW_DIGEST: Final = 16


@dataclass(frozen=True, slots=True)
class ChainKeys:
    """The key that links are made with, and all that old links may have been made with.

    `since` is the moment (UTC text, as `execution_rows.now` gives it) from which every link must have a key.
    """

    current: str = ""
    ring: Mapping[str, bytes] = field(default_factory=lambda: {"": b""})
    since: str = ""

    @classmethod
    def of(cls, key: str | None = None, old: Iterable[str] = (), since: str = "") -> "ChainKeys":
        """From the texts in the settings; none of them is kept."""
        secrets = [hashlib.sha256(text.encode()).digest() for text in ([key] if key else []) + list(old)]
        ring = {hashlib.sha256(secret).hexdigest()[:16]: secret for secret in secrets}
        return cls(next(iter(ring)) if key else "", {"": b"", **ring}, since)

    def knows(self, key_id: str, at: str) -> bool:
        """Whether a link of that moment may have been made with this key, or without one."""
        if key_id:
            return key_id in self.ring
        return not self.current or at < self.since


def row_digests(rows: Iterable[object], key: bytes) -> bytes:
    """The digests of rows, one after the other. A row is a sequence of text, numbers, None."""
    dumps, blake2b = orjson.dumps, hashlib.blake2b
    return b"".join(
        [blake2b(dumps(row), digest_size=ROW_DIGEST, key=key, person=b"row").digest() for row in rows]
    )


def link_hash(kind: str, parts: object, previous: str, key: bytes) -> str:
    """The hash of one link of a chain."""
    content = orjson.dumps((kind, previous, parts))
    return hashlib.blake2b(content, digest_size=32, key=key, person=b"link").hexdigest()


def locked_chain(session: Session, name: str) -> AuditChain:
    """The head of a chain, which no other writer gets until the transaction ends: so it cannot fork.

    On SQLite the transaction that writes has that lock already.
    """
    return session.execute(_LOCK, {"chain": name}).scalar_one()


#: Made once: to make it takes as long as to run it.
_LOCK = select(AuditChain).where(AuditChain.name == bindparam("chain")).with_for_update()


def extend(chain: AuditChain, keys: ChainKeys, hash: str, at: str) -> None:
    """Put a link at the head. A head that is not as a writer left it stays marked: see `flaw`. Raises
    AuditKeyMissing."""
    mark_flaw(chain, keys)
    chain.number += 1
    chain.hash, chain.at = hash, at
    seal(chain, keys)


def mark_flaw(chain: AuditChain, keys: ChainKeys) -> None:
    """Keep in mind that the head is not as a writer left it. Raises AuditKeyMissing when it has a key that is
    not here: who cannot tell whether a head was changed must neither mark nor seal it."""
    if chain.seal and chain.key_id not in keys.ring:
        raise AuditKeyMissing(
            f"The audit ({chain.name}) was last written with a key that this process does not have, so it "
            "writes nothing there; give it the key in audit.key (CALLBOARD_AUDIT__KEY), or in audit.old_keys "
            "(CALLBOARD_AUDIT__OLD_KEYS) when it is an old one."
        )
    if chain.flaw is None and not sealed(chain, keys):
        chain.flaw = chain.number + 1


def seal(chain: AuditChain, keys: ChainKeys) -> None:
    """Sign the head as it is."""
    chain.key_id = keys.current
    chain.seal = _seal_of(chain, keys.ring[keys.current])


def sealed(chain: AuditChain, keys: ChainKeys) -> bool:
    """Whether the head is as a writer left it. One that nothing was written to yet needs no seal."""
    if not chain.seal:
        return chain.number == 0 and chain.cut_number == 0
    key = keys.ring.get(chain.key_id)
    return key is not None and keys.knows(chain.key_id, chain.at) and chain.seal == _seal_of(chain, key)


def _seal_of(chain: AuditChain, key: bytes) -> str:
    facts = (
        chain.name,
        chain.number,
        chain.at,
        chain.cut_number,
        chain.cut_hash,
        chain.cut_at,
        chain.before_id,
        chain.flaw,
        chain.key_id,
    )
    return link_hash("head", facts, chain.hash, key)
