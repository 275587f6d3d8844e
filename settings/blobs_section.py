"""Where arguments go that are too large for the job store."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from settings.policy import Section
from settings.redis_section import Text
from settings.sections import is_loopback
from settings.units import Milliseconds, Whole


class BlobSettings(Section):
    """`store` is the database, a folder that all machines share (None: `blobs` under the home), or `s3`.

    - Arguments over `max_bytes` are refused also where a queue allows blobs. A sweep leaves blobs alone that
      are younger than `young_ms`.
    - `s3` is a bucket of Amazon's or of any store that speaks the same: `bucket` with `prefix` before each
      object's name, `endpoint` (None: Amazon's of the `region`), `access_key` and `secret_key` (None: what
      Amazon's own tools would take from the environment or the machine's role).
    """

    store: Literal["database", "folder", "s3"] = "database"
    folder: Text | None = None
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$")] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]*$")] = "callboard/blobs"
    endpoint: Text | None = None
    region: Text = "us-east-1"
    access_key: Text | None = None
    secret_key: SecretStr | None = None
    max_bytes: Annotated[Whole, Field(ge=1)] = 52_428_800
    young_ms: Milliseconds = 900_000

    @field_validator("endpoint")
    @classmethod
    def _arguments_do_not_go_in_clear(cls, endpoint: str | None) -> str | None:
        address = urlsplit(endpoint or "https://amazon")
        if not address.hostname or address.username or address.query or address.fragment:
            raise ValueError("must be an address such as https://storage.example.com")
        if address.scheme != "https" and not (address.scheme == "http" and is_loopback(address.hostname)):
            raise ValueError("must begin with https:// (http:// only on a loopback address)")
        return endpoint

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.store == "s3" and self.bucket is None:
            raise ValueError('bucket must be given with store = "s3"')
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key must be given together")
        return self
