"""What a script adds to an agent: the same run of pydantic-ai, begun by a cell and by plain Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms

from llmspell_kernel.bridges.agent import AgentBridge
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session

CALLS, WAIT_S, OVERHEAD_MOST = 10, 0.02, 0.05
MAKE = {
    "lua": 'a = agent.create{tools = {{name = "double", description = "doubles", parameters = {properties = {n = {type = "integer"}}},'
    " run = function(args) return args.n * 2 end}}}",
    "js": 'let a = await agent.create({tools: [{name: "double", description: "doubles", parameters: {properties: {n: {type: "integer"}}},'
    " run: args => args.n * 2}]});",
}
# each run begins a conversation: a longer one would be slower on both sides
RUN = {"lua": 'agent.run("timed", "go").text', "js": '(await agent.run("timed", "go")).text'}


def _named(code: str, language: Language) -> str:
    return (
        code.replace("create{", 'create{name = "timed", ')
        if language.short == "lua"
        else code.replace("create({", 'create({name: "timed", ')
    )


async def ours(language: Language, runs: int) -> list[float]:
    """Seconds of each run, as the host measures its cell."""
    service = LlmService({})
    service.set_model("spell/scripted")
    taken: list[float] = []
    async with Session(bridges=[Llm(service), AgentBridge()]) as session:
        for number in range(runs + 1):
            service.scripted.load(_answers())
            for code in (_named(MAKE[language.short], language), RUN[language.short]):
                started = time.perf_counter()
                outcome = await session.run(code, engine=language.engine)
                seconds = time.perf_counter() - started
                if outcome.error is not None:
                    raise Unmeasurable(str(outcome.error))
            if number:  # the first also imports pydantic-ai
                taken.append(seconds)
    return taken


def _answers() -> list[dict[str, Any]]:
    calls = [
        {"text": "thinking", "delay_s": WAIT_S, "tool_calls": [{"name": "double", "arguments": {"n": number}, "id": f"c{number}"}]}
        for number in range(CALLS - 1)
    ]
    return [*calls, {"text": "done", "delay_s": WAIT_S}]


async def plain(runs: int) -> list[float]:
    """The same run without us: a model that waits as long, and a Python function as the tool."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(WAIT_S)
        number = len(messages) // 2
        if number < CALLS - 1:
            return ModelResponse(parts=[TextPart("thinking"), ToolCallPart("double", {"n": number}, tool_call_id=f"c{number}")])
        return ModelResponse(parts=[TextPart("done")])

    async def double(n: int) -> int:
        return n * 2

    agent = Agent(FunctionModel(answer), tools=[double])
    taken: list[float] = []
    for number in range(runs + 1):
        started = time.perf_counter()
        await agent.run("go")
        if number:
            taken.append(time.perf_counter() - started)
    return taken


def overhead(language: Language, runs: Runs) -> Iterator[Figure]:
    count = runs.of(20, quick=2)
    python = asyncio.run(plain(count))
    script = asyncio.run(ours(language, count))
    more = median(script) / median(python) - 1
    yield Figure(
        f"agents.run_{language.short}",
        f"an agent run of {CALLS} calls of 20 ms from {language.title}, median of {count}",
        f"<= {OVERHEAD_MOST:.0%} over pydantic-ai in Python",
        f"{more:+.1%} ({ms(median(script))})",
        f"pydantic-ai in Python {ms(median(python))}",
        more <= OVERHEAD_MOST,
        {"seconds": script, "python_seconds": python},
    )


MEASURES: dict[str, Measure] = {f"agents.run_{language.short}": partial(overhead, language) for language in LANGUAGES}
