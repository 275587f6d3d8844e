"""A tenant's key: made once, remembered for seconds, shredded for ever."""

import os
import stat
from pathlib import Path

import pytest

from database.engine import make_engine
from database.errors import DatabaseUnavailable
from database.tenant_keys import StoredTenantKeys
from jobs.errors import KeyMissing, KeyShredded, KeyUnavailable
from jobs.sealing import About
from jobs.wrapped_keys import WrappedKey
from middleware.sealing import FleetSeal, Keyring, TenantKeys
from middleware.sealing.ring_file import make_ring, read_ring, with_new_key, without_key, write_ring

ABOUT = About("payload", "acme", "sync", "sync", "one")
NOTE = ABOUT._replace(kind="result")


class Away(StoredTenantKeys):
    """The real table, which may be out of reach."""

    away = False

    def get(self, tenant: str) -> WrappedKey | None:
        if self.away:
            raise DatabaseUnavailable("The database is away.")
        return super().get(tenant)


@pytest.fixture
def stored(tmp_path: Path) -> Away:
    return Away(make_engine(f"sqlite:///{tmp_path / 'callboard.db'}"))


def process(
    stored: Away, keys: dict[int, bytes], cache_s: float = 60.0, current: int | None = None
) -> FleetSeal:
    ring = Keyring(keys, None, Path("/nowhere"))
    return FleetSeal(ring, TenantKeys(ring, lambda: stored, cache_s))


def test_two_processes_that_make_a_tenants_first_key_have_one(stored: Away) -> None:
    keys = {1: os.urandom(32)}
    one, two = process(stored, keys), process(stored, keys)

    assert two.open(one.close(b"x", ABOUT, secret=True), ABOUT).plain == b"x"
    assert one.open(two.close(b"y", ABOUT, secret=True), ABOUT).plain == b"y"


def test_a_shredded_tenant_is_neither_read_nor_written_and_others_are(stored: Away, tmp_path: Path) -> None:
    seal = process(stored, {1: os.urandom(32)})
    sealed, note = (seal.close(b"x", about, secret=True) for about in (ABOUT, NOTE))
    wrapped = stored.get("acme")
    assert wrapped is not None
    assert wrapped.wrapped is not None

    assert seal.tenants.shred("acme")

    for about, text in ((ABOUT, sealed), (NOTE, note)):
        with pytest.raises(KeyShredded):
            seal.open(text, about)
    with pytest.raises(KeyShredded, match="callboard keys restore"):
        seal.close(b"x", ABOUT, secret=True)
    assert seal.close(b"x", ABOUT._replace(tenant="globex"), secret=True)
    # Nor can whoever has the files and the fleet's key find the tenant's.
    assert not any(wrapped.wrapped in file.read_bytes() for file in tmp_path.iterdir())


def test_a_restored_tenant_gets_a_new_key_that_opens_nothing_old(stored: Away) -> None:
    seal = process(stored, {1: os.urandom(32)})
    sealed = seal.close(b"x", ABOUT, secret=True)
    assert not seal.tenants.restore("acme")  # it was not shredded
    seal.tenants.shred("acme")

    assert seal.tenants.restore("acme")

    assert seal.open(seal.close(b"new", ABOUT, secret=True), ABOUT).plain == b"new"
    with pytest.raises(KeyShredded):
        seal.open(sealed, ABOUT)


def test_another_process_forgets_a_shredded_key_when_its_memory_ends(stored: Away) -> None:
    keys = {1: os.urandom(32)}
    here, there = process(stored, keys), process(stored, keys, cache_s=0.0)
    sealed = there.close(b"x", ABOUT, secret=True)
    here.tenants.shred("acme")

    with pytest.raises(KeyShredded):
        there.open(sealed, ABOUT)


def test_while_the_database_is_away_known_tenants_go_on_and_new_ones_wait(stored: Away) -> None:
    seal = process(stored, {1: os.urandom(32)}, cache_s=0.0)
    sealed = seal.close(b"x", ABOUT, secret=True)
    stored.away = True

    assert seal.open(sealed, ABOUT).plain == b"x"
    with pytest.raises(KeyUnavailable):
        seal.close(b"x", ABOUT._replace(tenant="globex"), secret=True)
    assert seal.close(b"x", ABOUT, secret=False)  # a signature needs no database


def test_a_key_that_was_moved_to_another_tenant_in_the_table_does_not_open(stored: Away) -> None:
    seal = process(stored, {1: os.urandom(32)})
    seal.close(b"x", ABOUT, secret=True)
    acme = stored.get("acme")
    assert acme is not None
    stored.add(acme._replace(tenant="globex"))

    with pytest.raises(KeyMissing, match="was altered"):
        seal.close(b"x", ABOUT._replace(tenant="globex"), secret=True)


def test_wrapped_anew_notes_open_without_the_old_key_and_payloads_do_not(stored: Away) -> None:
    old, new = os.urandom(32), os.urandom(32)
    before = process(stored, {1: old})
    payload, note = (before.close(b"x", about, secret=True) for about in (ABOUT, NOTE))
    rotated = process(stored, {1: old, 2: new})

    assert sum(rotated.tenants.rewrap()) == 1
    assert (stored.wrapped_with(1), stored.wrapped_with(2)) == (0, 1)

    after = process(stored, {2: new})
    assert after.open(note, NOTE).plain == b"x"
    with pytest.raises(KeyMissing, match="Key 1 of the fleet"):
        after.open(payload, ABOUT)


def test_the_file_of_keys_is_private_made_once_and_read_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.sealing.keyring.LOOK_SOONER_S", 0.0)
    file = tmp_path / "home" / "keys.json"
    assert (make_ring(file), make_ring(file)) == (True, False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ring = Keyring({}, None, file)
    assert ring.closing().number == 1
    first = read_ring(file)
    assert first is not None

    later = with_new_key(first, 3_600)  # known to all now, used in an hour
    write_ring(file, later)
    assert sorted(ring.ring().keys) == [1, 2]
    assert ring.closing().number == 1
    write_ring(file, without_key(with_new_key(first, -1), 1))
    assert (sorted(ring.ring().keys), ring.closing().number) == ([2], 2)
    with pytest.raises(KeyMissing):
        ring.key(1)


def test_a_file_that_others_may_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    make_ring(file)
    file.chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod 600"):
        read_ring(file)
    file.chmod(0o600)
    file.write_text('{"current": 3, "keys": {}}')
    with pytest.raises(KeyMissing, match="damaged"):
        read_ring(file)


@pytest.mark.parametrize(
    ("shared", "advice"), [(True, "callboard keys new"), (False, "the first start of `callboard up`")]
)
def test_without_a_key_one_sentence_says_what_to_do(tmp_path: Path, shared: bool, advice: str) -> None:
    with pytest.raises(KeyMissing, match=advice):
        Keyring({}, None, tmp_path / "keys.json", lambda: shared).closing()
