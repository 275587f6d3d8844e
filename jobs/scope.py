"""Whose jobs are sent from here: the tenant and the user of the code that runs now.

A context variable, so that it follows coroutines, tasks and `contextvars.copy_context().run(…)`.
"""

from contextvars import ContextVar
from typing import NamedTuple


class Scope(NamedTuple):
    """Empty texts: of no tenant, on nobody's behalf."""

    tenant_id: str = ""
    user_id: str = ""


#: None: nobody said.
current_scope: ContextVar[Scope | None] = ContextVar("callboard_scope", default=None)
