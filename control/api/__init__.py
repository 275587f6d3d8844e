"""The HTTP API: a thin face of the service. Routers by subject, one error shape, one bearer key."""

from control.api.application import create_api

__all__ = ["create_api"]
