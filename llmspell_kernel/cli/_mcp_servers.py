"""The MCP servers that the settings declare, and what can be said of each without starting it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import SpellError
from ..redaction import Redactor
from ..services.secrets import Secrets
from ..services.tools.mcp_settings import McpServer, server_of
from ..settings import Settings


def mcp_servers(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """`problem` says all that would keep it from starting, "" where nothing is known that would."""
    if not settings.mcp:
        return []
    secrets = Secrets(settings.secrets, environ, Redactor())
    found = [(name, server_of(table)) for name, table in sorted(settings.mcp.items())]
    return [
        {"name": name, "runs": server.url or " ".join(server.command), "problem": "; ".join(_problems(server, secrets, environ))}
        for name, server in found
    ]


def _problems(server: McpServer, secrets: Secrets, environ: Mapping[str, str]) -> Iterator[str]:
    if find_spec("mcp") is None:
        yield "the package 'mcp' is missing. Mend it with: pip install 'mcp>=2.3'"
    if server.command and not _is_there(server.command[0], environ):
        yield f"there is no program {server.command[0]!r} that can be run; programs are looked for in PATH, paths begin in your home folder"
    yield from (f"the variable {name}, which 'env' passes on, is not set" for name in server.env if not environ.get(name))
    if server.auth:
        yield from _unusable(server, secrets)


def _is_there(program: str, environ: Mapping[str, str]) -> bool:
    """As the server would be started: in the home folder, with this PATH."""
    named = str(Path.home() / program) if "/" in program else program
    return shutil.which(named, path=environ.get("PATH")) is not None


def _unusable(server: McpServer, secrets: Secrets) -> Iterator[str]:
    """The value is asked for as it is at the start, and dropped."""
    parts = urlsplit(server.url)
    try:
        secrets.value(server.auth, parts.netloc, scheme=parts.scheme)
    except SpellError as error:
        yield f"'auth' cannot be sent: {error.message}"
