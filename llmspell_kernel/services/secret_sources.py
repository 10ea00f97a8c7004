"""Where a secret comes from and which hosts may get it.  Pure.

Rules
- A secret goes to the hosts that it names, over https: to a name, or to all below one (`*.example.com`, at least two parts behind the star).
- A host stands for its port 443 alone; another port is named with it, as in `api.example.com:8443`.
- Only a host of this very machine (`127.0.0.1`, `localhost`) may get one without encryption, and only where it is named; on any port, where
  none is named with it, as servers of a test change theirs.
- No message quotes what stands in place of a source: it may be the value, put there by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from llmspell_kernel.errors import nearest

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.{_LABEL}\.)?(?:{_LABEL}\.)*{_LABEL}|\[[0-9a-f:.]+\]")
HTTPS_PORT = 443
LOCALHOST = "localhost"


class SecretSource(NamedTuple):
    """One of `env` (a variable's name) and `file` (a path); neither where the value was given by Python."""

    env: str = ""
    file: str = ""
    hosts: tuple[str, ...] = ()


class WrongSource(ValueError):
    """Says what is wrong with a declaration."""


def source_of(table: Mapping[str, Any]) -> SecretSource:
    """A table of the settings, `{env = "TOKEN", hosts = ["api.example.com"]}`, checked.  Raises WrongSource."""
    for key in table:
        if key not in SecretSource._fields:
            raise WrongSource(
                f"has no setting '{key[:40]}'{nearest(key, SecretSource._fields)}; a value itself never stands in a settings file"
            )
    if ("env" in table) == ("file" in table):
        raise WrongSource('needs one of env = "VARIABLE" and file = "/path/to/file"')
    source, hosts = table.get("env", table.get("file")), table.get("hosts", ())
    if "env" in table and not (isinstance(source, str) and VARIABLE.fullmatch(source)):
        raise WrongSource('must name a variable, as in env = "GITHUB_TOKEN", and not hold the value')
    if "file" in table and not (isinstance(source, str) and source.startswith(("/", "~/"))):
        raise WrongSource("must name a file whose path begins with / or ~/, and not hold the value")
    return SecretSource(table.get("env", ""), table.get("file", ""), checked_hosts(hosts))


def check_name(name: str) -> None:
    """Raises WrongSource for what cannot name a secret."""
    if not NAME.fullmatch(name):
        raise WrongSource("a secret's name is a letter, then letters, digits and _ . -, at most 64 in all")


def checked_hosts(hosts: Any) -> tuple[str, ...]:
    """The hosts as they are compared.  Raises WrongSource for one that is no host."""
    if isinstance(hosts, str) or not isinstance(hosts, Sequence) or not all(isinstance(host, str) for host in hosts):
        raise WrongSource('hosts must be a list of hosts such as ["api.github.com"]')
    return tuple(dict.fromkeys(_checked_host(host) for host in hosts))


def _checked_host(host: str) -> str:
    name, port = split_host(host)
    if not _HOST.fullmatch(name) or port is None:
        hint = "write the host alone, without https:// and path" if "/" in host else 'such as "api.github.com" or "*.example.com"'
        raise WrongSource(f"'{host[:80]}' is no host: {hint}" if host.isprintable() else f"a host holds what no host may: {hint}")
    return name if port == HTTPS_PORT else f"{name}:{port}"


def split_host(host: str) -> tuple[str, int | None]:
    """Name in its canonical form, and port (that of https where none is said, None for one that cannot be)."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, str(HTTPS_PORT)
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    return name.lower().removesuffix("."), number if 0 < number < 65_536 else None


def allows(hosts: Sequence[str], host: str, scheme: str) -> bool:
    """May the secret of these hosts (as `checked_hosts` gives them) go there?"""
    name, port = split_host(host)
    if port is None or not (scheme == "https" or (scheme == "http" and is_this_machine(name))):
        return False
    return any(_covers(known, name, port) for known in hosts)


def is_this_machine(name: str) -> bool:
    if name == LOCALHOST:
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _covers(known: str, name: str, port: int) -> bool:
    ours, our_port = split_host(known)
    if port != our_port and not (our_port == HTTPS_PORT and is_this_machine(ours)):
        return False
    return name.endswith(ours[1:]) and name != ours[2:] if ours.startswith("*.") else name == ours
