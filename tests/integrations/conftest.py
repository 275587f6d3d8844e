"""Fixtures of the integrations' tests: a mailbox with everything in it, and small ones to change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.demo.peers.mail import write_maildir
from tests.integrations.peers import MailServer, mail_server


@pytest.fixture(scope="session")
def large_mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """210 mails: every kind, and each of the fifteen broken ones. Read it only."""
    maildir = tmp_path_factory.mktemp("mail") / "large"
    write_maildir(maildir, count=210)
    with mail_server(maildir) as server:
        yield server


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[MailServer]:
    """Ten mails of one's own."""
    write_maildir(tmp_path / "mail", count=10)
    with mail_server(tmp_path / "mail") as server:
        yield server
