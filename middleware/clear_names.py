"""Names that are stored in clear, of jobs, gates and resources: they must not say what arguments hide."""

from collections.abc import Mapping
from typing import Any

from jobs.hiding import quotes


def quoted_in(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The parameter whose value stands in a name; None: no one's."""
    return next((parameter for parameter, value in arguments.items() if quotes(name, value)), None)
