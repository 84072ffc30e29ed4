"""What tells callers apart that have not signed in."""

import pytest
from userstream_server.interceptors.peer_address import address_of


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:48128", "ipv4:192.0.2.1"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:48128", "ipv6:2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:ffff::1]:1", "ipv6:2001:db8:1:2::/64"),
        ("ipv6:[::1]:48128", "ipv6:::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:48128", "ipv6:fe80::/64"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:48128", "ipv4:192.0.2.1"),
        ("unix:", "unix:"),
        ("unix:/run/userstream.sock", "unix:"),
    ],
)
def test_address(peer: str, address: str) -> None:
    """The port does not count, and of an IPv6 address only its network does."""
    assert address == address_of(peer)
