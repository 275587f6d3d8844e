"""What the platform tells of itself: metrics, traces, logs."""

from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from settings.policy import Section
from settings.redis_section import Host, Text
from settings.units import Whole


class TelemetrySettings(Section):
    """Metrics, traces and logs. Everything is off until it is asked for.

    - `metrics_port` (0 or unset: off) is where a worker process serves `/metrics` on `metrics_host`; several
      processes on one host take the ports from there on. `metrics_api` says who may read the API's
      `/metrics`: whoever has the key, anybody (`open`), or nobody (`off`).
    - `tenant_label` gives metrics a series by tenant, and alerts a tag; beyond `tenant_label_limit` tenants a
      series is called "other".
    - `opencell` adds the two series that S4 names.
    - `otlp_endpoint` is the base URL of an OTLP/HTTP collector (OTEL_EXPORTER_OTLP_ENDPOINT); `otlp_headers`
      are sent with each export, as `name=value,name=value`. `trace_share` of the traces is kept.
    - `json_logs` None: in production.
    """

    metrics_port: Annotated[Whole, Field(ge=0, le=65_535)] | None = None
    metrics_host: Host = "127.0.0.1"
    metrics_api: Literal["key", "open", "off"] = "key"
    tenant_label: bool = False
    tenant_label_limit: Annotated[Whole, Field(ge=1, le=10_000)] = 100
    opencell: bool = False
    otlp_endpoint: Text | None = None
    otlp_headers: SecretStr | None = None
    service_name: Text = "callboard"
    trace_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    json_logs: bool | None = None

    @field_validator("otlp_endpoint")
    @classmethod
    def _a_web_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good or "@" in parts.netloc:
            raise ValueError("must be a URL like http://collector:4318; credentials go into otlp_headers")
        return url.rstrip("/")

    @field_validator("otlp_headers")
    @classmethod
    def _names_and_values(cls, headers: SecretStr | None) -> SecretStr | None:
        if headers is not None and not all("=" in part for part in _parts(headers)):
            raise ValueError("must be name=value, several separated by commas")
        return headers

    @property
    def counts(self) -> bool:
        """Whether this process counts what it does."""
        return bool(self.metrics_port)

    def headers(self) -> dict[str, str]:
        """The headers of an export."""
        if self.otlp_headers is None:
            return {}
        pairs = (part.partition("=") for part in _parts(self.otlp_headers))
        # Lower case and percent-encoding, as OTEL_EXPORTER_OTLP_HEADERS is defined.
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _parts(headers: SecretStr) -> list[str]:
    return [part for part in headers.get_secret_value().split(",") if part.strip()]
