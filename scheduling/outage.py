"""Something that is away: tried again with growing pauses, and told to the log once."""

import logging

logger = logging.getLogger("callboard.schedules")

FIRST_S, LAST_S = 0.2, 5.0


class Outage:
    """Of one server. `waits` is what waits for it, for the log."""

    def __init__(self, waits: str) -> None:
        self._waits = waits
        self._pause_s = 0.0

    @property
    def lasts(self) -> bool:
        return self._pause_s > 0

    def failed(self, error: Exception) -> float:
        """Note that it was away; seconds until it should be tried again."""
        if not self.lasts:
            logger.warning("%s: %s", self._waits, error)
        self._pause_s = min(self._pause_s * 2 or FIRST_S, LAST_S)
        return self._pause_s

    def over(self) -> None:
        """Note that it answered."""
        if self.lasts:
            logger.info("%s no more.", self._waits)
            self._pause_s = 0.0
