"""A real MCP server of the package mcp, for the tests: over its input and output, or with the argument "http" over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import TextContent
from pydantic import BaseModel

server = MCPServer("shop")


class Item(BaseModel):
    name: str
    price: float


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def cheapest(items: list[Item]) -> Item:
    """The item with the lowest price."""
    return min(items, key=lambda item: item.price)


@server.tool(structured_output=False)
def say(text: str) -> list[TextContent]:
    """Says a text, word by word."""
    return [TextContent(type="text", text=word) for word in text.split()]


@server.tool(name="strange name/1")
def strange() -> str:
    """Has a name that models do not take."""
    return "still called"


@server.tool()
def fail(reason: str) -> str:
    """Fails."""
    raise ValueError(reason)


@server.tool()
def variable(name: str) -> str | None:
    """A variable of the server's environment."""
    return os.environ.get(name)


@server.tool()
def place() -> str:
    """The folder that the server runs in."""
    return os.getcwd()


@server.tool(structured_output=False)
def long(size: int) -> str:
    """A long answer."""
    return "x" * size


@server.tool(structured_output=False)
def sleep(seconds: float) -> str:
    """Answers late."""
    time.sleep(seconds)
    return "awake"


@server.tool()
def ids() -> list[int]:
    """The process of the server, and of a program that it has started and does not end."""
    return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]


@server.tool()
def die() -> str:
    """Ends the server."""
    print("something broke", file=sys.stderr, flush=True)
    os._exit(3)


def over_http() -> None:
    """On a port of its own choice, which it prints once it can be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        over_http()
    else:
        server.run()
