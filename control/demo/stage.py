"""What the demo stands on: server, two workers, API, mail server and webhook receiver, all on loopback."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from broker.redis.embedded import EmbeddedServer, free_port
from control.demo.peers.imap_server import PASSWORD_VARIABLE
from control.demo.peers.mail import write_maildir
from control.demo.peers.webhook_receiver import BROKEN, MEND, SECRET_VARIABLE
from jobs.errors import CallboardError
from middleware.sealing.ring_file import make_ring

MESSAGES = {"inbox": 400, "archive": 800}
#: Shorter than the default of 15 s, so that nobody waits long to see a dead worker's job return.
LEASE_SECONDS = 5
KEPT_DEMOS = 3
#: The limit `reports`: how many jobs a second a tenant may start, and this one.
LIMIT, OTHERS_LIMIT = "reports", 100
LIMITED_TENANT, LIMIT_OF = "acme", 5
#: Settings of the person's own installation, which the demo must not touch.
FOREIGN = ("REDIS_", "DATABASE_URL", "WORKER_", "QUEUE_", "START_WORKERS", "CALLBOARD_", "SENTRY_")


class DemoFailed(CallboardError):
    """The demo did not go as it should; the message says what went wrong."""


@dataclass
class Stage:
    """Running parts and where they are. `stack` ends them, last started first."""

    home: Path
    stack: ExitStack
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    receiver_port: int = 0

    def start_worker(self, number: int) -> None:
        """Start `dramatiq actors`, with the demo's actors too; its log is worker-NUMBER.log."""
        command = [sys.executable, "-m", "dramatiq", "actors", "control.demo.actors", "-p", "1", "-t", "8"]
        process = self._start(f"worker-{number}", command, {"WORKER_ID": f"worker-{number}"})
        self.workers[number] = process

    def worker_of(self, pid: int) -> int | None:
        """The number of the worker whose `dramatiq` command has the process `pid` as its child."""
        import psutil

        for number, process in self.workers.items():
            if process.poll() is None and pid in {
                child.pid for child in psutil.Process(process.pid).children(recursive=True)
            }:
                return number
        return None

    def start_api(self) -> None:
        command = [sys.executable, "-m", "control.api"]
        self._start("api", command, {"CALLBOARD_API__PORT": str(free_port())})

    def mend(self) -> None:
        """Bring the partner's webhook receiver in order."""
        connection = HTTPConnection("127.0.0.1", self.receiver_port, timeout=10)
        try:
            connection.request("POST", MEND, body=b"")
            status = connection.getresponse().status
        finally:
            connection.close()
        if status != HTTPStatus.NO_CONTENT:
            raise DemoFailed(f"The webhook receiver could not be mended: it answered {status}.")

    def start_peer(self, name: str, module: str, arguments: list[str], env: Mapping[str, str]) -> int:
        """Start one of `control.demo.peers`; returns the port that it says it listens on."""
        process = self._start(name, [sys.executable, "-m", module, *arguments], env, says=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise DemoFailed(f"The {name} did not start: {_last_line(self.home / (name + '.log'))}")
        return int(json.loads(line)["port"])

    def _start(
        self, name: str, command: list[str], env: Mapping[str, str], *, says: bool = False
    ) -> subprocess.Popen[bytes]:
        watched, lifeline = os.pipe()  # its other end closes with this process, however that ends
        leash = [sys.executable, "-m", "control.supervisor.leash", str(watched)]
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own modules, no shell
                [*leash, *command],
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if says else log,
                stderr=log,
                start_new_session=True,
                pass_fds=(watched,),
            )
        os.close(watched)
        self.stack.callback(_end, process, lifeline)
        return process


def set_stage(base: Path, stack: ExitStack) -> Stage:
    """Start everything but the workers and the API. Changes this process's environment: call it before
    `actors` is imported. Raises a CallboardError when something cannot start."""
    home = _new_home(base / "demo")
    stage = Stage(home, stack)
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    server = EmbeddedServer(home)
    stack.callback(server.stop)
    server.start()
    make_ring(home / "keys.json")
    password = secrets.token_urlsafe(12)
    secret = "whsec_" + b64encode(secrets.token_bytes(24)).decode()
    mailboxes = {}
    for name, count in MESSAGES.items():
        write_maildir(home / name, count, seed=len(name))
        mailboxes[name] = stage.start_peer(
            f"imap-{name}",
            "control.demo.peers.imap_server",
            ["--maildir", str(home / name)],
            {PASSWORD_VARIABLE: password},
        )
    stage.receiver_port = stage.start_peer(
        "webhook-receiver", "control.demo.peers.webhook_receiver", [], {SECRET_VARIABLE: secret}
    )
    config = home / "callboard.toml"
    config.touch(0o600)
    config.write_text(_config(mailboxes, password, stage.receiver_port, secret))
    os.environ["CALLBOARD_HOME"] = str(home)
    os.environ["CALLBOARD_CONFIG"] = str(config)
    return stage


def _config(mailboxes: Mapping[str, int], password: str, receiver: int, secret: str) -> str:
    lines = ["[workers]", f"lease_seconds = {LEASE_SECONDS}"]
    for name, port in mailboxes.items():
        lines += [f"[mailboxes.{name}]", 'host = "127.0.0.1"', f"port = {port}", 'tls = "none"']
        lines += ['username = "demo"', f'password = "{password}"']
    for name, path in {"crm": "/", "legacy": "/refuse", "partner": BROKEN}.items():
        lines += [f"[webhooks.{name}]", f'url = "http://127.0.0.1:{receiver}{path}"', f'secret = "{secret}"']
        lines += ["allow_private = true"]
    lines += [f"[limits.{LIMIT}]", 'by = "tenant"', 'queues = ["report-generate"]', f"limit = {OTHERS_LIMIT}"]
    lines += [f"[tenants.{LIMITED_TENANT}.limits.{LIMIT}]", f"limit = {LIMIT_OF}"]
    return "\n".join(lines) + "\n"


def _new_home(folder: Path) -> Path:
    """A folder for this run; the oldest ones of earlier runs go."""
    home = folder / time.strftime("%Y%m%d-%H%M%S")
    try:
        home.mkdir(parents=True, exist_ok=False, mode=0o700)
    except OSError as error:
        raise DemoFailed(
            f"The folder {home} cannot be made ({error.strerror}); set CALLBOARD_HOME."
        ) from error
    for old in sorted(folder.iterdir())[:-KEPT_DEMOS]:
        shutil.rmtree(old, ignore_errors=True)
    return home


def _end(process: subprocess.Popen[bytes], lifeline: int) -> None:
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
    # What is left of the group: the leash's watcher, and a process that did not want to end.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(lifeline)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"{log} is empty")
