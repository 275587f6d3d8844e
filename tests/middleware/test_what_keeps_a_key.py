"""A version of the fleet's key is not given up while anything may need it."""

from typing import Annotated

import pytest
from sqlalchemy import delete

from actors.composition import App
from actors.declare import actor
from control.service.errors import NotPossible
from control.service.keys import KeyActions
from database.engine import write_session
from database.errors import DatabaseUnavailable
from database.models import TenantKey
from jobs.errors import KeyMissing, KeyUnavailable
from jobs.marks import Secret
from jobs.model import NewJob
from jobs.sealing import About
from middleware.sealing.ring_file import Ring, new_key, read_ring, write_ring


@pytest.fixture
def keys(real_app: App) -> KeyActions:
    return KeyActions(real_app, "ada")


def test_a_key_is_kept_while_the_database_of_the_tenants_does_not_answer(
    real_app: App, keys: KeyActions, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = a_secret(real_app)
    take_into_use(real_app, 2)
    for _ in real_app.sealing.tenants.rewrap():
        pass
    with monkeypatch.context() as away:
        away.setattr("database.tenant_keys.StoredTenantKeys.get", no_database)
        real_app.sealing.tenants.forget("acme")
        with pytest.raises(KeyUnavailable):
            keys.retire(1)
        with pytest.raises(KeyUnavailable):
            keys.versions(count=True)
        with pytest.raises(KeyUnavailable):
            list(keys.reseal())

    assert [one.number for one in keys.versions()] == [1, 2]
    assert real_app.broker.decode(real_app.store.get(job_id)).args == ("x",)


def test_a_key_is_kept_while_a_job_of_a_queue_needs_it_that_no_actor_here_has(
    real_app: App, keys: KeyActions
) -> None:
    about = About("payload", "", "dropped", "of-the-last-release", "one")
    payload = real_app.sealing.seal.close(b'[["x"],{},{},1]', about, secret=False)
    real_app.store.enqueue([NewJob("one", about.queue, about.actor, payload, delay_ms=60_000)])
    take_into_use(real_app, 2)

    with pytest.raises(NotPossible, match="1 payloads or tenants' keys need key 1"):
        keys.retire(1)

    assert sum(chunk.done for chunk in keys.reseal()) == 1
    keys.retire(1)
    assert real_app.broker.decode(real_app.store.get("one")).args == ("x",)


def test_a_key_is_kept_while_the_database_lacks_the_key_of_a_tenant_that_has_jobs(
    real_app: App, keys: KeyActions
) -> None:
    job_id = a_secret(real_app)
    take_into_use(real_app, 2)
    with write_session(real_app.engine()) as session:
        session.execute(delete(TenantKey))
    real_app.sealing.tenants.forget("acme")

    with pytest.raises(KeyMissing, match="see that DATABASE_URL names the fleet's"):
        keys.retire(1)
    real_app.store.remove([job_id])
    keys.retire(1)


def test_what_was_shredded_or_forged_keeps_no_key(real_app: App, keys: KeyActions) -> None:
    a_secret(real_app)
    real_app.store.enqueue([NewJob("forged", "q", "a", b"\x01\x00\x01" + bytes(40), delay_ms=60_000)])
    real_app.store.enqueue([NewJob("unknown", "q", "a", b"\x01\x00\x09" + bytes(40), delay_ms=60_000)])
    keys.shred("acme", "acme")
    take_into_use(real_app, 2)

    assert [(one.looked, one.done, one.unreadable) for one in keys.reseal()] == [(3, 0, 3)]
    keys.retire(1)
    assert [one.number for one in keys.versions()] == [2]


def a_secret(app: App) -> str:
    """A job that waits, encrypted with key 1; its id."""

    @actor(queue="secrets")
    def hold(value: Annotated[str, Secret]) -> None: ...

    return hold.send_with_options(args=("x",), tenant_id="acme", delay=3_600_000).message_id


def take_into_use(app: App, number: int) -> None:
    """A key that closes from now on, as after a rotation of long ago."""
    ring = read_ring(app.settings.keys_file)
    assert ring is not None
    write_ring(app.settings.keys_file, Ring({**ring.keys, number: new_key()}, number))
    app.sealing.ring.look_again()


def no_database(*_: object) -> None:
    raise DatabaseUnavailable("it is away")
