"""The fleet's keys: what signs messages, and what the tenants' keys are wrapped with."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from settings.policy import Section
from settings.redis_section import Text
from settings.units import FrozenMap, Milliseconds, Seconds, Whole, empty_map

KEY_PREFIX = "cbk_"  # lets secret scanners and people recognise a key
KEY_BYTES = 32
LAST_NUMBER = 65_535


class KeySettings(Section):
    """Version numbers and keys, as `callboard keys new` prints them. Without any, `file` holds them.

    - `current` is the version that closes; all in `ring` open. None: the highest number.
    - `file` is `keys.json` under the home folder unless set; it is read again when it changes, and
      `callboard keys rotate` writes it.
    - `tolerance` is how far the clocks of hosts may be apart: a message whose seal is so much older or newer
      than its job is taken for a repeated one.
    - `cache_seconds` is how long a process remembers a tenant's key: so long after `keys shred` others may
      still read. `offline_seconds` is how long it goes on with one while the database does not answer.
    """

    ring: FrozenMap[SecretStr] = Field(default_factory=empty_map)
    current: Annotated[Whole, Field(ge=1, le=LAST_NUMBER)] | None = None
    file: Text | None = None
    tolerance: Annotated[Milliseconds, Field(ge=1_000)] = 600_000
    cache_seconds: Annotated[Seconds, Field(ge=0, le=60)] = 5.0
    offline_seconds: Annotated[Seconds, Field(ge=0, le=3_600)] = 300.0

    @field_validator("ring")
    @classmethod
    def _numbered_keys(cls, ring: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for number, key in ring.items():
            if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > LAST_NUMBER:
                raise ValueError(f'must have whole numbers from 1 to {LAST_NUMBER} as names, such as "1"')
            if key_bytes(key.get_secret_value()) is None:
                raise ValueError(
                    f"must have keys as `callboard keys new` makes them ({KEY_PREFIX}…), or 64 hex digits"
                )
        return ring

    @model_validator(mode="after")
    def _current_is_there(self) -> "KeySettings":
        if self.current is not None and self.ring and str(self.current) not in self.ring:
            raise ValueError(f"must have key {self.current} in ring, because it is the current one")
        if self.current is not None and not self.ring:
            raise ValueError("must have a ring when current is set")
        if self.ring and self.file is not None:
            raise ValueError("must have ring or file, not both")
        return self


def key_bytes(text: str) -> bytes | None:
    """The key in its text form; None when it is none."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return bytes.fromhex(text)  # as `openssl rand -hex 32` makes them
    body = text.removeprefix(KEY_PREFIX)
    if body == text:
        return None
    try:
        key = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def key_text(key: bytes) -> str:
    """A key as a person puts it into the settings."""
    return KEY_PREFIX + base64.urlsafe_b64encode(key).decode().rstrip("=")
