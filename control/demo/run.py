"""`callboard demo`: the main job on real input, in about a minute, with nothing but this checkout."""

import signal
import sys
import time
from contextlib import ExitStack
from types import FrameType

from rich.console import Console

#: The whole run; the promise is 90 s.
LONGEST_S = 85.0


def main() -> int:
    """Run the demo; 0 when everything went as it must, else 1 with the reason on standard error."""
    from jobs.errors import CallboardError

    console = Console(highlight=False)
    deadline = time.monotonic() + LONGEST_S
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with ExitStack() as stack:
            _play(console, stack, deadline)
    except CallboardError as error:
        print(f"The demo failed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("The demo was stopped.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _play(console: Console, stack: ExitStack, deadline: float) -> None:
    from control.demo.stage import MESSAGES, set_stage
    from settings import load_settings

    base = load_settings().home
    console.print("[bold]Callboard demo[/]: starting server, database, mail server, webhook receiver …")
    stage = set_stage(base, stack)

    # Only now: the environment says where this run's server and settings are.
    from actors import app
    from control.cli.operator import operator
    from control.demo.scene import Scene
    from control.demo.screen import Screen
    from control.demo.story import play
    from control.demo.summary import close_the_books
    from database.migrations import migrate

    migrate(app.engine())
    for number in (1, 2):
        stage.start_worker(number)
    stage.start_api()
    mails = ", ".join(f"{name} {count}" for name, count in MESSAGES.items())
    console.print(f"Two workers are starting; messages on the mail server: {mails}.")
    with Screen(console) as screen:
        scene = Scene(app, stage, screen, operator(stage.home), deadline)
        play(scene)
    close_the_books(console, scene)
    console.print(
        "\nGo on: [bold]make up[/] runs it for you, with the API's documentation at "
        f"http://{app.settings.api.host}:{app.settings.api.port}/docs; README.md shows how to write an actor."
    )


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
