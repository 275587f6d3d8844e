"""What an id may look like: one rule for the broker, the API and the command line."""

import hashlib
import re
import string

from jobs.errors import InvalidPayload

LONGEST_JOB_ID = 128
LONGEST_TENANT = 100
LONGEST_GATE = 100

#: What a caller gives. No slash, because an id is one part of an address; no mark at the start, because
#: `..` is no part of one and a hyphen would be an option on the command line.
JOB_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:@-]{{0,{LONGEST_JOB_ID - 1}}}")

#: Between tenant and id. Neither has one of its own.
SCOPE = "~"
#: What a job is found by: a caller's id of a tenant has the tenant before it. `=20` stands for a space.
STORED_ID = re.compile(
    rf"(?:[A-Za-z0-9=][A-Za-z0-9._:@=-]{{0,{LONGEST_TENANT - 1}}}{SCOPE})?{JOB_ID.pattern}"
)

_FIRST = frozenset((string.ascii_letters + string.digits).encode())
_PLAIN = _FIRST | frozenset(b"._:@-")
#: A gate of this name admits one job at a time; these are made for the unique mode `latest`.
ONE_AT_A_TIME = "one:"
UNIQUE_GATE = f"{ONE_AT_A_TIME}unique:"


def check_job_id(value: object) -> str:
    """The job id itself, as a caller gives it. Raises InvalidPayload when it could not be one."""
    if not isinstance(value, str) or not JOB_ID.fullmatch(value):
        raise InvalidPayload(
            f"job_id must be 1 to {LONGEST_JOB_ID} letters, digits and ._:@-, first a letter or digit."
        )
    return value


def check_stored_id(value: object) -> str:
    """The id itself, as a job is looked up by it. Raises InvalidPayload when no job could have it."""
    if not isinstance(value, str) or not STORED_ID.fullmatch(value):
        raise InvalidPayload(
            f"a job's id is 1 to {LONGEST_JOB_ID} letters, digits and ._:@-, for an id that a tenant gave "
            f"with the tenant and {SCOPE} before it."
        )
    return value


def scoped_id(tenant: str, job_id: str) -> str:
    """The id under which a caller's id is stored: `acme~invoice-7`, so that tenants have ids apart.

    Without a tenant it is the id itself. What else than letters, digits and ._:@- is in the tenant's own id
    is written as `=` and two hex digits a byte, so that the whole needs no quoting in an address or a log.
    """
    return f"{_plain(tenant)}{SCOPE}{job_id}" if tenant else job_id


def check_tenant_id(value: object) -> str:
    """The tenant id itself. Raises InvalidPayload when it could not be one."""
    return _printable("tenant_id", value, LONGEST_TENANT)


def check_gate(value: object) -> str:
    """The gate's name itself. Raises InvalidPayload when it could not be one."""
    gate = _printable("gate", value, LONGEST_GATE)
    if gate.startswith(UNIQUE_GATE):
        raise InvalidPayload(f"gate must not begin with {UNIQUE_GATE}, which unique jobs use.")
    return gate


def _printable(name: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise InvalidPayload(f"{name} must be 1 to {longest} printable characters.")
    return value


def _plain(tenant: str) -> str:
    if JOB_ID.fullmatch(tenant):
        return tenant
    raw = tenant.encode()
    text = "".join(
        chr(byte) if byte in (_PLAIN if at else _FIRST) else f"={byte:02X}" for at, byte in enumerate(raw)
    )
    if len(text) <= LONGEST_TENANT:
        return text
    # A hundred Chinese letters would be nine hundred characters. `==` comes from no escape.
    return f"{text[: LONGEST_TENANT - 34]}=={hashlib.sha256(raw).hexdigest()[:32]}"
