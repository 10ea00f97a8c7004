"""What the tests of agents share: a session whose model says what it is told to, and registered tools that obey the contract of `tools`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.bridges.agent import AgentBridge
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import DeniedError, ScriptError
from llmspell_kernel.services.llm.scripted import Scripted
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Value
from tests.session.world import ENGINES, Recording

__all__ = ["ENGINES", "Tools", "Told", "agents", "call", "run"]

SUM = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}


class Tools(Bridge):
    """Registered tools."""

    name = "tools"

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    @method
    async def describe(self, ctx: Context, name: str) -> dict[str, Any]:
        """What a tool is."""
        if name not in ("add", "fail", "forbidden"):
            raise ScriptError(f"there is no tool '{name}'; did you mean 'add'?", code="unknown_tool")
        return {
            "name": name,
            "description": f"the tool {name}",
            "parameters": SUM if name == "add" else {"type": "object"},
            "level": "read",
        }

    @method
    async def call(self, ctx: Context, name: str, arguments: Value) -> Any:
        """Calls a tool."""
        self.calls.append((name, arguments))
        if name == "fail":
            raise ScriptError("the tool is out of order")
        if name == "forbidden":
            raise DeniedError("nobody may do that", capability="tools.forbidden")
        if not isinstance(arguments, dict) or not {"a", "b"} <= set(arguments):
            raise ScriptError("the arguments of add do not fit: $: 'b' is a required property", code="invalid_arguments")
        return arguments["a"] + arguments["b"]


class Told:
    """A session, its model and its tools."""

    def __init__(self, session: Session, model: Scripted, tools: Tools, sink: Recording) -> None:
        self.session, self.model, self.tools, self.sink = session, model, tools, sink

    def says(self, *answers: Mapping[str, Any] | str) -> None:
        self.model.load(answers)


def call(name: str, arguments: dict[str, Any] | str | None = None, id: str = "") -> dict[str, Any]:
    """An answer that asks for a tool."""
    return {"tool_calls": [{"name": name, "arguments": {} if arguments is None else arguments, "id": id}]}


@asynccontextmanager
async def agents(folder: Path, *answers: Mapping[str, Any] | str, extra: Sequence[Bridge] = (), **options: Any) -> AsyncIterator[Told]:
    service = LlmService({})
    service.set_model("spell/scripted")
    service.scripted.load(answers)
    tools, sink = Tools(), Recording()
    settings = options.pop("settings", Settings())
    bridges = [Llm(service), AgentBridge(), tools, *extra]
    async with Session(sink=sink, bridges=bridges, folder=folder, settings=settings, **options) as session:
        yield Told(session, service.scripted, tools, sink)


async def run(session: Session, engine: str, cell: Mapping[str, str], state: str = "main", chunk: str = "cell[1]") -> list[Value]:
    result = await ran(session, engine, cell, state, chunk)
    if result.error is not None:
        raise result.error
    return result.values


async def ran(session: Session, engine: str, cell: Mapping[str, str], state: str = "main", chunk: str = "cell[1]") -> ExecutionResult:
    return await session.run(cell[engine], engine=engine, state=state, chunk=chunk)
