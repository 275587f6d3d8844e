"""The bytes of a sealed text.

    signed     1 │ key 2 │ time 6 │ HMAC-SHA256 cut to 16 │ plain
    encrypted  2 │ key 2 │ time 6 │ tenant's key 4 │ nonce 12 │ AES-256-GCM of plain, with its tag of 16

`key` is the version of the fleet's key, `time` when it was closed, in ms; numbers are big-endian. The head
and all of `About`, each part behind its length, are authenticated with the text, so that no two differ by
concatenation alone. A text whose key lasts as long as its tenant's (a note) has key 0.
"""

import os
import struct
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from jobs.errors import ForgedMessage
from jobs.sealing import About
from middleware.sealing.signing import Signer

if TYPE_CHECKING:
    from middleware.sealing.ciphers import Cipher

SIGNED, ENCRYPTED = 1, 2
MAC_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16
SIGNED_HEAD, ENCRYPTED_HEAD = 9, 13
#: Beginnings of `About` that are kept ready.
MOST_BOUND = 4_096

_bound: dict[tuple[str, ...], bytes] = {}
_HEAD = struct.Struct(">BHHII")  # the time in two parts


class Head(NamedTuple):
    """What an envelope says of itself, which nobody has checked yet."""

    kind: int
    key: int
    sealed_at: int
    tenant_key: int


def head_of(sealed: bytes) -> Head:
    """Raises ForgedMessage for what is no envelope."""
    size = len(sealed)
    if size >= SIGNED_HEAD + MAC_BYTES:  # an encrypted one is longer
        kind, key, high, low, tenant_key = _HEAD.unpack_from(sealed)
        if kind == SIGNED:
            return Head(SIGNED, key, high << 32 | low, 0)
        if kind == ENCRYPTED and size >= ENCRYPTED_HEAD + NONCE_BYTES + TAG_BYTES:
            return Head(ENCRYPTED, key, high << 32 | low, tenant_key)
    raise ForgedMessage("it is neither signed nor encrypted")


def sign(plain: bytes, about: About, signer: Signer, sealed_at: int) -> bytes:
    head = signer.head + sealed_at.to_bytes(6, "big")
    return head + signer.mac(head + bound(about) + plain)[:MAC_BYTES] + plain


def check(sealed: bytes, about: About, signer: Signer) -> bytes:
    """The signed text. Raises ForgedMessage."""
    plain = sealed[SIGNED_HEAD + MAC_BYTES :]
    mac = signer.mac(sealed[:SIGNED_HEAD] + bound(about) + plain)[:MAC_BYTES]
    if not compare_digest(mac, sealed[SIGNED_HEAD : SIGNED_HEAD + MAC_BYTES]):
        raise ForgedMessage("its signature is not right: it was altered, or belongs to another job")
    return plain


def encrypt(plain: bytes, about: About, cipher: "Cipher", key: int, tenant_key: int, sealed_at: int) -> bytes:
    # Random nonces of 96 bits serve 2^32 texts of one key: see docs/sealing.md on when to rotate.
    nonce = os.urandom(NONCE_BYTES)
    head = b"\x02" + key.to_bytes(2, "big") + sealed_at.to_bytes(6, "big") + tenant_key.to_bytes(4, "big")
    return head + nonce + cipher.encrypt(nonce, plain, head + bound(about))


def decrypt(sealed: bytes, about: About, cipher: "Cipher") -> bytes:
    """Raises ForgedMessage."""
    head, start = sealed[:ENCRYPTED_HEAD], ENCRYPTED_HEAD + NONCE_BYTES
    return cipher.decrypt(sealed[ENCRYPTED_HEAD:start], sealed[start:], head + bound(about))


def bound(about: About) -> bytes:
    """All parts of `about`, each behind its length."""
    first = about[:4]
    parts = _bound.get(first)
    if parts is None:
        if len(_bound) >= MOST_BOUND:
            _bound.clear()
        parts = _bound[first] = b"".join(map(_measured, first))
    return parts + _measured(about.job_id)


def _measured(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"%b%b" % (_LENGTH(len(data)), data)


_LENGTH = struct.Struct(">I").pack
