"""What is sealed opens for what it belongs to, with its key, unchanged; and for nothing else."""

import hashlib
import hmac
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from database.engine import make_engine
from database.tenant_keys import StoredTenantKeys
from jobs.errors import ForgedMessage, KeyMissing
from jobs.sealing import About
from middleware.sealing import FleetSeal, Keyring, TenantKeys
from middleware.sealing.envelope import ENCRYPTED_HEAD, NONCE_BYTES, bound
from middleware.sealing.signing import Signer, derived

KINDS = ("payload", "result", "progress", "log", "step", "blob", "audit")
ABOUT = About("payload", "acme", "mailbox_sync", "mailbox-sync", "7f" * 16)
TEXT = st.text(max_size=12)
ABOUTS = st.builds(About, st.sampled_from(KINDS), TEXT, TEXT, TEXT, TEXT)


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> FleetSeal:
    return a_seal(tmp_path_factory.mktemp("sealing"), {1: os.urandom(32)})


def a_seal(home: Path, keys: dict[int, bytes]) -> FleetSeal:
    stored = StoredTenantKeys(make_engine(f"sqlite:///{home / 'callboard.db'}"))
    ring = Keyring(keys, None, home / "keys.json")
    return FleetSeal(ring, TenantKeys(ring, lambda: stored))


@pytest.mark.parametrize("secret", [False, True])
@given(plain=st.binary(max_size=300), about=ABOUTS)
@with_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_closed_opens_again(seal: FleetSeal, secret: bool, plain: bytes, about: About) -> None:
    opened = seal.open(seal.close(plain, about, secret=secret, sealed_at=1_790_000_000_123), about)

    assert opened[:3] == (plain, 1_790_000_000_123, secret or about.kind == "blob")


def test_a_note_needs_no_version_of_the_fleets_key_so_that_a_rotation_leaves_it(seal: FleetSeal) -> None:
    for kind in KINDS:
        about = ABOUT._replace(kind=kind)  # type: ignore[arg-type]
        assert seal.open(seal.close(b"x", about, secret=True), about).key == int(kind == "payload")


@pytest.mark.parametrize("secret", [False, True])
def test_every_flipped_bit_is_found(seal: FleetSeal, secret: bool) -> None:
    sealed = seal.close(b'[[],{"n":1},{},0]', ABOUT, secret=secret)

    for bit in range(8 * len(sealed)):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        # A flip in the number of a key names a key that is not there: it is not opened either.
        with pytest.raises((ForgedMessage, KeyMissing)):
            seal.open(bytes(altered), ABOUT)


@pytest.mark.parametrize("secret", [False, True])
def test_every_shortened_text_is_refused(seal: FleetSeal, secret: bool) -> None:
    sealed = seal.close(b"0123456789", ABOUT, secret=secret)

    for length in range(len(sealed)):
        with pytest.raises(ForgedMessage):
            seal.open(sealed[:length], ABOUT)
    with pytest.raises(ForgedMessage):
        seal.open(sealed + b"\0", ABOUT)


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("field", About._fields)
def test_it_opens_for_no_other_kind_tenant_actor_queue_or_job(
    seal: FleetSeal, field: str, secret: bool
) -> None:
    sealed = seal.close(b"{}", ABOUT, secret=secret)
    other = ABOUT._replace(**{field: "audit" if field == "kind" else "other"})

    with pytest.raises((ForgedMessage, KeyMissing)):
        seal.open(sealed, other)


@given(one=ABOUTS, two=ABOUTS)
def test_no_two_owners_are_alike_by_concatenation(one: About, two: About) -> None:
    assert (bound(one) == bound(two)) == (one == two)


def test_letters_that_move_from_one_part_to_the_next_make_another_owner() -> None:
    assert bound(About("log", "ab", "c", "", "x")) != bound(About("log", "a", "bc", "", "x"))


def test_no_nonce_comes_twice(seal: FleetSeal) -> None:
    nonces = {
        seal.close(b"the same", ABOUT, secret=True)[ENCRYPTED_HEAD : ENCRYPTED_HEAD + NONCE_BYTES]
        for _ in range(5_000)
    }

    assert len(nonces) == 5_000


def test_an_encrypted_text_shows_nothing_and_has_another_form_each_time(seal: FleetSeal) -> None:
    one, two = (seal.close(b"4111-1111", ABOUT, secret=True) for _ in range(2))

    assert b"4111" not in one
    assert one != two


def test_another_fleet_opens_nothing(seal: FleetSeal, tmp_path: Path) -> None:
    other = a_seal(tmp_path, {1: os.urandom(32)})

    for secret in (False, True):
        with pytest.raises((ForgedMessage, KeyMissing)):
            other.open(seal.close(b"{}", ABOUT, secret=secret), ABOUT)


def test_what_needs_a_key_that_is_not_here_is_not_called_forged(tmp_path: Path) -> None:
    first, second = os.urandom(32), os.urandom(32)
    new, old = a_seal(tmp_path, {1: first, 2: second}), a_seal(tmp_path, {1: first})

    for secret in (False, True):
        sealed = new.close(b"{}", ABOUT, secret=secret)
        assert new.open(sealed, ABOUT).key == 2
        with pytest.raises(KeyMissing, match="Key 2 of the fleet is not here"):
            old.open(sealed, ABOUT)


def test_a_digest_tells_tenants_and_purposes_apart_and_stays_through_a_rotation(tmp_path: Path) -> None:
    keys = {1: os.urandom(32)}
    before, after = a_seal(tmp_path, keys), a_seal(tmp_path, {**keys, 2: os.urandom(32)})
    digest = before.digest(b"a7", "acme", "unique")

    assert digest == after.digest(b"a7", "acme", "unique")
    assert digest not in {before.digest(b"a7", "globex", "unique"), before.digest(b"a7", "acme", "inputs")}
    assert digest != hashlib.sha256(b"a7").hexdigest()[:32]


def test_signatures_and_derived_keys_are_those_of_the_standards() -> None:
    key, parts = bytes(range(32)), (b"callboard", b"payload", b"acme", (3).to_bytes(2, "big"))
    info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    assert Signer(1, key).mac(b"text") == hmac.digest(key, b"text", "sha256")
    assert derived(key, "payload", "acme", 3) == HKDF(hashes.SHA256(), 32, None, info).derive(key)


def test_signatures_are_compared_in_constant_time(seal: FleetSeal, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((one, two))
        return hmac.compare_digest(one, two)

    monkeypatch.setattr("middleware.sealing.envelope.compare_digest", compare)
    seal.open(seal.close(b"{}", ABOUT, secret=False), ABOUT)

    assert [len(one) for one, _ in compared] == [16]
