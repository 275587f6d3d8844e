"""What can go wrong with a mail server, and whether trying again would help."""

import socket
from pathlib import Path
from typing import Any

import pytest

from control.demo.peers.mail import write_maildir
from integrations.errors import PermanentFailure, TransientFailure
from integrations.imap import ImapAccount, sync
from tests.integrations.peers import CERTIFICATE, MailServer, mail_server, scripted
from tests.ports import free_port


def account(port: int, **changes: Any) -> ImapAccount:
    values: dict[str, Any] = {"username": "demo", "password": "secret", "tls": "none", "timeout_seconds": 30}
    return ImapAccount(host="127.0.0.1", port=port, **(values | changes))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "wrong"}, "refused the login of demo: check user, password and tls"),
        ({"password": "żółw"}, "refused the login of demo"),
        ({"folder": "Nowhere"}, "has no folder 'Nowhere'"),
        ({"tls": "tls"}, "does not speak TLS on this port"),
        ({"tls": "starttls"}, "offers no STARTTLS"),
        ({"folder": "INBOX\r\nA1 DELETE INBOX"}, "folder is empty or holds a control character"),
        ({"port": 0}, "port or timeout_seconds is out of range"),
        ({"ca_file": "/nowhere/ca.pem", "tls": "tls"}, "ca_file '/nowhere/ca.pem' of the mail account"),
    ],
)
def test_what_only_a_person_can_mend_is_permanent(
    large_mailbox: MailServer, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PermanentFailure) as failure:
        list(sync(large_mailbox.with_(**change)))
    assert sentence in str(failure.value)
    assert large_mailbox.account.password not in str(failure.value)


def test_a_server_that_is_not_there_is_transient() -> None:
    with pytest.raises(TransientFailure, match="cannot be reached: Connection refused"):
        list(sync(account(free_port())))


def test_a_server_that_never_answers_is_transient_within_the_time_limit() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(TransientFailure, match=r"did not answer within 0\.2 s"),
    ):
        list(sync(account(silent.getsockname()[1], timeout_seconds=0.2)))


@pytest.mark.parametrize(
    "script",
    [
        (b"* BYE overloaded",),
        (b"* OK ready", b"* CAPABILITY IMAP4rev1\r\n%s OK", b"%s NO [UNAVAILABLE] try later"),
        (b"* OK ready", b"* CAPABILITY IMAP4rev1\r\n%s OK", b"%s OK in", b"%s NO [INUSE] locked"),
        (b"* OK ready", b"* CAPABILITY IMAP4rev1\r\n%s OK", b"%s OK in"),  # hangs up in the middle
    ],
    ids=["turned away", "login while busy", "folder in use", "hung up"],
)
def test_a_busy_or_breaking_server_is_transient(script: tuple[bytes, ...]) -> None:
    with scripted(*script) as port, pytest.raises(TransientFailure):
        list(sync(account(port)))


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_tls_checks_the_certificate_against_the_authority_and_the_host(tls: str, tmp_path: Path) -> None:
    write_maildir(tmp_path / "mail", count=3)
    certificate = str(CERTIFICATE)
    server_options = ["--cert", certificate, "--key", certificate, *(["--tls"] if tls == "tls" else [])]
    with mail_server(
        tmp_path / "mail", *server_options, host="localhost", tls=tls, ca_file=certificate
    ) as server:
        [batch] = sync(server.account)
        assert len(batch.messages) == 3

        with pytest.raises(PermanentFailure, match="certificate that is not trusted"):
            list(sync(server.with_(ca_file=None)))
        with pytest.raises(PermanentFailure, match="certificate that is not trusted"):
            list(sync(server.with_(host="127.0.0.1")))


def test_a_password_is_never_in_the_accounts_repr() -> None:
    assert "secret" not in repr(account(143))
