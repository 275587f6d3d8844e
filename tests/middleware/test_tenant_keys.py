"""A tenant's key: made once, remembered for seconds, shredded for ever."""

import os
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from database.engine import make_engine
from database.errors import DatabaseUnavailable
from database.tenant_keys import StoredTenantKeys
from jobs.errors import KeyMissing, KeyShredded, KeyUnavailable
from jobs.sealing import About
from jobs.wrapped_keys import WrappedKey
from middleware.sealing import FleetSeal, Keyring, TenantKeys
from middleware.sealing.ring_file import make_ring, read_ring, with_new_key, without_key, write_ring
from tests.waiting import eventually

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
    ring = Keyring(keys, current, Path("/nowhere"))
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


class Slow(StoredTenantKeys):
    """The real table, which answers when it may."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.may = threading.Event()
        self.asked = 0

    def get(self, tenant: str) -> WrappedKey | None:
        self.asked += 1
        assert self.may.wait(20)
        return super().get(tenant)


def test_whoever_is_in_a_hurry_waits_for_a_slow_database_once_for_all_tenants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.sealing.tenant_keys.AWAY_S", 60.0)
    monkeypatch.setattr("middleware.sealing.tenant_keys.PATIENCE_S", 1.0)
    stored = Slow(make_engine(f"sqlite:///{tmp_path / 'callboard.db'}"))
    stored.may.set()
    seal = process(stored, {1: os.urandom(32)})
    abouts = [ABOUT._replace(tenant=f"t{number}") for number in range(10)]
    texts = [seal.close(b"x", about, secret=True) for about in abouts]
    for about, text in zip(abouts, texts, strict=True):
        seal.tenants.forget(about.tenant)
        assert seal.open(text, about, in_a_hurry=True).plain == b"x"
        seal.tenants.forget(about.tenant)

    stored.may.clear()
    asked, began = stored.asked, time.monotonic()
    for about, text in zip(abouts, texts, strict=True):
        with pytest.raises(KeyUnavailable, match="slow, or away"):
            seal.open(text, about, in_a_hurry=True)
    assert time.monotonic() - began < 5.0  # ten of them take ten
    assert stored.asked == asked + 1

    stored.may.set()

    def answers() -> bool:
        try:
            return seal.open(texts[5], abouts[5], in_a_hurry=True).plain == b"x"
        except KeyUnavailable:
            return False

    eventually(answers)


def test_whoever_is_in_a_hurry_does_not_ask_a_database_again_at_once_that_was_away(
    stored: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.sealing.tenant_keys.AWAY_S", 60.0)
    seal = process(stored, {1: os.urandom(32)})
    abouts = [ABOUT._replace(tenant=f"t{number}") for number in range(3)]
    texts = [seal.close(b"x", about, secret=True) for about in abouts]
    for about in abouts:
        seal.tenants.forget(about.tenant)
    stored.away = True
    with pytest.raises(KeyUnavailable):
        seal.open(texts[0], abouts[0], in_a_hurry=True)

    stored.away = False
    with pytest.raises(KeyUnavailable):
        seal.open(texts[1], abouts[1], in_a_hurry=True)
    assert seal.open(texts[1], abouts[1]).plain == b"x"  # whoever has the time finds that it is back
    assert seal.open(texts[1], abouts[1], in_a_hurry=True).plain == b"x"


def test_a_secret_that_the_file_still_holds_is_not_said_to_be_shredded(tmp_path: Path) -> None:
    file = tmp_path / "callboard.db"
    engine = make_engine(f"sqlite:///{file}", busy_timeout=0.2)
    stored = Away(engine)
    seal = process(stored, {1: os.urandom(32)})
    seal.close(b"x", ABOUT, secret=True)
    wrapped = stored.get("acme")
    assert wrapped is not None
    assert wrapped.wrapped is not None
    reader = sqlite3.connect(file)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tenant_keys").fetchall()

    with pytest.raises(DatabaseUnavailable, match="'acme' is deleted, but the file of the database still"):
        seal.tenants.shred("acme")
    with pytest.raises(KeyShredded):
        seal.close(b"x", ABOUT, secret=True)
    assert any(wrapped.wrapped in one.read_bytes() for one in tmp_path.iterdir())

    reader.close()
    assert not seal.tenants.shred("acme")  # it was deleted; now it is out of the file too
    assert not any(wrapped.wrapped in one.read_bytes() for one in tmp_path.iterdir())


def test_nothing_of_a_secret_stays_in_a_file_that_others_write_to_and_that_was_rotated(
    tmp_path: Path,
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'callboard.db'}")
    stored, keys = Away(engine), {1: os.urandom(32), 2: os.urandom(32)}
    first, second = process(stored, keys, current=1), process(stored, keys, current=2)
    names = [f"tenant-{os.urandom(4).hex()}" for _ in range(200)]
    for name in names:
        first.close(b"x", ABOUT._replace(tenant=name), secret=True)
    before = [wrapped_of(stored, name) for name in names]
    for _ in second.tenants.rewrap():
        pass
    after = [wrapped_of(stored, name) for name in names]

    for name in names[::20]:
        second.tenants.shred(name)

    text = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert [number for number in range(0, 200, 20) if before[number] in text or after[number] in text] == []
    assert all(one in text for number, one in enumerate(after) if number % 20)


def wrapped_of(stored: StoredTenantKeys, tenant: str) -> bytes:
    key = stored.get(tenant)
    assert key is not None
    assert key.wrapped is not None
    return key.wrapped
