"""Signs and encrypts with the fleet's keys: the implementation of `jobs.sealing.Seal`.

Purposes have keys of their own. A payload's key comes of the fleet's key and its tenant's; that of a note
(a result, a line of a log, an audit row's inputs …) of its tenant's alone, which is what a rotation wraps
anew: so notes need not be written again, and rows that a chain of hashes holds together stay as they are.
"""

import time

from jobs.sealing import About, Opened
from middleware.sealing.envelope import SIGNED, bound, check, decrypt, encrypt, head_of, sign
from middleware.sealing.keyring import Keyring
from middleware.sealing.tenant_keys import TenantKeys

DIGEST_LETTERS = 32


class FleetSeal:
    """`tenants` is asked only for what is encrypted: signing needs no database."""

    def __init__(self, ring: Keyring, tenants: TenantKeys) -> None:
        self.ring = ring
        self.tenants = tenants

    def close(self, plain: bytes, about: About, *, secret: bool, sealed_at: int | None = None) -> bytes:
        at = time.time_ns() // 1_000_000 if sealed_at is None else sealed_at
        # A blob lies for as long as its job waits, beyond rotations: its key must not depend on a version.
        if not secret and about.kind != "blob":
            return sign(plain, about, self.ring.closing(), at)
        payload = about.kind == "payload"
        key = self.ring.closing().number if payload else 0
        cipher, number = self.tenants.closing(about.tenant, "payload" if payload else "note", key)
        return encrypt(plain, about, cipher, key, number, at)

    def open(self, sealed: bytes, about: About, *, in_a_hurry: bool = False) -> Opened:
        kind, key, sealed_at, number = head_of(sealed)
        if kind == SIGNED:
            return Opened(check(sealed, about, self.ring.signer(key)), sealed_at, False, key)
        purpose = "payload" if key else "note"
        cipher = self.tenants.opening(about.tenant, purpose, key, number, in_a_hurry=in_a_hurry)
        return Opened(decrypt(sealed, about, cipher), sealed_at, True, key)

    def digest(self, text: bytes, tenant: str, purpose: str) -> str:
        parts = (purpose.encode(), tenant.encode("utf-8", "surrogatepass"))
        named = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return self.ring.digester().mac(named + text).hex()[:DIGEST_LETTERS]

    def name(self, name: str, about: About) -> str:
        text = bound(about) + name.encode("utf-8", "surrogatepass")
        return self.tenants.namer(about.tenant).mac(text).hex()[:DIGEST_LETTERS]

    def ready(self) -> None:
        self.ring.closing()
