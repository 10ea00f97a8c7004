"""Which addresses are public.  Pure.

Rules
- IPv4: `is_global` says yes, and no network of REFUSED_V4 holds it.  IPv6: it lies in 2000::/3, the only part that is handed out for public
  use, `is_global` says yes, and no network of REFUSED_V6 holds it.
- An IPv4 address that is written as an IPv6 one (`::ffff:127.0.0.1`) is the IPv4 address.
- `is_global` alone is not enough: it accepts translated addresses (NAT64, 6to4, Teredo) behind which any IPv4 address may stand, multicast,
  192.0.0.0/24, `::/96` and fec0::/10.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# The special-purpose registries of IANA, and what was once special.
REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
REFUSED_V6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

LOCAL_V4 = tuple(IPv4Network(network) for network in ("127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"))
LOCAL_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))


def address_of(text: str) -> Address | None:
    """The address behind its usual written form, an embedded IPv4 one unwrapped; None for any other text, also `127.1` and `fe80::1%eth0`."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in REFUSED_V4)
    return address.is_global and address in PUBLIC_V6 and not any(address in network for network in REFUSED_V6)


def is_local(address: Address) -> bool:
    """Loopback, or of a private network: where a name that the user listed may lead.  Never link-local, where a cloud's metadata is."""
    return any(address in network for network in (LOCAL_V4 if isinstance(address, IPv4Address) else LOCAL_V6))
