"""Whether the API process itself answers; for load balancers, so it needs no key and tells nothing."""

from fastapi import APIRouter

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the API answers")
def healthz() -> dict[str, str]:
    return {"status": "ok"}
