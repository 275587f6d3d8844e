"""The exceptions behind an exception."""

#: So many of a chain are looked at.
LONGEST_CHAIN = 5


def chain(exception: BaseException) -> list[BaseException]:
    """The exception and what it came from, the last one first, as a traceback would tell it."""
    found: list[BaseException] = []
    at: BaseException | None = exception
    while at is not None and not any(at is one for one in found) and len(found) < LONGEST_CHAIN:
        found.append(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return found
