"""What scripts may reach over the network: the table [network]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class NetworkPolicy(NamedTuple):
    allow: tuple[str, ...] = ("*",)
    """Hosts that scripts may reach: exact names, or `*.example.com` for every name below."""
    deny: tuple[str, ...] = ()
    """Hosts that they may not reach; a deny wins over every allow."""
    allow_private: tuple[str, ...] = ()
    """Addresses that are not public and may be reached all the same, each with its port: `127.0.0.1:8000`."""


TIGHTER: Mapping[str, str] = {"allow": "covered", "deny": "adds"}
