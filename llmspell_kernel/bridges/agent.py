"""The bridge `agent`: models that use tools until they have an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.definition import AgentOptions, Definition, Name, defined
from llmspell_kernel.services.agents.messages import Message
from llmspell_kernel.services.agents.parts import as_table, handoff_to
from llmspell_kernel.services.agents.roster import Function, Member, Seat
from llmspell_kernel.services.agents.saved import read
from llmspell_kernel.values import Callback, Value

from ._agent_runs import AgentRuns, Play
from ._agent_things import Agent, AgentStream, AgentTeam, NamedTeam, TeamOptions
from ._agent_tools import add_tools, check_schema, parts_of
from ._bridge import Bridge, Context, method

Agents = list[Agent]
Listed = list[dict[str, Any]]


class LoadOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to load an agent.

    - name: in place of the one that it was saved with
    - tools: its own functions, as tables {name, description, parameters, run}: they cannot be saved
    """

    name: Name | None = None
    tools: list[Any] = []


class AgentBridge(Bridge):
    """Agents: models that use tools until they have an answer, alone or several together."""

    name = "agent"
    resources = (Agent, AgentStream, AgentTeam)

    def __init__(self) -> None:
        self._runs = AgentRuns()

    @method(replay="again")
    async def create(self, ctx: Context, options: AgentOptions) -> Agent:
        """Make an agent: `a = agent.create{model = "...", tools = {"calculate"}}`, then `a:run("...")`.

        Raises ArgumentError for what is no tool or no schema, ScriptError with the code unknown_tool and BridgeError with the code
        unknown_model, with the nearest names, and BridgeError unsupported_option for a model that cannot call tools.
        """
        await self._runs.load_loop()
        definition = defined(options)
        if options.output is not None:
            await asyncio.to_thread(check_schema, options.output)
        return await self._seated(ctx, definition, options.tools, [])

    @method(replay="again")
    async def load(self, ctx: Context, data: dict[str, Any], options: LoadOptions | None = None) -> Agent:
        """The agent that `a:save()` wrote down, with its conversation, also in another session and language.

        Raises ArgumentError for what is no saved agent, for another format, and where a function of its own tools is not given.
        """
        options = options or LoadOptions()
        await self._runs.load_loop()
        found = await asyncio.to_thread(read, data)
        definition = found.agent
        if options.name is not None:
            definition.name = options.name
        if definition.output is not None:
            await asyncio.to_thread(check_schema, definition.output)
        given = await parts_of(ctx, options.tools)
        named = {part.entry.name for part in given}
        own = [entry.name for entry in definition.tools if entry.kind == "own" and entry.name not in named]
        if own:
            raise ArgumentError(
                f"this agent has tools whose functions cannot be saved: give them with agent.load(data, {{tools = {{...}}}}): {', '.join(own)[:300]}"
            )
        tools: Sequence[Any] = [
            entry.target if entry.kind == "registered" else as_table(entry)
            for entry in definition.tools
            if entry.name not in named and entry.kind != "own"
        ]
        definition.tools = []
        return await self._seated(ctx, definition, [*options.tools, *tools], found.messages)

    @method(replay="again")
    async def register(self, ctx: Context, name: Name, agent: Callback | dict[str, Any]) -> Agent:
        """An agent that a script writes: a function of the input, or a table `{execute, stream, description}`.

        `execute(input)` gives the answer.  `stream(input, n)` is asked for n = 1, 2, 3 ... until it gives nothing, and each of its texts is an
        event of `a:stream(input)`.
        """
        table: dict[str, Any] = {"execute": agent} if isinstance(agent, Callback) else agent
        for key, value in table.items():
            if key not in ("execute", "stream", "description"):
                raise ArgumentError(f"an agent has no '{key[:80]}'; give {{execute, stream, description}}")
            if key != "description" and not isinstance(value, Callback):
                raise ArgumentError(f"'{key}' of an agent must be a function")
        if "execute" not in table:
            raise ArgumentError("an agent needs execute, the function that gives its answer")
        definition = Definition(name=name, description=str(table.get("description") or ""))
        functions: dict[str, Function] = {key: ctx.function(table[key]) for key in ("execute", "stream") if key in table}
        owner = (ctx.state, ctx.engine)
        member = Member(definition, self._conversation(ctx, name, []), functions, is_script=True)
        return Agent(self._runs, self._runs.roster.seat(owner, member, member.held, ctx.restoring))

    @method(replay="again")
    async def get(self, ctx: Context, name: str) -> Agent:
        """The agent of that name, also one that another state made.  Raises ScriptError with the code unknown_agent, with the nearest name."""
        return Agent(self._runs, self._runs.roster.find((ctx.state, ctx.engine), name))

    @method(replay="again")
    async def run(self, ctx: Context, name: str, input: Value) -> dict[str, Any]:
        """`agent.get(name):run(input)`."""
        return await self._runs.play(ctx, self._runs.roster.find((ctx.state, ctx.engine), name), input, Play())

    @method(replay="again")
    async def list(self, ctx: Context) -> Listed:
        """The agents that have a name: `{name, description, kind, model, tools, messages}`; `kind` is "model" or "script"."""
        return [_told(seat) for seat in self._runs.roster.all()]

    @method(replay="again")
    async def handoff(self, ctx: Context, to: Agent, name: str = "", description: str = "") -> dict[str, Any]:
        """A tool that gives the conversation to another agent, for `tools` of agent.create.

        - to: the other agent; `agent.get` gives it by its name
        - name: as the model sees it, else "transfer_to_" and the other's name
        - description: when to use it, else the other's own
        """
        return as_table(handoff_to(to.seat.name, name, description or to.seat.member.definition.description))

    @method(replay="again")
    async def team(self, ctx: Context, agents: Agents | NamedTeam, options: TeamOptions | None = None) -> AgentTeam:
        """Several agents that work together: `agent.team({a, b}, {mode = "sequence"})`, or `agent.team{agents = {"a", "b"}}` by their names.

        Agents that a script wrote can be anything in a "sequence", and in a "supervisor" team all but the first.
        """
        if not isinstance(agents, NamedTeam):
            return AgentTeam(self._runs, [one.seat for one in agents], options or TeamOptions())
        if options is not None:
            raise ArgumentError(
                "the options of a team stand beside its names: agent.team{agents = {...}, mode = ...}; leave the second table out"
            )
        seats = [self._runs.roster.find((ctx.state, ctx.engine), name) for name in agents.agents]
        return AgentTeam(self._runs, seats, agents)

    @method(inner=True)
    async def step(self, ctx: Context, agent: str, number: int) -> None:
        """An agent asks its model for the `number`th time in a run: reserves a step of the budgets."""
        (await ctx.reserve(requests=0, steps=1, cost_usd=0.0)).settle()

    @method(inner=True)
    async def consent(self, ctx: Context, name: str, arguments: dict[str, Any]) -> None:
        """The user was asked about a call that is itself made again in a replay.  This one is kept, so that a replay asks nobody."""

    @method(replay="again", inner=True)
    async def tool(self, ctx: Context, name: str, arguments: dict[str, Any], run: int) -> Any:
        """A call of an agent's own tool, a function of its script; another agent as a tool is `ask`."""
        function = self._runs.going[run].member.functions[name]
        await _ask(ctx, "tool", name, arguments)
        return await function(ctx, arguments)

    @method(replay="again", inner=True)
    async def ask(self, ctx: Context, name: str, input: str, run: int) -> Any:
        """An agent asks another one, which begins a conversation for it.

        No hook or guardrail sees it as a call of a tool: what the other one's model is sent and answers they see as of any model.
        """
        going = self._runs.going[run]
        seat = self._runs.roster.find((ctx.state, ctx.engine), name)
        await _ask(ctx, "ask", name, {"input": input})
        result = await self._runs.play(ctx, seat, input, Play(within=going.account, depth=going.depth + 1), alone=True)
        return result["text"] if result["output"] is None else result["output"]

    async def _seated(self, ctx: Context, definition: Definition, tools: Sequence[Any], messages: Sequence[Message]) -> Agent:
        owner = (ctx.state, ctx.engine)
        member = Member(definition, self._conversation(ctx, definition.name, messages))
        await add_tools(ctx, member, tools)
        member.definition.check_approve()
        if definition.model is not None:
            await ctx.call("llm", "check_agent", definition.model, bool(member.definition.tools))
        held = await asyncio.to_thread(lambda: member.held)
        return Agent(self._runs, self._runs.roster.seat(owner, member, held, ctx.restoring))

    def _conversation(self, ctx: Context, name: str, messages: Sequence[Message]) -> Conversation:
        owner = (ctx.state, ctx.engine)
        earlier = self._runs.roster.earlier(owner, name) if ctx.restoring else None
        return Conversation(owner, messages, None if earlier is None else earlier.member.conversation)


async def _ask(ctx: Context, method: str, name: str, arguments: dict[str, Any]) -> None:
    """Asks the user about the call `ctx`, where who makes it wants that: what it is by now, whatever hooks have made of it."""
    if ctx.ask:
        await ctx.call("agent", "consent", name, arguments, capability=f"agent.{method}", ask=ctx.ask)


def _told(seat: Seat) -> dict[str, Any]:
    definition = seat.member.definition
    return {
        "name": seat.name,
        "description": definition.description,
        "kind": "script" if seat.member.is_script else "model",
        "model": definition.model,
        "tools": [tool.name for tool in definition.tools],
        "messages": len(seat.member.conversation.messages),
    }
