"""The fleet's key is rotated while two worker processes are at work: nothing stops, nothing is lost."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from actors.composition import App
from control.service.errors import NotPossible
from control.service.keys import KeyActions
from middleware.sealing.envelope import head_of
from middleware.sealing.ring_file import read_ring, write_ring
from settings import Settings
from tests.faults.fleet import Fleet

pytestmark = pytest.mark.faults


def test_a_rotation_under_load_loses_nothing_and_ends_with_nothing_of_the_old_key(
    fleet: Fleet, engine: Engine, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.service.keys.USED_AFTER_S", 0.5)
    app = operator(fleet, namespace, tmp_path)
    keys = KeyActions(app, "test")
    fleet.start_two()
    resting = fleet.send("quick", range(10_000, 10_200), delay_ms=3_600_000)
    stop = threading.Event()

    def load() -> None:
        for first in range(0, 3_000, 50):
            fleet.send("quick", range(first, first + 50))
            if stop.wait(0.02):
                return

    sender = threading.Thread(target=load)
    sender.start()
    assert keys.add().number == 2
    done = 0
    while not done:  # until the new version is used
        done = sum(chunk.done for chunk in keys.reseal())
    sender.join()

    assert {head_of(fleet.job(job_id).payload).key for job_id in resting} == {2}
    fleet.remove(resting[100:])
    fleet.store.promote(resting[:100])
    fleet.balance()
    for _ in keys.reseal():
        pass
    assert {head_of(job.payload).key for job in fleet.jobs().values()} == {2}
    with pytest.raises(NotPossible, match="messages that were closed before may still arrive"):
        keys.retire(1)
    ten_minutes_pass(app)
    keys.retire(1)
    assert [version.number for version in keys.versions()] == [2]
    assert "forged" not in fleet.log().lower()
    app.broker.close()
    app.engine().dispose()


def test_a_key_that_something_needs_is_not_given_up(
    fleet: Fleet, engine: Engine, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.service.keys.USED_AFTER_S", -1.0)
    app = operator(fleet, namespace, tmp_path)
    keys = KeyActions(app, "test")
    fleet.send("quick", range(3), delay_ms=3_600_000)
    with pytest.raises(NotPossible, match="in use"):
        keys.retire(1)
    keys.add()
    ten_minutes_pass(app)
    with pytest.raises(NotPossible, match="3 payloads or tenants' keys need key 1"):
        keys.retire(1)
    for _ in keys.reseal():
        pass

    keys.retire(1)

    assert [version.number for version in keys.versions()] == [2]
    app.broker.close()
    app.engine().dispose()


def ten_minutes_pass(app: App) -> None:
    """Since the new key is in use."""
    ring = read_ring(app.settings.keys_file)
    assert ring is not None
    write_ring(app.settings.keys_file, replace(ring, following_at=ring.following_at - 600))
    app.sealing.ring.look_again()


def operator(fleet: Fleet, namespace: str, home: Path) -> App:
    return App(
        Settings(
            home=home, redis={"url": fleet.url(), "namespace": namespace}, queues={"quick": {}, "slow": {}}
        )
    )
