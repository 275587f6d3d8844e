"""A webhook receiver on loopback that fails at first, as real ones do, and keeps a ledger of what came.

    CALLBOARD_DEMO_WEBHOOK_SECRET=whsec_... python -m control.demo.peers.webhook_receiver --port 0

The secret comes by that variable, or as the first line of stdin. When ready it prints one line,
{"port": 40144}; it ends on SIGTERM. The first `--failures` deliveries of each webhook-id are answered 503,
the first of them with `Retry-After: 1`; after them a delivery with a valid signature gets 204, another 401.
The path /gone answers 410 and /refuse 400 at once; /partner answers 503 until a POST to /mend, then as it
should. GET /ledger tells what came:
{"deliveries": {id: {"attempts": 3, "statuses": [503, 503, 204], "valid": [true, true, true], "path": "/"}}}.
"""

import argparse
import json
import os
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_VARIABLE = "CALLBOARD_DEMO_WEBHOOK_SECRET"  # noqa: S105 - the variable's name
_BODY_BYTES = 1_000_000
_FIXED = {"/gone": HTTPStatus.GONE, "/refuse": HTTPStatus.BAD_REQUEST}
#: The path that is out of order until somebody posts to the other.
BROKEN, MEND = "/partner", "/mend"


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; exit code 2 with a sentence if it cannot start."""
    parser = argparse.ArgumentParser(prog="webhook_receiver", description="A webhook receiver on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one (default)")
    parser.add_argument("--failures", type=int, default=2, help="how many deliveries of an id fail first")
    options = parser.parse_args(argv)
    secret = os.environ.pop(SECRET_VARIABLE, "") or sys.stdin.readline().strip()
    if not secret:
        print(f"Give the secret in {SECRET_VARIABLE} or on stdin.", file=sys.stderr)  # noqa: T201
        return 2
    try:
        receiver = Receiver(secret, port=options.port, failures=options.failures)
    except OSError as error:
        print(f"Port {options.port} cannot be used: {os.strerror(error.errno or 0)}.", file=sys.stderr)  # noqa: T201
        return 2

    def stop(number: int, frame: object) -> None:
        # shutdown() waits for the serving loop, which runs in this very thread.
        threading.Thread(target=receiver.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with receiver:
        print(json.dumps({"port": receiver.server_address[1]}), flush=True)  # noqa: T201
        receiver.serve_forever(poll_interval=0.05)
    return 0


class Receiver(ThreadingHTTPServer):
    """The server and its ledger; also usable inside a test's own process."""

    daemon_threads = True

    def __init__(self, secret: str, *, port: int = 0, failures: int = 2) -> None:
        from standardwebhooks import Webhook

        self.verifier = Webhook(secret)
        self.failures = failures
        self.out_of_order = True
        self.ledger: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def record(self, message_id: str, path: str, *, valid: bool) -> tuple[HTTPStatus, bool]:
        """Enter one delivery and say how to answer it, and whether to ask for a second's patience."""
        with self.lock:
            entry = self.ledger.setdefault(
                message_id, {"attempts": 0, "statuses": [], "valid": [], "path": path}
            )
            entry["attempts"] += 1
            early = self.out_of_order if path == BROKEN else entry["attempts"] <= self.failures
            status = HTTPStatus.NO_CONTENT if valid else HTTPStatus.UNAUTHORIZED
            status = _FIXED.get(path, HTTPStatus.SERVICE_UNAVAILABLE if early else status)
            entry["statuses"].append(int(status))
            entry["valid"].append(valid)
            patience = early and path != BROKEN and entry["attempts"] == 1
            return status, patience and status == HTTPStatus.SERVICE_UNAVAILABLE

    def mend(self) -> None:
        with self.lock:
            self.out_of_order = False

    def report(self) -> bytes:
        with self.lock:
            return json.dumps({"deliveries": self.ledger}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    timeout = 10

    def do_GET(self) -> None:
        if self.path != "/ledger":
            self._answer(HTTPStatus.NOT_FOUND)
            return
        self._answer(HTTPStatus.OK, self.server.report(), {"Content-Type": "application/json"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _BODY_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if self.path == MEND:
            self.server.mend()
            self._answer(HTTPStatus.NO_CONTENT)
            return
        valid = self._valid(body)
        message_id = self.headers.get("webhook-id", "")
        status, patience = self.server.record(message_id, self.path, valid=valid)
        self._answer(status, headers={"Retry-After": "1"} if patience else {})

    def _valid(self, body: bytes) -> bool:
        from standardwebhooks.webhooks import WebhookVerificationError

        try:
            self.server.verifier.verify(body, dict(self.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def _answer(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the ledger is the log, and stdout belongs to the one line of readiness."""


if __name__ == "__main__":
    sys.exit(main())
