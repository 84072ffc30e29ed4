"""The part of a peer's address that tells callers apart."""

from ipaddress import IPv6Address, IPv6Network
from urllib.parse import unquote

__all__ = ["address_of"]

_NETWORK_BITS = 64
"""A host usually has a whole /64 of IPv6 addresses, so single ones say nothing about who it is."""


def address_of(peer: str) -> str:
    """Return the address in a peer as gRPC names it, such as `ipv4:127.0.0.1:48128`.

    Returns:
        The IPv4 address, or the IPv6 /64 network; anything else as it is, without the port.
    """
    kind, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0]
    if kind != "ipv6":
        return f"{kind}:{host}"
    address = IPv6Address(host.strip("[]").partition("%")[0])
    if address.ipv4_mapped:
        return f"ipv4:{address.ipv4_mapped}"
    return f"ipv6:{IPv6Network((int(address), _NETWORK_BITS), strict=False)}"
