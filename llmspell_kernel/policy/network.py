"""Where scripts may go in the network, and how much of it: the table [network].  Pure.

Rules
- Public addresses only, unless `allow_private` names the host and its port.  A name is judged twice: by its text before it is looked up, and
  by every address that the look-up gave before one of them is dialled.
- `deny` wins.  Each hop of a redirect is a request of its own, and none leads from https to http or from the public network to a private one.
- A script writes no header that frames the message, names its host, or speaks to a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import ConfigError, DeniedError, ScriptError, nearest
from .addresses import Address, address_of, is_local, is_public
from .hosts import Host, Pattern, pattern_of
from .urls import Url, joined, url_of

MiB = 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MOST_HEADERS = 64
LONGEST_HEADERS = 16_384
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# They belong to the client: they frame the message, name its host, choose codings it can bound, or speak to a proxy.
OWN_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    )
)
# All that goes on to another origin: anything else may be a key.
KEPT_HEADERS = frozenset(("accept", "accept-language", "cache-control", "content-language", "content-type", "range"))


class NetworkPolicy(NamedTuple):
    allow: tuple[str, ...] = ("*",)
    """Hosts that scripts may call, at public addresses: names, `*.example.com` for all names below one, `*` for every name."""
    deny: tuple[str, ...] = ()
    """Hosts that they may not call; a deny wins over every allow."""
    allow_private: tuple[str, ...] = ()
    """Hosts of this machine or of a private network that they may call, each with its port, such as `127.0.0.1:8080`."""
    ports: tuple[int, ...] = (80, 443)
    """Ports that may be called; a host that is allowed with a port (`example.com:8443`) has that one."""
    methods: tuple[str, ...] = ("*",)
    """HTTP methods that may be used: `*` for GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, or some of them."""
    request_bytes: int = 8 * MiB
    """How large the body of a request may be."""
    response_bytes: int = 8 * MiB
    """How large the body of an answer may be once it is unpacked."""
    header_bytes: int = 64 * 1024
    """How large the head of an answer may be."""
    timeout_s: float = 30.0
    """How long a request may take in all, redirects and waiting for its turn included; a call may ask for less."""
    connect_s: float = 10.0
    """How long looking up a name and connecting may take."""
    redirects: int = 5
    """How many redirects a request follows; a call may ask for fewer."""
    concurrent: int = 8
    """How many requests of a session may be open at once; others wait."""
    requests_per_s: float = 50.0
    """How many requests a session may begin in a second; others wait."""
    ca_file: str = ""
    """A file of certificates (PEM) that are trusted beside the public ones."""

    def faults(self) -> Mapping[str, str]:
        """By field, what is wrong with its value."""
        faults = {field: fault for field in ("allow", "deny", "allow_private") if (fault := _fault_of(getattr(self, field)))}
        for text in () if faults else self.allow_private:
            if pattern_of(text).port == 0 or pattern_of(text).suffix is not None:
                faults["allow_private"] = f"'{text}' is not one host with its port, such as '127.0.0.1:8080'"
        if wrong := [port for port in self.ports if not 0 < port < 65_536]:
            faults["ports"] = f"{wrong[0]} is not a port: a number from 1 to 65535"
        if unknown := [method for method in self.methods if method not in (*METHODS, "*")]:
            faults["methods"] = f"there is no method '{unknown[0]}'{nearest(unknown[0], METHODS)}"
        return faults

    def url(self, text: str, query: str = "") -> Url:
        """The URL of a request, with more of a query, if it may be called.  Raises ScriptError ("url") or DeniedError."""
        url = url_of(text)
        if query:
            url = url._replace(path=f"{url.path}{'&' if '?' in url.path else '?'}{query}")
        self._check_url(url)
        return url

    def redirected(self, url: Url, location: str) -> Url:
        """Where a redirect from `url` leads, if it may be followed.  Raises ScriptError ("url") or DeniedError."""
        new = joined(url, location)
        self._check_url(new)
        if url.scheme == "https" and new.scheme == "http":
            raise DeniedError(f"{url.shown} redirects from https to http ({new.authority}), which would send the request in the open")
        if self.is_private(new.host, new.port) and not self.is_private(url.host, url.port):
            raise DeniedError(
                f"{url.shown} redirects to {new.authority}, which is not public; a public site may not lead there, call it yourself",
                capability=_capability(new),
            )
        return new

    def addresses(self, host: str, port: int, found: Iterable[str]) -> list[str]:
        """The addresses that a look-up gave, in their one form and order, if every one may be dialled.  Raises DeniedError, dialling none.

        The error does not say which address it was: that is the business of the user's network.
        """
        private = self.is_private(Host(host, address_of(host)), port)
        addresses: list[str] = []
        for text in found:
            address = address_of(text)
            if address is None or not (is_public(address) or (private and _may_be_private(host, address))):
                raise DeniedError(
                    f"the host {host} leads to an address that is not public; "
                    f'where scripts are meant to reach it, set [network] allow_private = ["{_with_port(host, port)}"]',
                    capability=f"network:{_with_port(host, port)}",
                )
            addresses.append(str(address))
        return list(dict.fromkeys(addresses))

    def is_private(self, host: Host, port: int) -> bool:
        """Did the user list this host and port as private?"""
        return any(pattern.covers(host, port) for pattern in _patterns("allow_private", self.allow_private))

    def method(self, name: str) -> str:
        """The method in upper case.  Raises ScriptError or DeniedError."""
        method = name.upper()
        if method not in METHODS:
            raise ScriptError(f"there is no HTTP method '{name[:40]}'{nearest(method, METHODS)}", code="argument")
        if method in self.methods or "*" in self.methods:
            return method
        raise DeniedError(
            f'the policy does not allow the method {method}; grant it in your settings: [network] methods = [..., "{method}"]',
            capability=f"network:{method}",
        )

    def headers(self, given: Mapping[str, str]) -> list[tuple[str, str]]:
        """A script's headers, checked, in lower case.  Raises ScriptError naming the header, never its value."""
        if len(given) > MOST_HEADERS or sum(len(name) + len(value) for name, value in given.items()) > LONGEST_HEADERS:
            raise ScriptError(f"the headers are too many: at most {MOST_HEADERS} with {LONGEST_HEADERS} characters in all", code="header")
        headers: dict[str, str] = {}
        for name, value in given.items():
            lower = _checked_header(name, value)
            if lower in headers:
                raise ScriptError(f"the header '{lower}' is given twice", code="header")
            headers[lower] = value.strip(" \t")
        return list(headers.items())

    @staticmethod
    def across_origins(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers of a script that go on to another origin."""
        return [(name, value) for name, value in headers if name in KEPT_HEADERS]

    def _check_url(self, url: Url) -> None:
        host, port, key = url.host, url.port, _capability(url)
        if any(pattern.covers(host, port) for pattern in _patterns("deny", self.deny)):
            raise DeniedError(f"the policy denies the host {host.name} (setting [network] deny)", capability=key)
        if self.is_private(host, port):
            return
        if host.address is not None and not is_public(host.address):
            raise DeniedError(
                f"the address {host.name} is not public; {_mend('allow_private', url)} where scripts are meant to reach it", capability=key
            )
        if host.address is None and "." not in host.name:
            raise DeniedError(f"'{host.name}' is a name of the local network; {_mend('allow_private', url)}", capability=key)
        named = [pattern for pattern in _patterns("allow", self.allow) if pattern.covers(host, pattern.port or port)]
        if not named:
            what = "host" if host.address is None else "address"
            raise DeniedError(
                f'the policy does not allow the {what} {host.name}; grant it in your settings: [network] allow = [..., "{host.written}"]',
                capability=key,
            )
        if not any(pattern.port == port or (not pattern.port and port in self.ports) for pattern in named):
            raise DeniedError(
                f'the policy does not allow port {port} of {host.name}; grant it in your settings: [network] allow = [..., "{_entry(url)}"]',
                capability=key,
            )


def _checked_header(name: Any, value: Any) -> str:
    lower = str(name).lower()
    if not _HEADER_NAME.fullmatch(name):
        raise ScriptError(f"{name[:40]!a} is no name of a header: letters, digits and '-'", code="header")
    if lower in OWN_HEADERS or lower.startswith(("proxy-", ":")):
        raise ScriptError(f"the header '{lower}' is the client's own; leave it out", code="header")
    if not _HEADER_VALUE.fullmatch(value):
        raise ScriptError(
            f"the value of the header '{lower}' holds a line break or another character that no header may have", code="header"
        )
    return lower


def _patterns(field: str, texts: Iterable[str]) -> list[Pattern]:
    try:
        return [pattern_of(text) for text in texts]
    except ValueError as error:
        raise ConfigError(str(error), key=f"network.{field}") from None


def _fault_of(texts: Iterable[str]) -> str:
    try:
        for text in texts:
            pattern_of(text)
    except ValueError as error:
        return str(error)
    return ""


def _may_be_private(host: str, address: Address) -> bool:
    """An address that the user listed is itself the grant; a listed name may lead to machines of private networks only."""
    return str(address) == host or is_local(address)


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _entry(url: Url) -> str:
    return f"{url.host.written}:{url.port}"


def _capability(url: Url) -> str:
    return f"network:{_entry(url)}"


def _mend(key: str, url: Url) -> str:
    return f'set [network] {key} = ["{_entry(url)}"]'


TIGHTER: Mapping[str, str] = {
    "allow": "hosts",
    "deny": "adds",
    "ports": "covered",
    "methods": "covered",
    "request_bytes": "lower",
    "response_bytes": "lower",
    "header_bytes": "lower",
    "timeout_s": "lower",
    "connect_s": "lower",
    "redirects": "lower",
    "concurrent": "lower",
    "requests_per_s": "lower",
}
"""What a project's file may change, and in which direction."""
