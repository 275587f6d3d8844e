"""The port behind which the tenants' keys lie, wrapped with the fleet's. database/tenant_keys.py is SQL."""

from typing import NamedTuple, Protocol


class WrappedKey(NamedTuple):
    """A tenant's secret as it is stored. `wrapped` is None when it was shredded; `number` tells it from
    former ones of the tenant, `fleet_key` is the version it is wrapped with."""

    tenant: str
    number: int
    fleet_key: int
    wrapped: bytes | None


class WrappedKeys(Protocol):
    """Where they are stored. Raises CallboardError when that does not answer."""

    def get(self, tenant: str) -> WrappedKey | None: ...

    def add(self, key: WrappedKey) -> WrappedKey:
        """Store the first key of a tenant; the one that is there when another process came first."""

    def renew(self, key: WrappedKey) -> bool:
        """Store another key for a tenant whose key was shredded; False when it was not."""

    def rewrap(self, before: WrappedKey, after: WrappedKey) -> bool:
        """Put `after` in the place of `before`; False when that has changed."""

    def shred(self, tenant: str) -> bool:
        """Delete the secret for ever; False when there was none. None is made for the tenant from then on."""

    def wrapped_with(self, fleet_key: int) -> int:
        """How many are wrapped with a version."""

    def all_but(self, fleet_key: int, after: str | None, limit: int) -> list[WrappedKey]:
        """Those wrapped with any other version, by tenant."""
