"""`callboard up`: what is started, in which order, and what the person at the terminal is told."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from broker.redis.connection import START_IT
from control.api.keys import KeyFile
from control.api.serve import api_url, listen
from control.supervisor.children import ChildSpec
from control.supervisor.lock import only_one
from control.supervisor.loop import SIGNALS, Supervisor
from control.supervisor.server import KeptServer
from jobs.errors import StoreUnavailable
from middleware.sealing.ring_file import make_ring

if TYPE_CHECKING:
    from actors.composition import App


def run(app: "App", workers: int) -> None:
    """Run everything until Ctrl-C or SIGTERM. Raises a CallboardError when something cannot start."""
    settings = app.settings
    workers = workers if settings.workers.start else 0
    with ExitStack() as stack:
        stack.enter_context(only_one(settings.home))
        listen(settings.api.host, settings.api.port).close()  # say now that the port is taken
        supervisor = Supervisor(_specs(workers))
        stack.enter_context(_signals_end_it())
        server = None
        if settings.redis.effective_url() is None:
            server = KeptServer(settings.home, supervisor.say)
            stack.callback(_undisturbed, server.stop)
            server.start()
        if settings.redis.effective_url() is None and not settings.keys.ring:
            make_ring(settings.keys_file)
        _reach(app)
        app.sealing.seal.ready()  # no worker would start
        _migrate(app)
        _restore_rules(app, supervisor.say)
        key = KeyFile(settings.home).ensure()
        supervisor.run(
            ready=lambda: _accepts(settings.api.host, settings.api.port),
            on_ready=lambda: supervisor.say(_welcome(app, key, workers)),
            look=server.look if server else lambda: None,
        )
    supervisor.say("stopped; every unfinished job is kept" if server else "stopped")


def _specs(workers: int) -> list[ChildSpec]:
    worker = (sys.executable, "-m", "dramatiq", "actors", "-p", "1")
    names = ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]
    return [
        *(ChildSpec(name, worker) for name in names),
        ChildSpec("scheduler", (sys.executable, "-m", "scheduling")),
        ChildSpec("api", (sys.executable, "-m", "control.api")),
    ]


def _reach(app: "App") -> None:
    """Raises StoreUnavailable, of a server of one's own that is away with what to do about it here."""
    try:
        app.broker.store.ping()
    except StoreUnavailable as error:
        raise StoreUnavailable(str(error).replace(START_IT, "start it, or unset REDIS_URL")) from None


def _migrate(app: "App") -> None:
    from database.migrations import migrate

    migrate(app.engine())


def _restore_rules(app: "App", say: Callable[[str], None]) -> None:
    from control.service.kept import KeptRules

    restored = KeptRules(app, "up").restore_if_new()
    if restored:
        say(f"the job store is new; pauses and limits restored: {restored}")


def _welcome(app: "App", key: str | None, workers: int) -> str:
    url = api_url(app.settings.api.host, app.settings.api.port)
    here = Path(sys.executable).parent
    folder = here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here
    new_key = f"a new one: {folder}/callboard api-key rotate"
    rows = [
        ("API", f"{url}/api/v1"),
        ("docs", f"{url}/docs"),
        ("key", f"{key}   (shown only now)" if key else f"as printed at the first start; {new_key}"),
        ("add a job", f"{folder}/callboard jobs add QUEUE name=value …"),
        ("queues", ", ".join(sorted({actor.queue_name for actor in app.broker.actors.values()}))),
        ("workers", str(workers) if workers else "none here"),
        (
            "schedules",
            f"{folder}/callboard schedules list   (the scheduler runs here; restart it after a change)",
        ),
        ("join", f"{folder}/dramatiq actors   (in another terminal)"),
        ("stop", "Ctrl-C"),
    ]
    return "\n".join(["Callboard is up", *(f"  {name:<10} {value}" for name, value in rows)])


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Until the supervisor listens itself, SIGTERM and a closed terminal act like Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _undisturbed(stop: Callable[[], None]) -> None:
    """Run the last step whatever is pressed: a server cut short would have to repair its file."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    stop()
