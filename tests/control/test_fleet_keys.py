"""`callboard keys` and its routes: keys are made, rotated, given up; tenants shredded; all is noted."""

import httpx2
import pytest

from actors.composition import App
from control.service import AuditReports
from control.service.errors import NotConfirmed, NotPossible
from control.service.keys import KeyActions
from jobs.errors import KeyShredded
from jobs.sealing import About
from middleware.sealing.ring_file import Ring, new_key, read_ring, write_ring
from settings import Settings, key_bytes
from tests.control.running import callboard, refused
from tests.sealed import KEYS, give_keys

ABOUT = About("result", "acme", "sync", "sync", "one")


@pytest.fixture
def keyed(ruled: App) -> App:
    """An application with a database and a file of keys; its jobs are in memory."""
    give_keys(ruled.settings.home)
    return ruled


@pytest.fixture
def keys(keyed: App) -> KeyActions:
    return KeyActions(keyed, "ada")


def test_a_new_key_opens_at_once_and_closes_when_every_process_has_read_it(keyed, keys):
    added = keys.add()

    assert (added.number, added.closes) == (2, False)
    assert [(one.number, one.closes) for one in keys.versions()] == [(1, True), (2, False)]
    ring = read_ring(keyed.settings.keys_file)
    assert ring is not None
    assert ring.closing(added.used_from - 0.1) == 1
    assert ring.closing(added.used_from) == 2
    with pytest.raises(NotPossible, match="Key 2 is in use"):
        keys.retire(2)


def test_keys_of_the_settings_are_not_rotated_by_a_command_which_says_how(ruled):
    keys = KeyActions(App(Settings(home=ruled.settings.home, keys=KEYS), ruled.store), "ada")

    with pytest.raises(NotPossible, match="put a new key into"):
        keys.add()


def test_a_tenant_is_shredded_only_when_it_is_named_twice_and_that_is_noted(keyed, keys):
    seal = keyed.sealing.seal
    sealed = seal.close(b"x", ABOUT, secret=True)
    with pytest.raises(NotConfirmed):
        keys.shred("acme", "acne")
    assert seal.open(sealed, ABOUT).plain == b"x"

    assert keys.shred("acme", "acme")
    with pytest.raises(KeyShredded):
        seal.open(sealed, ABOUT)
    assert keys.restore("acme")

    acts = AuditReports(keyed, "ada").actions()
    assert [(act.operator, act.action, act.tenant_id, act.count) for act in acts] == [
        ("ada", "keys.restore", "acme", 1),
        ("ada", "keys.shred", "acme", 1),
    ]


def test_over_http_keys_are_listed_rotated_and_shredded_and_none_is_sent(
    served: tuple[App, httpx2.Client],
):
    app, client = served
    give_keys(app.settings.home)
    app.sealing.ring.look_again()
    sealed = app.sealing.seal.close(b"x", ABOUT, secret=True)

    listed = client.get("/api/v1/keys")
    rotated = client.post("/api/v1/keys/rotate")
    refused = client.post("/api/v1/keys/shred", json={"tenantId": "acme", "confirm": "no"})
    shredded = client.post("/api/v1/keys/shred", json={"tenantId": "acme", "confirm": "acme"})

    assert (listed.status_code, [one["number"] for one in listed.json()]) == (200, [1])
    assert rotated.json()["number"] == 2
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "not_confirmed")
    assert shredded.json() == {"shredded": True}
    with pytest.raises(KeyShredded):
        app.sealing.seal.open(sealed, ABOUT)
    assert "cbk_" not in listed.text + rotated.text

    restored = client.post("/api/v1/keys/restore", json={"tenantId": "acme"})
    again = client.post("/api/v1/keys/restore", json={"tenantId": "acme"})
    assert (restored.json(), again.json()) == ({"restored": True}, {"restored": False})
    assert app.sealing.seal.close(b"x", ABOUT, secret=True)


def test_over_http_an_old_key_is_brought_over_and_given_up(served: tuple[App, httpx2.Client]):
    app, client = served
    file = app.settings.keys_file
    give_keys(app.settings.home)
    app.sealing.ring.look_again()
    app.sealing.seal.close(b"x", ABOUT, secret=True)
    ring = read_ring(file)
    assert ring is not None
    write_ring(file, Ring({**ring.keys, 2: new_key()}, 2))
    app.sealing.ring.look_again()

    early = client.post("/api/v1/keys/retire", json={"number": 1})
    resealed = client.post("/api/v1/keys/reseal")
    retired = client.post("/api/v1/keys/retire", json={"number": 1})

    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_possible")
    assert (resealed.status_code, resealed.json()["done"]) == (200, 1)
    assert [one["number"] for one in retired.json()] == [2]
    assert "cbk_" not in early.text + resealed.text + retired.text


def test_the_command_makes_a_key_and_names_what_is_missing_without_one(env, joined):
    made = callboard(env, "keys", "new")
    assert key_bytes(made.stdout.strip()) is not None

    without = {name: value for name, value in joined.items() if "KEYS" not in name}
    said = refused(callboard(without, "jobs", "add", "email_sync", "user_id=u1", "account_id=a1"))
    assert "run `callboard keys new` once" in said
    assert "there is no file to take 1 away from" in refused(callboard(joined, "keys", "retire", "1"))
    listed = callboard(joined, "keys", "list")
    assert "closes" in listed.stdout
    assert "cbk_" not in listed.stdout
