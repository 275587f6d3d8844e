"""The fleet's keys over HTTP. No key itself is ever sent."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from control.api.access import KeyVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.keys import KeyVersion
from control.service.requests import Strict, Tenant

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], dependencies=[bearer])

REFUSALS = documented(400, 401, 409, 413, 415, 422, 500, 503)
ACME = {"tenantId": "acme", "confirm": "acme"}


class ShredRequest(Strict):
    """Whose key is deleted, twice."""

    tenant_id: Tenant
    confirm: str = Field(description="the tenant's id once more")


class Shredded(BaseModel):
    """Whether there was a key."""

    shredded: bool


@router.get("", summary="See the versions of the key", responses=documented(401, 500, 503))
def list_keys(keys: KeyVerbs) -> list[KeyVersion]:
    """Numbers only: which version closes, and which only open."""
    return keys.versions()


@router.post("/rotate", summary="Take a new key into use", responses=REFUSALS)
def rotate(keys: KeyVerbs) -> KeyVersion:
    """A new version in the file of keys. It closes from `used_from` on, when every process has read it;
    `callboard keys rotate --reseal` then brings over what waits. Refused where the settings hold the keys."""
    return keys.add()


@router.post("/shred", summary="Make a tenant's data unreadable", responses=REFUSALS)
def shred(
    body: Annotated[ShredRequest, shown("For ever", ACME)],
    keys: KeyVerbs,
) -> Shredded:
    """Deletes the tenant's key: all of its encrypted data is unreadable, copies and backups of it too.

    Running processes forget the key within a few seconds. New jobs of the tenant that would be encrypted are
    refused until `callboard keys restore`.
    """
    return Shredded(shredded=keys.shred(body.tenant_id, body.confirm))
