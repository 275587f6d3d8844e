"""Lines that a job writes about itself, kept with it: `job_log.info("fetched", rows=40)` in an actor.

They are for whoever looks at the job (`callboard jobs logs ID`, the API), not for the process's log. Lines of
all jobs of a process are sent together a few times a second; of each attempt the newest 64 KB stay.
"""

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import orjson
from pydantic_core import to_jsonable_python

from jobs.errors import CallboardError, InvalidPayload, KeyShredded
from jobs.model import LOG_BYTES, LogChunk
from middleware.current import running
from middleware.delivery import Delivery
from middleware.notes import Notes

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 0.2
#: A line takes so many bytes at most, its message so many characters.
LONGEST_LINE, LONGEST_MESSAGE = 4_096, 1_000
#: Lines of one delivery that are sent together, in bytes.
CHUNK_BYTES = 16_384
#: Chunks of one call.
MOST_CHUNKS = 50
#: While the store is away so many deliveries may have lines that wait; then the oldest lose theirs.
MOST_WAITING = 1_000


class JobLogger:
    """`message` is for people; values are what JSON can hold, else their text. Does nothing outside a job.

    Whatever is written is kept and shown to whoever may see the job. Parameters' values are not taken out, as
    they are of failures: the author writes them on purpose. Pydantic's secrets appear as asterisks, and all
    is sealed where the job is.
    """

    def debug(self, message: str, **values: Any) -> None:
        """What helps to find an error."""
        _write("debug", message, values)

    def info(self, message: str, **values: Any) -> None:
        """What has been done."""
        _write("info", message, values)

    def warning(self, message: str, **values: Any) -> None:
        """What is not as it should be."""
        _write("warning", message, values)

    def error(self, message: str, **values: Any) -> None:
        """What went wrong, though the job goes on."""
        _write("error", message, values)


job_log = JobLogger()


def _write(level: str, message: str, values: dict[str, Any]) -> None:
    job = running.get()
    if job is not None and job.log is not None:
        job.log.put(job, _line(level, message, values))


def _line(level: str, message: str, values: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"at": time.time_ns() // 1_000_000, "level": level}
    # What comes from mail and the like has halves of surrogate pairs, which JSON refuses.
    line["message"] = str(message)[:LONGEST_MESSAGE].encode("utf-8", "replace").decode()
    if values:
        written = to_jsonable_python(values, fallback=str, serialize_unknown=True, inf_nan_mode="strings")
        line["values"] = written
        try:
            if len(orjson.dumps(line)) > LONGEST_LINE:
                line["values"] = dict.fromkeys(list(values)[:20], "too long")
        except (TypeError, ValueError):
            line["values"] = dict.fromkeys(list(values)[:20], "no JSON form")
    return line


class JobLogs(dramatiq.Middleware):
    """Lets the actors of a worker write lines; they are kept through `notes`."""

    def __init__(self, notes: Notes) -> None:
        self._writer = LogWriter(notes)

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        message.log = self._writer

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._writer.flush()


@dataclass(slots=True)
class _Pending:
    """Lines of one delivery that the store does not have yet."""

    job: Delivery
    lines: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)  # each with its size
    size: int = 0
    dropped: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)  # for the next chunk
    chunk: LogChunk | None = None  # on its way, or to be sent again
    lost: bool = False  # lines of it could not be closed for good, and that was said

    def add(self, line: dict[str, Any]) -> None:
        self.lines.append((len(orjson.dumps(line)), line))
        self.size += self.lines[-1][0]
        while self.size > LOG_BYTES:
            self.size -= self.lines.popleft()[0]
            self.dropped += 1

    def take(self) -> None:
        size = 0
        if self.dropped:
            text = f"{self.dropped:,} lines were too many to be kept"
            self.taken.append({"at": self.lines[0][1]["at"], "level": "warning", "message": text})
            self.dropped = 0
        while self.lines and size < CHUNK_BYTES:
            of_line, line = self.lines.popleft()
            size += of_line
            self.taken.append(line)
        self.size -= size


class LogWriter:
    """Sends the lines of all jobs of the process, every WRITE_EVERY_S seconds while there are any."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[tuple[str, str, int], _Pending] = {}  # by owner, job and delivery
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, job: Delivery, line: dict[str, Any]) -> None:
        """Add a line of a running job."""
        key = (job.owner, job.message_id, job.job.token)
        with self._lock:
            pending = self._pending.get(key)
            if pending is None:
                pending = self._pending[key] = _Pending(job)
                while len(self._pending) > MOST_WAITING:
                    del self._pending[next(iter(self._pending))]
            pending.add(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callboard-job-log", daemon=True)
                self._thread.start()
        self._wanted.set()

    def flush(self) -> None:
        """Send what is there now; what the store does not take is lost."""
        left = -1
        while (now_left := self._send()) and now_left != left:
            left = now_left

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._send():
                self._wanted.set()  # what is left is tried again
            pause.wait(WRITE_EVERY_S)

    def _send(self) -> int:
        """One round; how many lines are left."""
        with self._sending:
            with self._lock:
                waiting = list(self._pending.values())
                for pending in waiting:
                    if not pending.taken:
                        pending.take()
            by_owner: dict[str, list[_Pending]] = {}
            # Those that are encrypted last: the keys of their tenants may be slow to come.
            for pending in sorted(waiting, key=lambda pending: pending.job.secret):
                by_owner.setdefault(pending.job.owner, []).append(pending)
            for owner, of_owner in by_owner.items():
                for start in range(0, len(of_owner), MOST_CHUNKS):
                    self._send_some(owner, of_owner[start : start + MOST_CHUNKS])
            with self._lock:
                self._pending = {
                    key: pending for key, pending in self._pending.items() if pending.lines or pending.taken
                }
                return sum(len(pending.lines) + len(pending.taken) for pending in self._pending.values())

    def _send_some(self, owner: str, some: list[_Pending]) -> None:
        for pending in some:
            if pending.chunk is None and pending.taken:
                self._close(pending)
        ready = [pending for pending in some if pending.chunk is not None]
        # While the store is away the lines wait for the next round.
        with suppress(CallboardError):
            if ready:
                self._notes.add_log(owner, [pending.chunk for pending in ready if pending.chunk])
            for pending in ready:
                pending.job.log_chunks += 1
                pending.taken, pending.chunk = [], None

    def _close(self, pending: _Pending) -> None:
        """Make the chunk of what was taken. Lines of one job that cannot be closed hold up no others."""
        try:
            pending.chunk = self._chunk(pending.job, pending.taken)
        except (KeyShredded, InvalidPayload) as error:
            # That does not pass: the lines are given up.
            if not pending.lost:
                logger.warning("The log of %s is not kept: %s", pending.job, type(error).__name__)
            pending.lost, pending.taken = True, []
        except CallboardError as error:
            logger.debug("The log of %s waits: %s", pending.job, type(error).__name__)

    def _chunk(self, job: Delivery, lines: list[dict[str, Any]]) -> LogChunk:
        closed = self._notes.close("log", job.job, lines)
        return LogChunk(job.message_id, job.job.token, job.job.attempt, job.log_chunks, len(lines), closed)
