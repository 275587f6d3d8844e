"""What goes wrong with a configuration, said in one sentence."""

import difflib
from collections.abc import Iterable


class SettingsError(Exception):
    """The configuration cannot be used; the message says which key, why, and what to write instead.

    It never holds the value of a secret.
    """


class UnknownName(SettingsError, LookupError):
    """A queue or job name fits no actor, or fits several."""


def nearest(name: str, right: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The right name that was probably meant, or None when nothing is near (`cutoff` 1 is the same name)."""
    choices = list(right)
    by_lower = {choice.lower(): choice for choice in reversed(choices)}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def suggestion(name: str, right: Iterable[str]) -> str:
    """`did you mean X?`, or the names there are when nothing is near."""
    choices = sorted(right)
    near = nearest(name, choices)
    if near is not None:
        return f"did you mean {near}?"
    if not choices:
        return "remove it."
    shown = ", ".join(choices[:20]) + (", …" if len(choices) > 20 else "")
    return f"known here: {shown}."
