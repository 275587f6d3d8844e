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


class RestoreRequest(Strict):
    """Who gets a new key."""

    tenant_id: Tenant


class Restored(BaseModel):
    """Whether the key was shredded before."""

    restored: bool


class RetireRequest(Strict):
    """Which version is given up."""

    number: int = Field(ge=1)


class ResealedAll(BaseModel):
    """Payloads and tenants' keys that were looked at, sealed anew, and such that do not open here: forged,
    shredded, or closed with a key that is not here."""

    looked: int
    done: int
    unreadable: int


@router.get("", summary="See the versions of the key", responses=documented(401, 500, 503))
def list_keys(keys: KeyVerbs) -> list[KeyVersion]:
    """Numbers only: which version closes, and which only open."""
    return keys.versions()


@router.post("/rotate", summary="Take a new key into use", responses=REFUSALS)
def rotate(keys: KeyVerbs) -> KeyVersion:
    """A new version in the file of keys. It closes from `usedFrom` on, when every process has read it;
    `callboard keys rotate --reseal` then brings over what waits. Refused where the settings hold the keys."""
    return keys.add()


@router.post("/reseal", summary="Bring everything over to the current key", responses=REFUSALS)
def reseal(keys: KeyVerbs) -> ResealedAll:
    """Wraps the tenants' keys and seals all payloads anew with the key that closes now; answers when that is
    done. May be repeated at any time."""
    total = ResealedAll(looked=0, done=0, unreadable=0)
    for chunk in keys.reseal():
        total.looked += chunk.looked
        total.done += chunk.done
        total.unreadable += chunk.unreadable
    return total


@router.post("/retire", summary="Give up an old key", responses=REFUSALS)
def retire(
    body: Annotated[RetireRequest, shown("The first one", {"number": 1})], keys: KeyVerbs
) -> list[KeyVersion]:
    """Refused while a payload or a tenant's key needs it, and for ten minutes (`keys.tolerance`) after the
    change of keys, because messages that were closed before may be on their way. Answers with the keys that
    are left."""
    keys.retire(body.number)
    return keys.versions()


@router.post("/shred", summary="Make a tenant's data unreadable", responses=REFUSALS)
def shred(
    body: Annotated[ShredRequest, shown("For ever", ACME)],
    keys: KeyVerbs,
) -> Shredded:
    """Deletes the tenant's key: all of its encrypted data is unreadable, copies and backups of it too.

    Running processes forget the key within a few seconds. New jobs of the tenant that would be encrypted are
    refused until `POST /api/v1/keys/restore`.
    """
    return Shredded(shredded=keys.shred(body.tenant_id, body.confirm))


@router.post("/restore", summary="Let a shredded tenant have new jobs", responses=REFUSALS)
def restore(
    body: Annotated[RestoreRequest, shown("A tenant", {"tenantId": "acme"})], keys: KeyVerbs
) -> Restored:
    """Gives the tenant a new key; what was encrypted with the old one stays unreadable. `restored` is false
    when its key was not shredded."""
    return Restored(restored=keys.restore(body.tenant_id))
