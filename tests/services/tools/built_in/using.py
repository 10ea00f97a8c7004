"""Built-in tools as a caller has them: arguments filled and checked by the tool's schema, the result by what it says it returns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.services.schema.defaults import filled
from llmspell_kernel.services.schema.validation import Problem, Schema
from llmspell_kernel.services.tools.built_in import BUILT_INS
from llmspell_kernel.services.tools.tool import BuiltIn, Calls
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Value

from ....session.world import Recording

TOOLS: Mapping[str, BuiltIn] = {built_in.spec.name: built_in for built_in in BUILT_INS}


def problems(name: str, args: dict[str, Any]) -> list[Problem]:
    return Schema(TOOLS[name].spec.parameters).problems(args)


async def used(name: str, args: dict[str, Any], call: Calls) -> Any:
    spec = TOOLS[name].spec
    given = filled(args, spec.parameters)
    assert not problems(name, given), problems(name, given)
    value = await TOOLS[name].run(call, given)
    if spec.returns is not None:
        assert not Schema(spec.returns).problems(value), Schema(spec.returns).problems(value)
    return value


class Answers:
    """Bridges that answer what a test wrote down; a KeyError is a call that it did not expect."""

    def __init__(self, **answers: Callable[..., Value]) -> None:
        self._answers = answers
        self.asked: list[tuple[Any, ...]] = []

    async def __call__(self, bridge: str, method: str, *args: Value) -> Any:
        self.asked.append((bridge, method, *args))
        return self._answers[f"{bridge}_{method}"](*args)


def use(name: str, answers: Answers | None = None, **args: Any) -> Any:
    return asyncio.run(used(name, args, answers or Answers()))


class Tools(Bridge):
    """Built-in tools for scripts of these tests."""

    name = "kit"

    @method(replay="again")
    async def use(self, ctx: Context, name: str, args: dict[str, Any]) -> Any:
        """Uses one of them."""
        return await used(name, args, ctx.call)


@asynccontextmanager
async def session_with_tools(folder: Path, **settings: Any) -> AsyncIterator[Session]:
    async with Session(sink=Recording(), bridges=[Tools()], folder=folder, settings=Settings(**settings)) as session:
        yield session


async def use_in(session: Session, name: str, **args: Any) -> Any:
    """From a cell, which gets the arguments as JSON."""
    text = json.dumps(json.dumps(args))
    cell = f"const found = await kit.use({json.dumps(name)}, JSON.parse({text})); found"
    result = await session.run(cell, engine="javascript")
    if result.error is not None:
        raise result.error
    return result.values[0]
