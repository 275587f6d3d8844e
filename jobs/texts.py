"""Text of others that we keep and show."""

#: More of a reason than this nobody reads.
LONGEST_REASON = 500


def printable(text: object, longest: int = LONGEST_REASON) -> str:
    """What a person gave as text, fit for a store, a log line and a terminal.

    Half a surrogate pair has no bytes, and a line break or an escape would make two lines of one or colour
    them; each such character becomes a question mark.
    """
    try:
        words = str(text)[:longest]
    except Exception:  # noqa: BLE001  an exception given as the reason may fail to say what it is
        words = type(text).__name__
    return words if words.isprintable() else "".join(c if c.isprintable() else "?" for c in words)
