"""The outside world on loopback: real servers in processes of their own, and one that follows a script."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from integrations.imap import ImapAccount

ROOT = Path(__file__).parents[2]
CERTIFICATE = Path(__file__).parent / "certificates" / "localhost.pem"


@contextmanager
def running(module: str, *arguments: str, **environment: str) -> Iterator[dict[str, Any]]:
    """Run a peer until the block ends; what it said of itself when it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0, "the peer did not end in order on SIGTERM"


@dataclass(frozen=True)
class MailServer:
    account: ImapAccount
    maildir: Path

    def with_(self, **changes: Any) -> ImapAccount:
        return replace(self.account, **changes)

    def receive(self, message: bytes, name: str) -> None:
        """Let a mail arrive, as a delivery agent does."""
        (self.maildir / "new" / name).write_bytes(message)


@contextmanager
def mail_server(
    maildir: Path, *arguments: str, host: str = "127.0.0.1", **account: Any
) -> Iterator[MailServer]:
    """pymap over `maildir`."""
    password = "correct horse battery"
    module = "control.demo.peers.imap_server"
    with running(
        module, "--maildir", str(maildir), *arguments, CALLBOARD_DEMO_IMAP_PASSWORD=password
    ) as ready:
        options = {"tls": "none", "timeout_seconds": 30.0} | account
        yield MailServer(ImapAccount(host, ready["port"], ready["username"], password, **options), maildir)


@contextmanager
def scripted(*lines: bytes) -> Iterator[int]:
    """A server that sends one of `lines` at once and one after each line it gets, then hangs up; its port.

    In a line, %s stands for the tag of the command it answers.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            # The client may hang up before the script is over.
            with suppress(ConnectionError), connection, connection.makefile("rwb") as stream:
                tag = b"*"
                for line in lines:
                    stream.write(line.replace(b"%s", tag) + b"\r\n")
                    stream.flush()
                    tag = stream.readline().split(b" ")[0]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(30)
