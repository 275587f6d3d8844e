"""The demo's mailbox and servers: the same for everyone, and clear about what they lack."""

import socket
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest

from control.demo.peers.mail import messages, write_maildir
from control.demo.peers.mail_broken import BROKEN
from tests.integrations.peers import ROOT

IMAP, RECEIVER = "control.demo.peers.imap_server", "control.demo.peers.webhook_receiver"


def test_the_mailbox_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert messages(count=120, seed=1) == messages(count=120, seed=1)
    assert messages(count=120, seed=1) != messages(count=120, seed=2)


def test_the_mailbox_has_long_threads_lists_bounces_attachments_and_every_broken_kind() -> None:
    found = [message_from_bytes(message) for message in messages()]

    assert len(found) == 400
    assert max(len(str(mail.get("References", "")).split()) for mail in found) > 15
    types = {mail.get_content_type() for mail in found}
    assert {"text/plain", "multipart/alternative", "multipart/mixed", "multipart/report"} <= types
    encodings = {part.get("Content-Transfer-Encoding") for mail in found for part in mail.walk()}
    assert {"base64", "quoted-printable", "8bit"} <= encodings
    assert any(mail["List-Id"] for mail in found)
    assert len(BROKEN) <= 400 // 14


def test_a_maildir_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    write_maildir(tmp_path / "mail", count=3)
    with pytest.raises(FileExistsError):
        write_maildir(tmp_path / "mail", count=3)


@pytest.mark.parametrize(
    ("module", "arguments", "stdin", "sentence"),
    [
        (IMAP, ["--maildir", "."], "", "Give the password in CALLBOARD_DEMO_IMAP_PASSWORD or on stdin."),
        (IMAP, ["--maildir", "tests"], "pw\n", "tests is no Maildir"),
        (RECEIVER, [], "", "Give the secret in CALLBOARD_DEMO_WEBHOOK_SECRET or on stdin."),
    ],
)
def test_a_peer_that_cannot_start_says_why(
    module: str, arguments: list[str], stdin: str, sentence: str
) -> None:
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True)

    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    write_maildir(tmp_path / "mail", count=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (
            [sys.executable, "-m", IMAP, "--maildir", str(tmp_path / "mail"), "--port", port],
            [sys.executable, "-m", RECEIVER, "--port", port],
        ):
            ended = subprocess.run(
                command, cwd=ROOT, input="whsec_c2VjcmV0\n", capture_output=True, text=True
            )
            assert (ended.returncode, ended.stderr) == (
                2,
                f"Port {port} cannot be used: Address already in use.\n",
            )
