"""Actors for `dramatiq tests.faults.subjects`: the whole stack, set up by environment variables.

Each run writes a line into the ledger, a file that only grows, so that the tests see every run there was.
"""

import ctypes
import os
import re
import signal
import threading
from pathlib import Path

import dramatiq

import broker.redis_store
from actors.composition import App
from actors.declare import actor
from settings import Settings

#: A killed process may have had events in hand; others take them over after 30 s, which is long for a test.
broker.redis_store.READER_IDLE_MS = 1_500

HOME = Path(os.environ["FAULTS_HOME"])
app = App(
    Settings.model_validate(
        {
            "redis": {"url": os.environ["FAULTS_REDIS"], "namespace": os.environ["FAULTS_NAMESPACE"]},
            "home": HOME,
            "workers": {
                "lease_seconds": float(os.environ["FAULTS_LEASE_S"]),
                "stop_seconds": float(os.environ["FAULTS_STOP_S"]),
            },
        }
    )
)
dramatiq.set_broker(app.broker)


def note(word: str, n: int) -> None:
    line = f"{word} {n} {os.getpid()}\n".encode()
    ledger = os.open(HOME / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line)
    finally:
        os.close(ledger)


@actor(queue="quick")
def quick(n: int) -> None:
    note("ran", n)


@actor(queue="slow")
def slow(n: int) -> None:
    """Runs until the test opens the gate."""
    note("started", n)
    pause = threading.Event()
    while not (HOME / "gate").exists():
        pause.wait(0.02)
    note("ended", n)


@actor(queue="hog")
def hog(n: int, seconds: int) -> None:
    """Holds the interpreter lock all the time: PyDLL, unlike CDLL, does not let go of it around a call."""
    note("started", n)
    ctypes.PyDLL(None).sleep(seconds)
    note("ended", n)


@actor(queue="deadly", attempts=10)
def deadly(n: int) -> None:
    note("started", n)
    os.kill(os.getpid(), signal.SIGKILL)


if "newcomer" in re.split(r"\W", os.environ.get("FAULTS_RELEASE", "")):

    @actor(queue="quick")
    def newcomer(n: int) -> None:
        note("newcomer", n)
