"""What `[mcp.NAME]` of the settings says of an MCP server.  Pure.

Rules
- A server is the user's alone to declare, as an init script is: it is a program that runs with the user's rights, or a host that is told what
  scripts say.  A project's file may not set it where it is not trusted.
- No value of a secret stands here: `env` names variables of the environment that are passed on, `auth` a secret that goes to the URL's host.
- A tool is "dangerous" where nothing else is said: what a server says of its own tools is no reason to trust them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args
from urllib.parse import urlsplit

from llmspell_kernel.errors import nearest
from llmspell_kernel.levels import Level

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
"""Without _, which stands between it and the tool's own name."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
LEVELS = get_args(Level)
MOST_S = 3_600.0


class McpServer(NamedTuple):
    """One of `command` (a program and its arguments) and `url`."""

    command: tuple[str, ...] = ()
    url: str = ""
    env: tuple[str, ...] = ()
    """Names of variables that the program gets from the environment of the kernel, besides PATH, HOME and the like."""
    auth: str = ""
    """The name of a secret, sent as `Authorization: Bearer ...`."""
    level: Level = "dangerous"
    tools: Mapping[str, Level] | None = None
    """The tools to offer, each with its level; None for all that there are."""
    start_s: float = 30.0
    """How long the server may take to start and to list its tools."""
    timeout_s: float = 60.0
    """How long one call may take."""


class WrongServer(ValueError):
    """Says what is wrong with a declaration."""


def check_server_name(name: str) -> None:
    """Raises WrongServer for what cannot name a server."""
    if not NAME.fullmatch(name):
        raise WrongServer(
            "a server's name is a small letter, then small letters and digits, at most 32 in all; its tools are called NAME_tool"
        )


def server_of(table: Any) -> McpServer:
    """A table of the settings, checked.  Raises WrongServer."""
    if not isinstance(table, Mapping):
        raise WrongServer('must be a table such as {command = ["my-server"]} or {url = "https://host/mcp"}')
    for key in table:
        if key not in McpServer._fields:
            raise WrongServer(f"has no setting '{key[:40]}'{nearest(key, McpServer._fields)}")
    if ("command" in table) == ("url" in table):
        raise WrongServer('needs one of command = ["program", "argument"] and url = "https://host/mcp"')
    if other := [key for key in (("auth",) if "command" in table else ("env",)) if key in table]:
        raise WrongServer(f"has '{other[0]}', which goes with {'url' if other[0] == 'auth' else 'command'}")
    level = _level(table.get("level", "dangerous"), "level")
    return McpServer(
        command=_texts(table.get("command"), "command", least=1),
        url=_url(table.get("url")),
        env=_variables(table.get("env")),
        auth=_text(table.get("auth", ""), "auth"),
        level=level,
        tools=_tools(table.get("tools"), level),
        start_s=_seconds(table.get("start_s", 30.0), "start_s"),
        timeout_s=_seconds(table.get("timeout_s", 60.0), "timeout_s"),
    )


def _texts(value: Any, name: str, least: int = 0) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise WrongServer(f'{name} must be a list of texts such as ["program", "argument"]')
    if len(value) < least or not all(value[:least]):
        raise WrongServer(f"{name} is empty")
    return tuple(value)


def _variables(value: Any) -> tuple[str, ...]:
    names = _texts(value, "env")
    if not all(VARIABLE.fullmatch(name) for name in names):
        raise WrongServer('env names variables to pass on, as in env = ["GITHUB_TOKEN"], and holds no values')
    return names


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise WrongServer(f"{name} must be a text")
    return value


def _url(value: Any) -> str:
    if value is None:
        return ""
    try:
        parts = urlsplit(_text(value, "url"))
        known = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.username and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise WrongServer('url must be such as "https://host/mcp", without a user in it')
    return str(value)


def _level(value: Any, where: str) -> Level:
    if value not in LEVELS:
        raise WrongServer(f"{where} must be one of {', '.join(LEVELS)}")
    level: Level = value
    return level


def _tools(value: Any, level: Level) -> Mapping[str, Level] | None:
    if isinstance(value, Mapping):
        return {name: _level(given, f"the level of the tool '{name[:40]}'") for name, given in value.items()}
    return None if value is None else dict.fromkeys(_texts(value, "tools"), level)


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_S:
        raise WrongServer(f"{name} must be a number of seconds, more than 0 and at most {MOST_S:g}")
    return float(value)
