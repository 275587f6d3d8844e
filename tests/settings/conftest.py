"""A configuration read from a folder and an environment of the test's own."""

from pathlib import Path
from typing import Protocol

import pytest

from settings import Settings, SettingsError, load_settings


class Load(Protocol):
    def __call__(self, toml: str = "", **environ: str) -> Settings: ...


class Refused(Protocol):
    def __call__(self, toml: str = "", **environ: str) -> str: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from the text of a `callboard.toml` and the given environment variables."""

    def load(toml: str = "", **environ: str) -> Settings:
        (tmp_path / "callboard.toml").write_text(toml, encoding="utf-8")
        return load_settings(environ, tmp_path)

    return load


@pytest.fixture
def refused(load: Load) -> Refused:
    """The sentence with which a configuration is refused."""

    def refused(toml: str = "", **environ: str) -> str:
        with pytest.raises(SettingsError) as caught:
            load(toml, **environ)
        # pydantic's own error holds the values, so it must not travel along.
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused
