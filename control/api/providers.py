"""Providers over HTTP: their breakers, and the rate that they are given."""

from fastapi import APIRouter

from control.api.access import LimitVerbs, bearer
from control.api.errors import documented
from control.service.limit_views import ProviderView

router = APIRouter(prefix="/api/v1/providers", tags=["limits"], dependencies=[bearer])


@router.get("", summary="See the providers", responses=documented(401, 500, 503))
def get_providers(verbs: LimitVerbs) -> list[ProviderView]:
    """Those of the settings, and those that an actor names."""
    return verbs.providers()


@router.post(
    "/{provider}/reset", summary="Close a provider's breaker", responses=documented(401, 404, 500, 503)
)
def reset(provider: str, verbs: LimitVerbs) -> ProviderView:
    """It gets its whole rate again, and what waits for it goes on."""
    return verbs.reset(provider)
