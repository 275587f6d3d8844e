"""The two ways an integration can fail. The queue owns retries; these types tell it if one would help."""


class IntegrationError(Exception):
    """Base of everything this room raises; the message is one sentence for a person, without secrets."""


class PermanentFailure(IntegrationError):
    """Trying again would not help: bad input, bad configuration, or a refusal (DESIGN section 6)."""


class TransientFailure(IntegrationError):
    """Trying again may help: the network, a time-out, an overloaded server.

    `retry_after` is the wait in seconds that the other side asked for, None if it asked for none.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class MissingExtra(PermanentFailure):
    """A library of an optional extra is not installed."""

    def __init__(self, extra: str, library: str = "") -> None:
        what = f"{library} is not installed" if library else "a library is not installed"
        super().__init__(
            f"{what}: install the extra {extra!r} (pip install -e '.[{extra}]' in the checkout) "
            "and restart the worker."
        )
        self.extra = extra
