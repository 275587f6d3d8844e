"""Libraries of optional extras that the settings ask for: missing ones end the start, not a job."""

from collections.abc import Iterator
from importlib.util import find_spec

from settings import Settings, SettingsError

_OTLP = "opentelemetry.exporter.otlp.proto.http"


def refuse_missing_extras(settings: Settings) -> None:
    """Raise SettingsError, which says what to install."""
    for key, library, module, extra in _wanted(settings):
        if not is_installed(module):
            raise SettingsError(
                f"{key}, but {library} is not installed: install the extra {extra} "
                f"(pip install -e '.[{extra}]' in the checkout), or unset it."
            )


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in is missing already
        return False


def _wanted(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    if settings.telemetry.otlp_endpoint is not None:
        yield "telemetry.otlp_endpoint is set", "opentelemetry", _OTLP, "telemetry"
    if settings.blobs.store == "s3":
        yield 'blobs.store is "s3"', "obstore", "obstore", "s3"
