"""Keeps this process's lease alive, and ends the process when one of its service threads is dead.

Renewal is the work of a small helper process, because a job that holds the interpreter lock for a
minute would keep any thread here from renewing. This side feeds the helper a beat a second through a
pipe. The helper pauses while we are suspended and when no beat came for `WEDGED_S`: then the jobs are
better off elsewhere. When we die it gives our jobs back at once, those that had not started unspent.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from broker.worker.alarm import StopAlarm
from broker.worker.ledger import Ledger
from broker.worker.renewer import GOODBYE
from jobs.errors import CallboardError

logger = logging.getLogger(__name__)

BEAT_S = 1.0
#: Longer than any job may hold the interpreter lock, shorter than anybody's patience.
WEDGED_S = 90.0
#: What the helper has to end, in seconds, before it is killed.
STOP_S = 2.0
#: The exit code of a process whose service thread died (EX_SOFTWARE).
EXIT_BROKEN = 70


class LeaseKeeper(threading.Thread):
    """`services` are the threads that must live, each with a `beat` time. The helper is told `lease`
    and what `address` says of the store when it is started, and inherits `ledger` and the `alarm`."""

    def __init__(
        self,
        address: Callable[[], Mapping[str, object]],
        lease: Mapping[str, object],
        services: Callable[[], Mapping[str, threading.Thread]],
        end_process: Callable[[int], None] = os._exit,
        *,
        ledger: Ledger | None = None,
        alarm: StopAlarm | None = None,
    ) -> None:
        super().__init__(name="callboard-leases", daemon=True)
        self._address = address
        self._lease = dict(lease)
        self._services = services
        self._ledger = ledger
        self._alarm = alarm
        self._end_at: float | None = None
        self._end_process = end_process
        self._stopped = threading.Event()
        self._winding_down = False
        self._helper: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                fault = self._fault()
                if fault:
                    self._break(fault)
                    return
                try:
                    self._feed()
                except CallboardError as error:
                    logger.debug("%s", error)  # no address yet; the exchange says it aloud
                self._stopped.wait(BEAT_S)
        except Exception as error:  # noqa: BLE001  nobody watches this thread
            self._break(f"The lease keeper failed ({type(error).__name__}: {error})")
        finally:
            helper, self._helper = self._helper, None
            if helper is not None:
                _close(helper)

    def end_by(self, when: float) -> None:
        """Let the helper end this process at a monotonic time if it is there still."""
        self._end_at = when

    def wind_down(self) -> None:
        """The services are about to end on purpose; the lease is kept until `stop`."""
        self._winding_down = True

    def stop(self) -> None:
        """End the helper. The lease itself is ended by the store's `leave`."""
        self._stopped.set()
        self.join(STOP_S)

    def _break(self, fault: str) -> None:
        # Better dead than deaf: the supervisor starts a new process, others take the jobs.
        logger.critical("%s. This worker process ends; its jobs run elsewhere.", fault)
        self._end_process(EXIT_BROKEN)

    def _fault(self) -> str | None:
        if self._winding_down:
            return None
        if not threading.main_thread().is_alive():
            # A second stop signal ends Dramatiq's main thread, and the interpreter then waits for ever.
            return "The main thread has ended"
        now = time.monotonic()
        for name, thread in self._services().items():
            if not thread.is_alive() and self._is_missed(name):
                return f"The {name} thread is dead"
            if now - getattr(thread, "beat", now) > WEDGED_S:
                return f"The {name} thread has not moved for {WEDGED_S:.0f} s"
        return None

    def _is_missed(self, name: str) -> bool:
        # It may have ended on purpose since its name was asked for.
        return not self._winding_down and name in self._services()

    def _feed(self) -> None:
        if self._helper is not None and self._helper.poll() is not None:
            logger.warning("The lease helper ended (exit code %d); it is started again.", self._helper.poll())
            _close(self._helper)
            self._helper = None
        if self._helper is None:
            self._helper = self._start_helper()
        assert self._helper.stdin is not None
        try:
            self._helper.stdin.write(b".")
            self._helper.stdin.flush()
        except BrokenPipeError:
            logger.warning("The lease helper ended; it is started again.")
            _close(self._helper)
            self._helper = None

    def _start_helper(self) -> subprocess.Popen[bytes]:
        ledger, alarm = self._ledger, self._alarm
        shared = [one.descriptor for one in (ledger, alarm) if one is not None]
        told = {
            **self._lease,
            **self._address(),
            "parent": os.getpid(),
            "ledger": None if ledger is None else ledger.descriptor,
            "signals": None if alarm is None else alarm.descriptor,
            "end_in_s": None if self._end_at is None else self._end_at - time.monotonic(),
        }
        helper = subprocess.Popen(
            [sys.executable, "-m", "broker.worker.renewer"],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
            start_new_session=True,
            pass_fds=shared,
        )
        assert helper.stdin is not None
        # The address holds the password, so it goes through the pipe, not through arguments.
        with suppress(BrokenPipeError):
            helper.stdin.write(json.dumps(told).encode() + b"\n")
            helper.stdin.flush()
        return helper


def _close(helper: subprocess.Popen[bytes]) -> None:
    if helper.stdin is not None:
        with suppress(BrokenPipeError):
            helper.stdin.write(GOODBYE)
            helper.stdin.close()
    try:
        helper.wait(STOP_S - 1)
    except subprocess.TimeoutExpired:
        helper.kill()
        helper.wait()
