"""The API's and the scheduler's logs are JSON where workers' logs are, and lines for people elsewhere."""

import json
import signal

import pytest

from control.api.keys import KeyFile
from database.engine import make_engine
from database.migrations import migrate
from tests.control.running import command, running
from tests.ports import free_port


def lines_of(argv, env, told):
    with running(argv, env) as process:
        process.line_with(told)
        process.send(signal.SIGTERM)
        assert process.ended() in (0, -signal.SIGTERM)  # uvicorn ends by the signal itself
    return process.lines


@pytest.fixture
def ready(joined, tmp_path):
    """Key and tables are there, so that a log is all that is written."""
    home = tmp_path / "home"
    KeyFile(home).ensure()
    engine = make_engine(f"sqlite:///{home}/callboard.db")
    migrate(engine)
    engine.dispose()
    return {**joined, "CALLBOARD_API__PORT": str(free_port())}


@pytest.mark.parametrize(
    ("name", "told", "logger"),
    [
        ("api", "listening on", "callboard.api"),
        ("scheduler", "This scheduler fires now", "callboard.schedules"),
    ],
)
def test_each_line_is_an_object_where_the_settings_say_so(ready, name, told, logger):
    lines = lines_of(command(name), {**ready, "CALLBOARD_TELEMETRY__JSON_LOGS": "true"}, told)
    logged = [json.loads(line) for line in lines]
    (line,) = [one for one in logged if told in one["event"]]
    assert (line["level"], line["logger"]) == ("info", logger)
    assert "timestamp" in line


@pytest.mark.parametrize(
    ("name", "told"), [("api", "listening on"), ("scheduler", "This scheduler fires now")]
)
def test_elsewhere_they_are_for_people(ready, name, told):
    lines = lines_of(command(name), ready, told)
    assert next(line for line in lines if told in line).startswith("INFO ")
