"""A worker process of its own for a test: `dramatiq`, with its output and its end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control.running import Running, running
from tests.sealed import KEY_VARIABLE

FOREIGN = ("REDIS", "DATABASE", "CALLBOARD", "WORKER", "QUEUE", "SENTRY", "OTEL", "NODE_")


@contextmanager
def planted_worker(
    redis_url: str, namespace: str, home: Path, *, actors: str = "planted", **environment: str
) -> Iterator[Running]:
    """It serves the actors of this module of `tests.middleware`."""
    clean = {name: "" for name in os.environ if name.startswith(FOREIGN)}
    env = clean | {
        **KEY_VARIABLE,
        "REDIS_URL": redis_url,
        "CALLBOARD_REDIS__NAMESPACE": namespace,
        "CALLBOARD_HOME": str(home),
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **environment,
    }
    argv = [sys.executable, "-m", "dramatiq", f"tests.middleware.{actors}", "-p", "1", "-t", "2"]
    with running(argv, env) as worker:
        worker.line_with("is ready for action")
        yield worker
