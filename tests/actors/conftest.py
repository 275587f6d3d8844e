"""The actors of the house on settings of the test's own; jobs in memory, everything else real."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import actors
from actors.composition import App
from actors.sealing import Sealing
from broker.testing import FakeJobs, fake
from control.demo.peers.mail import write_maildir
from control.demo.peers.webhook_receiver import Receiver
from settings import Settings
from tests.fundamentals.stage import home
from tests.integrations.peers import MailServer, mail_server

__all__ = ["home"]

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="

SetUp = Callable[..., App]


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[SetUp]:
    """Give the house's application other settings: `set_up(mailboxes={…})`."""
    app = actors.app
    for name, value in {"settings": Settings(home=home), "_rules": {}, "_engine": None}.items():
        monkeypatch.setattr(app, name, value)
    monkeypatch.setattr("dramatiq.broker.global_broker", app.broker)
    sealing = Sealing(app.settings, app.engine)
    monkeypatch.setattr(app, "sealing", sealing)
    monkeypatch.setattr(app.broker.codec, "seal", sealing.seal)

    def change(**settings: Any) -> App:
        app.settings = Settings(home=home, **settings)
        app._rules.clear()
        return app

    yield change
    app.engine().dispose()


@pytest.fixture
def house(set_up: SetUp) -> App:
    return set_up()


@pytest.fixture
def jobs(house: App) -> Iterator[FakeJobs]:
    with fake(house.broker) as jobs:
        yield jobs


@pytest.fixture(scope="package")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A mailbox of 120 mails. Read it only."""
    maildir = tmp_path_factory.mktemp("mail") / "inbox"
    write_maildir(maildir, count=120)
    with mail_server(maildir) as server:
        yield server


def as_settings(server: MailServer, **changes: Any) -> dict[str, Any]:
    """A mailbox as the settings describe it."""
    account = server.account
    described = {
        "host": account.host,
        "port": account.port,
        "username": account.username,
        "password": account.password,
        "tls": "none",
    }
    return described | changes


@contextmanager
def receiving(failures: int = 0) -> Iterator[tuple[Receiver, str]]:
    """A webhook receiver that answers 503 to the first `failures` deliveries of an id; its URL."""
    receiver = Receiver(SECRET, failures=failures)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver, f"http://127.0.0.1:{receiver.server_address[1]}"
    finally:
        receiver.shutdown()
        thread.join(10)
        receiver.server_close()


def endpoint(url: str, **changes: Any) -> dict[str, Any]:
    """A webhook endpoint as the settings describe it."""
    return {"url": url, "secret": SECRET, "allow_private": True} | changes


def from_json(text: bytes | None) -> Any:
    return json.loads(text or b"null")
