"""`callboard doctor`: each need of the platform, whether it is met, and how to mend it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from control.service.checks import audit, keys, limits, machine, schedules, servers, telemetry
from control.service.checks.finding import Finding, ok, problem
from settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from actors.composition import App

__all__ = ["Finding", "examine"]


def examine() -> Iterator[Finding]:
    """Check everything, cheapest first. What depends on a thing that is broken is left out."""
    yield machine.python()
    yield from machine.extras()
    settings = _settings()
    if isinstance(settings, Finding):
        yield settings
        return
    app = _application()
    if isinstance(app, Finding) and app.subject == "settings":
        yield app
    else:
        yield ok("settings", "valid")
    yield from machine.folders(settings)
    yield machine.api_port(settings)
    yield from telemetry.telemetry(settings)
    if isinstance(app, Finding):
        if app.subject != "settings":
            yield app
        return
    yield ok("actors", ", ".join(sorted(app.broker.actors)) or "none")
    yield keys.keys(app)
    yield from servers.redis(settings, app)
    yield from servers.stray_queues(app)
    yield from limits.limits(app)
    database = servers.database(app)
    yield database
    yield from servers.changed_rules(app)
    yield from schedules.schedules(app)
    if database.status != "problem" and (behind := audit.lag(app)) is not None:
        yield behind


def _settings() -> Settings | Finding:
    try:
        return load_settings()
    except SettingsError as error:
        return _wrong_settings(error)


def _application() -> "App | Finding":
    try:
        from actors import app
    except SettingsError as error:
        # What declares an actor is no module yet that could be asked for its kinds of errors.
        if type(error).__name__ == "BrokenActorFile":
            return problem("actors", str(error), "correct that file")
        return _wrong_settings(error)
    except Exception as error:  # noqa: BLE001 - whatever a user's own actor raises when it is imported
        return problem(
            "actors",
            f"they cannot be imported: {type(error).__name__}: {error}",
            "correct the module; 'python -c \"import actors\"' shows where",
        )
    return app


def _wrong_settings(error: SettingsError) -> Finding:
    return problem("settings", str(error), "correct that key in the environment or in callboard.toml")
