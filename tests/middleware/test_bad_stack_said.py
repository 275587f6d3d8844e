"""What a `[middleware]` setting that cannot be met says; the stack as it was filled; the page's examples."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import inline
from jobs.memory import MemoryStore
from settings import Settings, SettingsError
from tests.fundamentals.stage import make_app

PAGE = Path(__file__).parents[2] / "docs" / "middleware.md"


def example(named: str) -> str:
    """The Python example of the page that declares this class."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if f"class {named}(" in block]
    return block


@pytest.fixture
def jobs_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the user's own, `my_jobs`."""
    module = ModuleType("my_jobs")
    monkeypatch.setitem(sys.modules, "my_jobs", module)
    return module


def test_a_module_that_breaks_when_it_is_imported_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "breaking_module.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"middleware\.extra names .* RuntimeError: no licence"):
        App(Settings(middleware={"extra": ["breaking_module.Thing"]}), MemoryStore())


def test_the_example_of_a_replaced_class_runs_and_keeps_the_progress(
    monkeypatch: pytest.MonkeyPatch, jobs_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(example("Loud"), jobs_module.__dict__)
    app = make_app(monkeypatch, middleware={"replace": {"progress": "my_jobs.Loud"}})

    @actor
    def told() -> None: ...

    with inline(app.broker):
        message = told.send()
    assert f"here comes {message.message_id}" in capsys.readouterr().out


def test_the_option_of_the_page_is_one_that_no_class_of_the_house_has() -> None:
    (option,) = re.findall(r'actor_options = {"(\w+)"}', PAGE.read_text())
    app = App(Settings(), MemoryStore())
    assert option not in app.broker.actor_options


def test_the_page_lists_every_port() -> None:
    from dataclasses import fields

    from middleware.stack import Ports

    text = PAGE.read_text()
    assert [port.name for port in fields(Ports) if f"`{port.name}`" not in text] == []


def test_each_place_says_by_what_it_was_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(
        monkeypatch,
        middleware={
            "without": ["job_log"],
            "replace": {"progress": "tests.middleware.extras.Noting"},
            "extra": ["tests.middleware.extras.Rules"],
        },
    )
    found = {layer.place: (type(layer.middleware).__name__, layer.source) for layer in app.layers}
    assert found["progress"] == ("Noting", "replace")
    assert found["job_log"] == ("NoneType", "without")
    assert found["telemetry"] == ("NoneType", "off")
    assert found["retries"] == ("Retries", "default")
    assert found[""] == ("Rules", "extra")
    assert [layer.middleware for layer in app.layers if layer.middleware] == app.broker.middleware[1:]
