"""Sends the last of what was gathered when a worker ends, without holding up its end."""

import threading
from collections.abc import Callable

#: The end of the process waits so long, in seconds, for all that is flushed.
FLUSH_S = 2.0


def flush_at_end(flush: Callable[[], object], name: str) -> None:
    """Call `flush` beside the worker's own end: its last outcomes are stored meanwhile.

    A worker process runs no exit handlers, but waits for threads that are no daemons. This one waits for the
    flush, which may hang on somebody who does not answer, FLUSH_S at most.
    """
    flushing = threading.Thread(target=flush, name=f"callboard-flush-{name}", daemon=True)
    flushing.start()
    waiting = threading.Thread(
        target=flushing.join, args=(FLUSH_S,), name=f"callboard-flush-{name}-wait", daemon=False
    )
    waiting.start()
