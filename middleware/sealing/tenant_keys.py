"""A secret of each tenant's own, which lies in SQL wrapped with the fleet's key.

Delete it, and nothing of the tenant's that was encrypted can be read again, wherever copies of it are.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from jobs.errors import CallboardError, ForgedMessage, KeyMissing, KeyShredded, KeyUnavailable
from jobs.wrapped_keys import WrappedKey, WrappedKeys
from middleware.sealing.keyring import Keyring
from middleware.sealing.signing import Signer, derived

if TYPE_CHECKING:
    from middleware.sealing.ciphers import Cipher

SECRET_BYTES, NONCE_BYTES = 32, 12
MOST_CACHED = 5_000
#: Whoever is in a hurry waits so long for the store, in seconds; the first time longer, because what asks it
#: is loaded then.
PATIENCE_S, FIRST_PATIENCE_S = 0.25, 2.0
#: When that was in vain nobody in a hurry asks again for so long, in seconds, for any tenant.
AWAY_S = 2.0


@dataclass(slots=True)
class _Known:
    """A tenant's secret, and the ciphers that came of it."""

    number: int
    secret: bytes
    read_at: float
    until: float
    ciphers: dict[tuple[str, int], "Cipher"] = field(default_factory=dict)
    namer: Signer | None = None


class TenantKeys:
    """`cache_s` is how long one is remembered, `offline_s` how long while its store does not answer."""

    def __init__(
        self,
        ring: Keyring,
        stored: Callable[[], WrappedKeys],
        cache_s: float = 5.0,
        offline_s: float = 300.0,
    ) -> None:
        self._ring = ring
        self._stored = stored
        self._cache_s = cache_s
        self._offline_s = offline_s
        self._known: dict[str, _Known] = {}
        self._turn = threading.Lock()  # of whoever asks for one in a hurry
        self._patience_s = FIRST_PATIENCE_S
        self._slow = False  # one that was asked for in a hurry is not here yet
        self._away_until = 0.0

    def closing(self, tenant: str, purpose: str, fleet_key: int) -> "tuple[Cipher, int]":
        """The cipher that encrypts for a tenant, whose first key is made when there is none, and the number
        of the key. Raises KeyShredded, KeyMissing, KeyUnavailable."""
        known = self._of(tenant, make=True)
        return self._cipher(known, tenant, purpose, fleet_key), known.number

    def opening(
        self, tenant: str, purpose: str, fleet_key: int, number: int, *, in_a_hurry: bool = False
    ) -> "Cipher":
        """The cipher that decrypts what was encrypted with this key of a tenant. Raises as `closing` does.

        `in_a_hurry` is a thread on which others wait: it does not stand still while the store is slow."""
        known = self._soon(tenant) if in_a_hurry else self._of(tenant, make=False)
        if known.number != number:
            # It may have been renewed since it was read into memory.
            self.forget(tenant)
            known = self._soon(tenant) if in_a_hurry else self._of(tenant, make=False)
        if known.number != number:
            raise KeyShredded(f"This was encrypted with a key of tenant {tenant!r} that was shredded.")
        return self._cipher(known, tenant, purpose, fleet_key)

    def namer(self, tenant: str) -> Signer:
        """What makes digests of names. Raises as `opening` does."""
        known = self._of(tenant, make=False)
        if known.namer is None:
            known.namer = Signer(0, derived(known.secret, "name", tenant))
        return known.namer

    def shred(self, tenant: str) -> bool:
        """Make all of a tenant unreadable for ever. Other processes remember its key for `cache_s`."""
        try:
            return self._stored().shred(tenant)
        finally:
            self.forget(tenant)

    def restore(self, tenant: str) -> bool:
        """Let a tenant whose key was shredded have a new one; what was shredded stays unreadable."""
        done = self._stored().renew(self._fresh(tenant))
        self.forget(tenant)
        return done

    def rewrap(self, limit: int = 100) -> Iterator[int]:
        """Wrap with the current version what is wrapped with others, in chunks; yields how many each did."""
        stored, current, after = self._stored(), self._ring.closing().number, None
        while found := stored.all_but(current, after, limit):
            done = 0
            for key in found:
                secret = self._unwrapped(key)
                done += stored.rewrap(key, self._wrapped(key.tenant, key.number, secret))
            after = found[-1].tenant
            yield done

    def wrapped_with(self, fleet_key: int) -> int:
        """How many tenants' keys need a version."""
        return self._stored().wrapped_with(fleet_key)

    def has_been(self, tenant: str) -> bool:
        """Whether a tenant has, or had, a key."""
        return self._stored().get(tenant) is not None

    def forget(self, tenant: str) -> None:
        """Ask for it anew at its next use."""
        self._known.pop(tenant, None)

    def _soon(self, tenant: str) -> _Known:
        """As `_of`, but a slow store is taken for one that is away."""
        known, now = self._known.get(tenant), time.monotonic()
        if known is not None and now < known.until:
            return known
        if not self._slow and now >= self._away_until and self._turn.acquire(timeout=self._patience_s):
            answers: SimpleQueue[_Known | BaseException] = SimpleQueue()
            asks = threading.Thread(
                target=self._ask, args=(tenant, answers), name="callboard-keys", daemon=True
            )
            asks.start()
            try:
                answer = answers.get(timeout=self._patience_s)
            except Empty:
                self._slow = True
                if not answers.empty():  # it came this moment
                    self._slow = False
            else:
                self._patience_s = PATIENCE_S
                if isinstance(answer, KeyUnavailable):
                    self._away_until = time.monotonic() + AWAY_S
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        if known is not None and now < known.read_at + self._offline_s:
            return known
        raise KeyUnavailable(f"The key of tenant {tenant!r} cannot be read: its database is slow, or away.")

    def _ask(self, tenant: str, answers: "SimpleQueue[_Known | BaseException]") -> None:
        try:
            answers.put(self._of(tenant, make=False))
        except BaseException as error:  # noqa: BLE001  whoever waits for it raises it
            answers.put(error)
        finally:
            self._slow = False
            self._turn.release()

    def _of(self, tenant: str, *, make: bool) -> _Known:
        known, now = self._known.get(tenant), time.monotonic()
        if known is not None and now < known.until:
            return known
        try:
            key = self._stored().get(tenant)
            if key is None and make:
                key = self._stored().add(self._fresh(tenant))
        except KeyMissing:
            raise
        except CallboardError as error:
            if known is not None and now < known.read_at + self._offline_s:
                known.until = now + self._cache_s
                return known
            raise KeyUnavailable(f"The key of tenant {tenant!r} cannot be read: {error}") from None
        self._known.pop(tenant, None)
        if key is None:
            raise KeyShredded(f"Tenant {tenant!r} has no key: it was never encrypted for, or is gone.")
        secret = self._unwrapped(key)
        if known is not None and (known.number, known.secret) == (key.number, secret):
            known.read_at, known.until = now, now + self._cache_s
        else:
            known = _Known(key.number, secret, now, now + self._cache_s)
        if len(self._known) >= MOST_CACHED:
            self._known.clear()
        self._known[tenant] = known
        return known

    def _cipher(self, known: _Known, tenant: str, purpose: str, fleet_key: int) -> "Cipher":
        cipher = known.ciphers.get((purpose, fleet_key))
        if cipher is None:
            source = (self._ring.key(fleet_key) if fleet_key else b"") + known.secret
            cipher = _cipher_of(derived(source, purpose, tenant, fleet_key))
            known.ciphers[purpose, fleet_key] = cipher
        return cipher

    def _fresh(self, tenant: str) -> WrappedKey:
        return self._wrapped(tenant, secrets.randbelow(2**32 - 1) + 1, os.urandom(SECRET_BYTES))

    def _wrapped(self, tenant: str, number: int, secret: bytes) -> WrappedKey:
        fleet_key = self._ring.closing().number
        nonce = os.urandom(NONCE_BYTES)
        cipher = _cipher_of(derived(self._ring.key(fleet_key), "wrap"))
        sealed = cipher.encrypt(nonce, secret, _of_key(tenant, number, fleet_key))
        return WrappedKey(tenant, number, fleet_key, nonce + sealed)

    def _unwrapped(self, key: WrappedKey) -> bytes:
        if key.wrapped is None:
            raise KeyShredded(
                f"The key of tenant {key.tenant!r} was shredded; nothing is sent or read for it until "
                "`callboard keys restore` gives it a new one."
            )
        cipher = _cipher_of(derived(self._ring.key(key.fleet_key), "wrap"))
        nonce, sealed = key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _of_key(key.tenant, key.number, key.fleet_key))
        except ForgedMessage:
            raise KeyMissing(
                f"The stored key of tenant {key.tenant!r} does not open with key {key.fleet_key} of the "
                "fleet: it was altered, or the ring holds another key under this number."
            ) from None


def _cipher_of(key: bytes) -> "Cipher":
    from middleware.sealing.ciphers import Cipher

    return Cipher(key)


def _of_key(tenant: str, number: int, fleet_key: int) -> bytes:
    return number.to_bytes(4, "big") + fleet_key.to_bytes(2, "big") + tenant.encode("utf-8", "surrogatepass")
