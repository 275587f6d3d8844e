"""The run that this thread, or this coroutine, is in.

The broker sets it around every run, whatever is in the stack: what guards a job (its limits, its steps) asks
it whether there is one, and must not take a run for a plain call.
"""

from contextvars import ContextVar
from typing import Any

#: The broker's proxy of the job; middleware/current.py says what it offers.
running: ContextVar[Any] = ContextVar("callboard_job", default=None)
