"""Where arguments go that are too large for the job store."""

from typing import Annotated, Literal

from pydantic import Field

from settings.policy import Section
from settings.redis_section import Text
from settings.units import Milliseconds, Whole


class BlobSettings(Section):
    """`store` is the database, or a folder (None: `blobs` under the home folder) that all machines share.

    Arguments over `max_bytes` are refused also where a queue allows blobs. A sweep leaves blobs alone that
    are younger than `young_ms`.
    """

    store: Literal["database", "folder"] = "database"
    folder: Text | None = None
    max_bytes: Annotated[Whole, Field(ge=1)] = 52_428_800
    young_ms: Milliseconds = 900_000
