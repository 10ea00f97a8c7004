"""Names of hosts in one form, and the patterns that settings write for them.  Pure.

Rules
- There is one form, and only it is compared, resolved and sent: lower case, IDNA, no dot at the end, an address without brackets.
- What a resolver or another program could read in two ways is refused: `127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`, `fe80::1%eth0`.
- `*.example.com` stands for every name below example.com, by whole labels, and not for example.com.  `*` stands for every name, and for no
  address: an address must be listed itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .addresses import Address, address_of

LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")


class Host(NamedTuple):
    """`name` in its one form; `address` where the name is one."""

    name: str
    address: Address | None = None

    @property
    def written(self) -> str:
        """As it stands in a URL."""
        return f"[{self.name}]" if ":" in self.name else self.name


class Pattern(NamedTuple):
    """Of settings: a host, all hosts below `suffix` (".example.com", "" for all hosts), and the port, 0 for any that is open."""

    name: str
    suffix: str | None
    port: int

    def covers(self, host: Host, port: int) -> bool:
        if self.port not in (0, port):
            return False
        if self.suffix is None:
            return host.name == self.name
        return host.address is None and host.name.endswith(self.suffix)


def host_of(text: str) -> Host:
    """Raises ValueError saying what is wrong."""
    if text.startswith("[") or ":" in text:
        return _bracketed(text)
    if len(text) > LONGEST_NAME + 1:
        raise ValueError(f"its host is longer than {LONGEST_NAME} characters")
    name = _ascii(text).removesuffix(".")
    if not name:
        raise ValueError("it has no host")
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("its host is not a name: letters, digits, '-' and '_' in parts of at most 63, with dots between")
    if not _NUMBER.fullmatch(labels[-1]):
        return Host(name)
    # a name never ends in a number: resolvers read this as an IPv4 address, some in ways that others do not
    address = address_of(name)
    if address is None or str(address) != name:
        raise ValueError("its host is an address in an unusual form; write it as four decimal numbers with dots")
    return Host(name, address)


def port_of(text: str) -> int:
    """Raises ValueError."""
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65_536:
        raise ValueError("its port is not a number from 1 to 65535")
    return int(text)


def split_port(text: str) -> tuple[str, str]:
    """(host, port) as written, of `host`, `host:port`, `[::1]` and `[::1]:port`; "" for no port."""
    if text.startswith("["):
        inner, closed, rest = text.partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("its host has brackets that do not close")
        return inner + closed, rest[1:]
    host, _, port = text.partition(":")
    return host, port


@lru_cache(maxsize=1_000)
def pattern_of(text: str) -> Pattern:
    """Raises ValueError saying what a pattern may be."""
    try:
        written, port_text = split_port(text)
        port = port_of(port_text) if port_text else 0
        if written == "*":
            return Pattern("*", "", port)
        if written.startswith("*."):
            below = host_of(written[2:])
            if below.address is not None:
                raise ValueError("an address has nothing below it")
            return Pattern(f"*.{below.name}", f".{below.name}", port)
        return Pattern(host_of(written).name, None, port)
    except ValueError as error:
        raise ValueError(
            f"'{text}' is no host: {error}; write a name (api.example.com), all names below one (*.example.com), an address or '*', "
            "each with a port behind it (:8443) where it is for that port alone"
        ) from None


def covers(ours: str, theirs: str) -> bool:
    """Is every host and port that `theirs` stands for among those of `ours`?"""
    try:
        wide, narrow = pattern_of(ours), pattern_of(theirs)
    except ValueError:
        return False
    if wide.port != narrow.port:
        return False
    if wide.suffix is None:
        return narrow == wide
    if narrow.suffix is None:
        return address_of(narrow.name) is None and narrow.name.endswith(wide.suffix)
    return narrow.suffix.endswith(wide.suffix)


def _bracketed(text: str) -> Host:
    address = address_of(text[1:-1]) if text.startswith("[") and text.endswith("]") and ":" in text else None
    if address is None:
        raise ValueError("its host is no IPv6 address in brackets")
    return Host(str(address), address)


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    import idna  # its tables cost 8 ms, and few names need them

    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ValueError("its host holds characters that no name may have") from None
