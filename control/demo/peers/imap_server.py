"""A real IMAP server (pymap) over one Maildir, on loopback.

    CALLBOARD_DEMO_IMAP_PASSWORD=... python -m control.demo.peers.imap_server --maildir mail --port 0

The password comes by that variable, or as the first line of stdin. When ready it prints one line,
{"port": 40143, "username": "demo"}; it ends on SIGTERM. With --cert and --key it offers STARTTLS,
with --tls as well it speaks TLS from the first byte.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

PASSWORD_VARIABLE = "CALLBOARD_DEMO_IMAP_PASSWORD"  # noqa: S105 - the variable's name
USERNAME = "demo"
_STATE = "callboard-imap-"


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; exit code 2 with a sentence if it cannot start."""
    options = _options(argv)
    password = os.environ.pop(PASSWORD_VARIABLE, "") or sys.stdin.readline().strip()
    if not password:
        print(f"Give the password in {PASSWORD_VARIABLE} or on stdin.", file=sys.stderr)  # noqa: T201
        return 2
    if not (options.maildir / "cur").is_dir():
        print(f"{options.maildir} is no Maildir (it has no folder cur).", file=sys.stderr)  # noqa: T201
        return 2
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        print(f"Port {options.port} cannot be used: {os.strerror(error.errno or 0)}.", file=sys.stderr)  # noqa: T201
        return 2
    # pymap writes its UID list in the temporary folder and renames it over the old one, which works
    # within one file system only; a Maildir's own tmp is on the right one.
    (options.maildir / "tmp").mkdir(exist_ok=True)
    tempfile.tempdir = str(options.maildir / "tmp")
    os.environ.setdefault("FQDN", "localhost")  # else pymap asks the name service at every connection
    try:
        with listener, tempfile.TemporaryDirectory(prefix=_STATE) as state:
            asyncio.run(_serve(options, listener, password, Path(state)))
    except ImportError as error:
        from integrations.errors import MissingExtra

        print(MissingExtra("demo", error.name or "pymap"), file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="imap_server", description="IMAP over a Maildir, on loopback only.")
    parser.add_argument("--maildir", type=Path, required=True, help="the Maildir to serve as INBOX")
    parser.add_argument("--port", type=int, default=0, help="0: any free one (default)")
    parser.add_argument("--cert", type=Path, help="PEM certificate; offers STARTTLS")
    parser.add_argument("--key", type=Path, help="PEM key of --cert")
    parser.add_argument("--tls", action="store_true", help="TLS from the first byte (needs --cert)")
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace, listener: socket.socket, password: str, state: Path) -> None:
    from proxyprotocol.reader import ProxyProtocolReader
    from pymap.imap import IMAPServer

    login, config = await _mailbox(options, password, state)
    config.apply_context()
    secured: ssl.SSLContext | None = None
    if options.tls:
        secured = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secured.load_cert_chain(options.cert, options.key)
    handler = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(login, config))
    server = await asyncio.start_server(handler, sock=listener, ssl=secured)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = listener.getsockname()[1]
    print(json.dumps({"port": port, "username": USERNAME}), flush=True)  # noqa: T201
    await stop.wait()
    server.close()


async def _mailbox(options: argparse.Namespace, password: str, state: Path) -> tuple[Any, Any]:
    """pymap's Maildir backend with one user, whose password lives in a 0600 file for this run only."""
    from pymap.backend.maildir import Config
    from pymap.backend.maildir.users import PasswordsFile, UsersFile
    from pysasl.hashing import BuiltinHash

    # Few rounds: they slow a guesser of weak passwords down, and this one is random and short-lived.
    rounds = BuiltinHash(rounds=1000)
    arguments = argparse.Namespace(
        host="127.0.0.1", port=0, debug=False, tls=bool(options.cert), passlib_cfg=None, proxy_protocol=None,
        cert=str(options.cert) if options.cert else None, key=str(options.key) if options.key else None,
        base_dir=str(state), layout="++", colon=None, concurrency=2,
    )  # fmt: skip
    config = Config.from_args(arguments, hash_context=rounds)
    home = options.maildir.resolve()
    for kind, record in (
        (UsersFile, UsersFile.build_record(USERNAME, str(home))),
        (PasswordsFile, PasswordsFile.build_record(USERNAME, rounds.hash(password))),
    ):
        fields = (getattr(record, name).replace(":", "\\:") for name in record.get_fields())
        path = Path(kind.get_file(str(state)))
        path.touch(mode=0o600)
        path.write_text(":".join(fields) + "\n")
    return _login(config), config


def _login(config: Any) -> Any:
    """pymap's login, reading messages as the bytes they are; its own Maildir re-serialises every one."""
    from pymap.backend.maildir import Identity, Login
    from pymap.backend.maildir.layout import MaildirLayout
    from pymap.backend.maildir.mailbox import Maildir

    class RawMaildir(Maildir):
        def get_message(self, key: str) -> Any:
            return self.get_bytes(key).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    class RawIdentity(Identity):
        def _load_maildir(self, mailbox_path: str) -> tuple[Maildir, MaildirLayout[Any]]:
            layout = MaildirLayout.get(mailbox_path, self.config.layout, RawMaildir)
            return RawMaildir(mailbox_path, create=False), layout

    class RawLogin(Login):
        async def authorize(self, authenticated: Any, authzid: str) -> Identity:
            allowed = await super().authorize(authenticated, authzid)
            return RawIdentity(allowed.config, allowed.tokens, allowed.name, None, allowed.roles)

    return RawLogin(config)


if __name__ == "__main__":
    sys.exit(main())
