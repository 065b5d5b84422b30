"""Which addresses anybody in the internet may reach: the one table of those that are not, and who reads it.

The lines are those of IANA's special-purpose address registries (RFC 6890) of IPv4 and IPv6, also of the blocks that
these call globally reachable, as no provider's server lies in them; multicast and what was withdrawn; and the address
of a cloud's own services that lies among public ones.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple


class SpecialBlock(NamedTuple):
    """Addresses that are not public."""

    network: str
    use: str
    source: str
    """Where it is said."""


SPECIAL_BLOCKS = (
    SpecialBlock("0.0.0.0/8", "this network", "RFC 791"),
    SpecialBlock("10.0.0.0/8", "private use", "RFC 1918"),
    SpecialBlock("100.64.0.0/10", "shared by customers of a provider", "RFC 6598"),
    SpecialBlock("127.0.0.0/8", "loopback", "RFC 1122"),
    SpecialBlock("168.63.129.16/32", "services of a virtual machine's host", "Microsoft Azure"),
    SpecialBlock("169.254.0.0/16", "link-local, metadata of clouds", "RFC 3927"),
    SpecialBlock("172.16.0.0/12", "private use", "RFC 1918"),
    SpecialBlock("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    SpecialBlock("192.0.0.0/29", "IPv4 service continuity", "RFC 7335"),
    SpecialBlock("192.0.0.8/32", "dummy address", "RFC 7600"),
    SpecialBlock("192.0.0.9/32", "port control protocol", "RFC 7723"),
    SpecialBlock("192.0.0.10/32", "relays around NAT", "RFC 8155"),
    SpecialBlock("192.0.0.170/31", "discovery of NAT64 and DNS64", "RFC 8880"),
    SpecialBlock("192.0.2.0/24", "documentation", "RFC 5737"),
    SpecialBlock("192.31.196.0/24", "AS112", "RFC 7535"),
    SpecialBlock("192.52.193.0/24", "multicast tunnels", "RFC 7450"),
    SpecialBlock("192.88.99.0/24", "6to4 relays, withdrawn", "RFC 7526"),
    SpecialBlock("192.88.99.2/32", "6a44 relays", "RFC 6751"),
    SpecialBlock("192.168.0.0/16", "private use", "RFC 1918"),
    SpecialBlock("192.175.48.0/24", "AS112", "RFC 7534"),
    SpecialBlock("198.18.0.0/15", "benchmarks", "RFC 2544"),
    SpecialBlock("198.51.100.0/24", "documentation", "RFC 5737"),
    SpecialBlock("203.0.113.0/24", "documentation", "RFC 5737"),
    SpecialBlock("224.0.0.0/4", "multicast", "RFC 5771"),
    SpecialBlock("240.0.0.0/4", "reserved", "RFC 1112"),
    SpecialBlock("255.255.255.255/32", "limited broadcast", "RFC 919"),
    SpecialBlock("::/128", "unspecified", "RFC 4291"),
    SpecialBlock("::1/128", "loopback", "RFC 4291"),
    SpecialBlock("::/96", "IPv4-compatible, withdrawn", "RFC 4291"),
    SpecialBlock("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    SpecialBlock("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    SpecialBlock("64:ff9b:1::/48", "local translation of IPv4", "RFC 8215"),
    SpecialBlock("100::/64", "discard only", "RFC 6666"),
    SpecialBlock("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    SpecialBlock("2001::/23", "protocol assignments", "RFC 2928"),
    SpecialBlock("2001::/32", "Teredo", "RFC 4380"),
    SpecialBlock("2001:1::1/128", "port control protocol", "RFC 7723"),
    SpecialBlock("2001:1::2/128", "relays around NAT", "RFC 8155"),
    SpecialBlock("2001:1::3/128", "registration of services", "RFC 9665"),
    SpecialBlock("2001:2::/48", "benchmarks", "RFC 5180"),
    SpecialBlock("2001:3::/32", "multicast tunnels", "RFC 7450"),
    SpecialBlock("2001:4:112::/48", "AS112", "RFC 7535"),
    SpecialBlock("2001:10::/28", "hash identifiers, withdrawn", "RFC 4843"),
    SpecialBlock("2001:20::/28", "hash identifiers", "RFC 7343"),
    SpecialBlock("2001:30::/28", "identifiers of drones", "RFC 9374"),
    SpecialBlock("2001:db8::/32", "documentation", "RFC 3849"),
    SpecialBlock("2002::/16", "6to4", "RFC 3056"),
    SpecialBlock("2620:4f:8000::/48", "AS112", "RFC 7534"),
    SpecialBlock("3fff::/20", "documentation", "RFC 9637"),
    SpecialBlock("5f00::/16", "segment routing", "RFC 9602"),
    SpecialBlock("fc00::/7", "unique local", "RFC 4193"),
    SpecialBlock("fe80::/10", "link-local", "RFC 4291"),
    SpecialBlock("fec0::/10", "site-local, withdrawn", "RFC 3879"),
    SpecialBlock("ff00::/8", "multicast", "RFC 4291"),
)
"""Blocks within others are lines of the registries, too, so that each line can be compared with them."""
NETWORKS = tuple(ip_network(block.network) for block in SPECIAL_BLOCKS)
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA gives out of IPv6 (RFC 4291, 2.4)."""
NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses that networks without IPv4 translate (RFC 6052): the last 32 bits are the address that is reached."""
ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Before the last 32 bits of an address: these are the IPv4 address of a tunnel's end (RFC 5214)."""


def is_public(address: str) -> bool:
    """Whether an address, in its usual notation, is one that anybody in the internet may reach."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_ipv6(ip) if isinstance(ip, IPv6Address) else _is_unlisted(ip)


def _is_public_ipv6(ip: IPv6Address) -> bool:
    if ip.scope_id is not None:  # why: a zone is of this machine
        return False
    last = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if ip in NAT64:
        return _is_unlisted(last)
    if (int(ip) >> 32) & 0xFFFF_FFFF in ISATAP and not _is_unlisted(last):
        return False
    return ip in GLOBAL_UNICAST and _is_unlisted(ip)


def _is_unlisted(ip: IPv4Address | IPv6Address) -> bool:
    return not any(ip in network for network in NETWORKS)


def is_address(host: str) -> bool:
    """Whether the host of a URL is an address in whatever notation: no resolver needs to be asked, and none is.

    A name whose last label is a number is one (decimal, octal or hexadecimal, short, with a dot at its end), as the
    URL standard has it: no top-level domain is a number, and resolvers read what `ip_address` does not.
    """
    if ":" in host:
        return True
    last = host.removesuffix(".").rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))
