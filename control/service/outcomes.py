"""Cached results are forgotten, and blobs whose job is gone are removed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from broker.result_cache import prefix_of
from control.service.journal import acting, record
from control.service.requests import CHUNK, Strict, Tenant
from control.service.views import View
from jobs.blobs import Swept
from jobs.errors import UnknownActor

if TYPE_CHECKING:
    from actors.composition import App


class CacheRequest(Strict):
    """Which cached results: of an actor, of all tenants or of one."""

    actor: str = Field(min_length=1, max_length=200)
    tenant_id: Tenant | None = None


class Cleared(View):
    """How many results were forgotten."""

    actor: str
    cleared: int


class CacheActions:
    """`by` is who does it. Raises UnknownActor, StoreUnavailable, and what the journal raises."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def clear(self, request: CacheRequest) -> Cleared:
        """Forget the results of an actor; its next jobs run."""
        if request.actor not in self._app.broker.actors:
            raise UnknownActor(f"There is no actor named {request.actor!r}.")
        prefix, cleared = prefix_of(request.actor, request.tenant_id), 0
        with acting(
            self._app, self._by, "cache.clear", target=request.actor, tenant=request.tenant_id
        ) as deed:
            while done := self._app.store.clear_cache(prefix, CHUNK):
                cleared += done
                deed.count = cleared
            record(self._by, "cache.clear", actor=request.actor, tenant=request.tenant_id, cleared=cleared)
        return Cleared(actor=request.actor, cleared=cleared)


class BlobActions:
    """`by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def sweep(self) -> Iterator[Swept]:
        """Remove blobs whose job is gone, as an operator's act; gives what was done after each chunk."""
        from actors.upkeep import sweep_blobs

        done = Swept()
        with acting(self._app, self._by, "blobs.sweep") as deed:
            try:
                for done in sweep_blobs(self._app):
                    yield done
            finally:
                deed.count = done.removed
                record(self._by, "blobs.sweep", removed=done.removed, bytes=done.bytes)
