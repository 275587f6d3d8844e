"""Runs the API under uvicorn."""

import logging
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

from control.api.keys import KeyFile
from jobs.errors import CallboardError

if TYPE_CHECKING:
    import uvicorn

    from actors.composition import App

STOP_SECONDS = 10  # uvicorn waits for ever without one (DESIGN section 7, HTTP)
BACKLOG = 512
RESTORE_EVERY_S = 15.0


class AddressTaken(CallboardError):
    """The API cannot listen where it should."""


def serve(app: "App") -> None:
    """Listen until SIGINT or SIGTERM. Raises AddressTaken.

    A key made on this first start is printed, once, to stdout.
    """
    from actors.logs import open_log

    host, port = app.settings.api.host, app.settings.api.port
    with listen(host, port) as listener:
        key = KeyFile(app.settings.home).ensure()
        if key is not None:
            sys.stdout.write(f"API key (shown only now): {key}\n")
        open_log(app.settings)
        logging.getLogger("callboard.api").info("listening on %s", api_url(host, port))
        problem = _restore_rules(app)
        ended = threading.Event()
        threading.Thread(target=keep_rules_restored, args=(app, ended, problem), daemon=True).start()
        try:
            server_of(app).run(sockets=[listener])
        finally:
            ended.set()


def keep_rules_restored(
    app: "App", ended: threading.Event, problem: str = "", every_s: float = RESTORE_EVERY_S
) -> None:
    """Until `ended`, look whether the job store has lost its data, as after a restart without persistence."""
    while not ended.wait(every_s):
        problem = _restore_rules(app, problem)


def _restore_rules(app: "App", told: str = "") -> str:
    """Give a new job store the pauses and limits that the database keeps. The API serves in any case. Returns
    what went wrong; `told` is what was logged of that before."""
    from control.service.kept import KeptRules

    log = logging.getLogger("callboard.api")
    try:
        restored = KeptRules(app, "api").restore_if_new()
    except CallboardError as error:
        if str(error) != told:
            log.warning("pauses and limits were not restored: %s", error)
        return str(error)
    if restored:
        log.info("the job store is new; pauses and limits restored: %d", restored)
    return ""


def server_of(app: "App") -> "uvicorn.Server":
    """The uvicorn server, ready to run on a listening socket."""
    import uvicorn

    from control.api.application import create_api

    config = uvicorn.Config(
        create_api(app),
        access_log=False,  # the guard writes its own line, without the query
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=32_768,
        lifespan="off",
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressTaken with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressTaken(
            f"the API cannot listen on {host}:{port} ({os.strerror(error.errno or 0).lower()}): "
            "stop what listens there, or choose another port with CALLBOARD_API__PORT"
        ) from None
    return listener


def api_url(host: str, port: int) -> str:
    """The address to give to a person."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
