"""What signs and encrypts messages, and the keys for it. `jobs.sealing` is the port."""

from middleware.sealing.keyring import Keyring
from middleware.sealing.seal import FleetSeal
from middleware.sealing.tenant_keys import TenantKeys

__all__ = ["FleetSeal", "Keyring", "TenantKeys"]
