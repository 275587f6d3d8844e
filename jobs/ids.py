"""What an id may look like: one rule for the broker, the API and the command line."""

import re

from jobs.errors import InvalidPayload

LONGEST_JOB_ID = 128
LONGEST_TENANT = 100

#: No slash, because an id is one part of an address; no mark at the start, because `..` is no part of one
#: and a hyphen would be an option on the command line.
JOB_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:@-]{{0,{LONGEST_JOB_ID - 1}}}")


def check_job_id(value: object) -> str:
    """The job id itself. Raises InvalidPayload when it could not be one."""
    if not isinstance(value, str) or not JOB_ID.fullmatch(value):
        raise InvalidPayload(
            f"job_id must be 1 to {LONGEST_JOB_ID} letters, digits and ._:@-, first a letter or digit."
        )
    return value


def check_tenant_id(value: object) -> str:
    """The tenant id itself. Raises InvalidPayload when it could not be one."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TENANT or not value.isprintable():
        raise InvalidPayload(f"tenant_id must be 1 to {LONGEST_TENANT} printable characters.")
    return value
