"""Schedules that code and settings declare."""

import logging
from typing import TYPE_CHECKING

from broker.periodic import code_schedules
from jobs.errors import InvalidSchedule
from jobs.schedules import Schedule, Source, from_document
from settings import SettingsError

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger(__name__)


def declared(app: "App") -> dict[str, Schedule]:
    """By name. What the settings say wins over what an actor says. Raises SettingsError."""
    found = {schedule.name: schedule for schedule in code_schedules(app.broker)}
    for name, section in app.settings.schedules.items():
        try:
            found[name] = from_document({**section.words(), "name": name}, Source.SETTINGS)
        except InvalidSchedule as error:
            raise SettingsError(f"schedules.{name}: {error}") from None
    return found
