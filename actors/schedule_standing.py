"""What else than the code says how an actor's schedule runs: the settings, and a pause in the database."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker.periodic import Standing
from jobs.schedules import Schedule, Source, from_document

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from settings import Settings

logger = logging.getLogger(__name__)


class ScheduleStanding:
    """`engine` is asked for when somebody wants to know of a pause."""

    def __init__(self, settings: "Callable[[], Settings]", engine: "Callable[[], Engine]") -> None:
        self._settings = settings
        self._engine = engine
        self._complained = False

    @property
    def port(self) -> Standing:
        """For the broker."""
        return Standing(self.in_settings, self.is_paused)

    def in_settings(self, name: str) -> Schedule | None:
        """The schedule of this name in the settings, which wins over the code. Raises InvalidSchedule."""
        section = self._settings().schedules.get(name)
        if section is None:
            return None
        return from_document({**section.words(), "name": name}, Source.SETTINGS)

    def is_paused(self, name: str) -> bool:
        """Whether somebody paused it. Without a database that answers it counts as not paused: a job too
        many can be undone, one too few is not seen."""
        from database.errors import DatabaseOutdated, DatabaseUnavailable
        from database.schedules import Schedules

        try:
            row = Schedules(self._engine()).get(name)
        except (DatabaseUnavailable, DatabaseOutdated) as error:
            if not self._complained:
                logger.warning("Schedules are fired without a look at their pauses: %s", error)
            self._complained = True
            return False
        self._complained = False
        return row is not None and row.paused_at is not None
