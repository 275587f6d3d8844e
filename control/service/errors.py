"""What an operator can ask for in vain."""

from jobs.errors import CallboardError


class NotPossible(CallboardError):
    """The thing is not in a state in which this can be done to it."""


class NotConfirmed(CallboardError):
    """What cannot be undone was not confirmed with the name."""


class NotAllowed(CallboardError):
    """Whoever asks may not see or do this."""


class UnknownWorker(CallboardError):
    """No living worker has this name."""
