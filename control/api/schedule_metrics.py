"""What `/metrics` says of schedules; all of it from SQL, and no label that grows with them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.errors import CallboardError
from middleware.tallies import Gauges

if TYPE_CHECKING:
    from actors.composition import App


def schedule_gauges(app: "App") -> Iterable[Gauges]:
    """Nothing while the database is away or without tables."""
    from control.service.checks.servers import is_made
    from database.schedule_figures import read_figures

    if not is_made(app.settings):
        return
    try:
        figures = read_figures(app.engine())
    except CallboardError:
        return
    rows = tuple(((state,), count) for state, count in figures.states.items())
    yield Gauges("callboard_schedules", "Schedules by state; ended ones count as on.", ("state",), rows)
    yield _one("callboard_schedule_ticks_last_minute", "Ticks of the last minute.", figures.ticks)
    if figures.late_ms is not None:
        about = "The most that a tick of the last minute was late."
        yield _one("callboard_schedule_lateness_seconds_max", about, figures.late_ms / 1000)
    if figures.heard_s is not None:
        about = "How long ago a scheduler was heard of last."
        yield _one("callboard_scheduler_heartbeat_age_seconds", about, figures.heard_s)


def _one(name: str, about: str, value: float) -> Gauges:
    return Gauges(name, about, rows=(((), value),))
