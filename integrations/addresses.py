"""Which addresses may be called on behalf of a tenant: the guard against server-side request forgery."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

from integrations.errors import PermanentFailure, TransientFailure

Address = IPv4Address | IPv6Address

# What Python 3.11 calls global but is not the open internet: two clouds' metadata services (Azure's and,
# within the protocol assignments, Oracle's), the old 6to4 relay and the old site-local addresses.
_REFUSED = tuple(
    map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "fec0::/10"))
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))


class AddressRefused(PermanentFailure):
    """The host resolves to an address inside a private, local or reserved network."""


def allowed_addresses(host: str, port: int, *, allow_private: bool = False) -> list[str]:
    """Resolve `host` and return its addresses, in the resolver's order.

    One forbidden address refuses the host as a whole: who controls a name may mix good and bad ones.
    Connect to what this returns and never resolve again, or the check is void (DNS rebinding).
    Raises AddressRefused, or TransientFailure if the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise TransientFailure(f"The host name {host!r} cannot be resolved.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private:
        for address in addresses:
            if not is_public(address):
                raise AddressRefused(
                    f"The host {host!r} is at {address}, inside a private or reserved network: "
                    "use a public address, or allow private ones for this endpoint."
                )
    return addresses


def is_public(address: str) -> bool:
    """Whether `address` is a public unicast address; a v4 address inside a v6 one is judged as itself."""
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    inner = _embedded(ip) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    return not any(ip in network for network in _REFUSED)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The v4 address that a mapped, compatible, 6to4, Teredo or NAT64 address leads to."""
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour
    if ip.teredo:
        return ip.teredo[1]
    if any(ip in network for network in _NAT64) or 1 < int(ip) < 2**32:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None
