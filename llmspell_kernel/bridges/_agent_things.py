"""What a script holds of agents: an agent, its run as it happens, and a team."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError
from llmspell_kernel.services.agents.definition import Limits
from llmspell_kernel.services.agents.messages import plain
from llmspell_kernel.services.agents.parts import agent_tool, as_table, handoff_to, input_text
from llmspell_kernel.services.agents.roster import MAX_CHARS, Held, Seat
from llmspell_kernel.services.agents.saved import saved
from llmspell_kernel.services.agents.showing import chars_of_event
from llmspell_kernel.values import Value

from ._agent_runs import AgentRuns, Play, refuse_script
from ._agent_tools import add_tools
from ._bridge import Context, Resource, method

if TYPE_CHECKING:
    from llmspell_kernel.services.agents.accounts import Account
    from llmspell_kernel.services.agents.host import Event

READ_AHEAD = 32
"""How many events a stream may be ahead of its script when the model or a script's agent is asked again, or a tool called."""
READ_AHEAD_CHARS = 200_000
"""How much these may count together."""


class AgentStream(Resource):
    """A run as it happens: loop over its events."""

    type = "agent.stream"
    iterate = "next"
    lasting = ("result",)

    def __init__(self, start: Callable[[Play], Coroutine[Any, Any, dict[str, Any]]]) -> None:
        self._events: asyncio.Queue[tuple[Event, int] | None] = asyncio.Queue()
        """Each with what it counts."""
        self._chars = 0
        """What those count that wait to be read."""
        self._drained = asyncio.Event()
        self._drained.set()
        self._ended = False
        self._error: BaseException | None = None
        self._result: dict[str, Any] | None = None
        self._task = asyncio.create_task(self._run(start))

    @method(replay="again")
    async def next(self, ctx: Context) -> dict[str, Any] | None:
        """The next event, or nothing at the end.

        `{type, ...}`: "text" with `text`, a piece of the model's answer; "tool_call" with `id, name, arguments`; "tool_result" with `id, name`
        and `result` or `error`; "retry" with `message`, what the model is shown of its fault; "handoff" with `agent`, who goes on; "output"
        with `output`, the value that fits the schema; "done" with `result`, as `run` gives it.  Arguments and a result that count more than
        200,000 characters are a text there, cut.  Raises what `run` raises, once.
        """
        if self._ended:
            return None
        told = await self._events.get()
        if told is not None:
            self._chars -= told[1]
        if not self._is_ahead:
            self._drained.set()
        if told is not None:
            return dict(told[0])
        self._ended = True
        self._events.put_nowait(None)  # others may wait here: each passes the end on
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    @method(replay="again")
    async def result(self, ctx: Context) -> dict[str, Any] | None:
        """What `run` gives; waits for the end, and events that were not read are left out.  Nothing where the run failed or was closed."""
        while await self.next(ctx) is not None:
            pass
        return self._result

    @method(replay="again")
    async def close(self, ctx: Context) -> None:
        """Stops the run; the agent keeps its conversation so far.  Closing again does nothing."""
        await self.release()

    async def release(self) -> None:
        self._ended = True
        self._task.cancel()
        await asyncio.wait({self._task})
        self._events.put_nowait(None)

    def _tell(self, event: Event) -> None:
        chars = chars_of_event(event)
        self._events.put_nowait((event, chars))
        self._chars += chars
        if self._is_ahead:
            self._drained.clear()

    async def _room(self) -> None:
        while self._is_ahead:  # looked at again: calls of tools wait side by side, and the first that goes on may fill it
            await self._drained.wait()

    @property
    def _is_ahead(self) -> bool:
        return self._events.qsize() >= READ_AHEAD or self._chars >= READ_AHEAD_CHARS

    async def _run(self, start: Callable[[Play], Coroutine[Any, Any, dict[str, Any]]]) -> None:
        try:
            self._result = await start(Play(tell=self._tell, room=self._room))
            self._events.put_nowait(({"type": "done", "result": self._result}, 0))
        except asyncio.CancelledError:
            self._error = ScriptError(
                "the run was stopped with the cell that began it: its functions ran there; read a stream to its end in one cell",
                code="stopped",
            )
            raise
        except Exception as error:
            # Kept for the reader, who meets it after the events that came before it.
            self._error = error
        finally:
            self._events.put_nowait(None)


class Agent(Resource):
    """A model with its tools and its conversation."""

    type = "agent.agent"

    def __init__(self, runs: AgentRuns, seat: Seat) -> None:
        self._runs = runs
        self._seat = seat

    @property
    def seat(self) -> Seat:
        return self._seat

    @method(replay="again")
    async def run(self, ctx: Context, input: Value) -> dict[str, Any]:
        """Let the agent work until it has an answer; the conversation goes on from the last run.

        `{text, output, usage, cost_usd, steps, messages, model, finish_reason, agent}`: `output` is the value where the agent has an output
        schema; `usage = {input_tokens, output_tokens, total_tokens, requests, tool_calls}`, with the agents that it called; `cost_usd` is
        in US dollars, nothing where a price is not known; `messages` is the length of the conversation; `agent` is who answered at last.
        An agent that a script wrote has used nothing: its counts are 0, its model and finish_reason "".
        - input: a text, or anything else, which the model gets as JSON

        Raises LimitError with the limit agent_max_steps, agent_requests and so on; DeniedError where a tool is not allowed; BridgeError
        with the code agent_gave_up where the model keeps to its mistakes, and those of `llm.chat`; ScriptError with the code agent_busy
        where it runs already.  However it ends, the agent can be run again.
        """
        return await self._runs.play(ctx, self._seat, input, Play())

    @method(replay="again")
    async def stream(self, ctx: Context, input: Value) -> AgentStream:
        """`run`, with all that happens as it happens: loop over the result.

        The model, or an agent that a script writes, is asked again, and a tool called, only when fewer than 32 events and 200,000 characters
        wait to be read.
        """
        input_text(input)
        return AgentStream(lambda play: self._runs.play(ctx, self._seat, input, play))

    @method(replay="again")
    async def messages(self, ctx: Context) -> list[dict[str, Any]]:
        """The conversation, as `llm.chat` takes it: `{role, content}`, with `tool_calls = {{id, name, arguments}}` and `tool_call_id`."""
        return plain(self._seat.member.conversation.messages)

    @method(replay="again")
    async def save(self, ctx: Context) -> dict[str, Any]:
        """The agent and its conversation as a JSON table, for `agent.load` in any session and language.

        Functions cannot be saved: of its own tools, the names and schemas are.  Raises ScriptError for an agent that a script wrote.
        """
        refuse_script(self._seat.member, "saved")
        return await asyncio.to_thread(saved, self._seat.member.definition, self._seat.member.conversation.messages)

    @method(replay="again")
    async def add_tool(self, ctx: Context, tool: Value) -> None:
        """Give the agent one more tool, from its next run on.

        - tool: as in `tools` of agent.create
        """
        member = self._seat.member
        refuse_script(member, "given tools")
        if self._is_replayed_elsewhere(ctx):
            return
        had, functions = member.definition, dict(member.functions)
        await add_tools(ctx, member, [tool])
        try:
            await self._make_room()
        except LimitError:
            member.definition, member.functions = had, functions
            raise

    @method(replay="again")
    async def remove_tool(self, ctx: Context, name: str) -> bool:
        """Take a tool from the agent, from its next run on; was there one of that name?"""
        member = self._seat.member
        refuse_script(member, "relieved of tools")
        if self._is_replayed_elsewhere(ctx):
            return all(tool.name != name for tool in member.definition.tools)
        member.functions.pop(name, None)
        removed = member.definition.remove(name)
        await self._make_room()
        return removed

    @method(replay="again")
    async def set_system(self, ctx: Context, system: str | None) -> None:
        """Give the agent other instructions, from its next run on."""
        member = self._seat.member
        refuse_script(member, "given instructions")
        if self._is_replayed_elsewhere(ctx):
            return
        definition = member.definition
        had, definition.system = definition.system, system
        try:
            await self._make_room()
        except LimitError:
            definition.system = had
            raise

    @method(replay="again")
    async def as_tool(self, ctx: Context, name: str = "", description: str = "") -> dict[str, Any]:
        """The agent as a tool, for `tools` of another one.  Each call is a new conversation: this agent's own is not changed.

        - name: as the other one's model sees it, else "ask_" and the agent's name
        - description: what it is good for, else the agent's own
        """
        return as_table(agent_tool(self._seat.name, name, description or self._seat.member.definition.description))

    @method(replay="again")
    async def close(self, ctx: Context) -> None:
        """Ends the agent; it cannot be found by its name any more."""
        self._runs.roster.close(self._seat)

    async def release(self) -> None:
        self._runs.roster.drop(self._seat)

    async def _make_room(self) -> None:
        """Counts it as it is now.  Raises LimitError where that is too much."""
        while True:
            definition = msgspec.structs.replace(self._seat.member.definition)
            counted = await asyncio.to_thread(definition.counted, MAX_CHARS)
            now = self._seat.member.definition
            if now.tools is definition.tools and now.system is definition.system:  # else it was changed meanwhile by another call
                break
        held = Held(counted, self._seat.member.conversation.chars)
        self._runs.roster.check_room(held, self._seat)
        self._runs.roster.count(self._seat, held)

    def _is_replayed_elsewhere(self, ctx: Context) -> bool:
        """Does another state than the agent's own come back?  What it did to the agent is still done."""
        return ctx.restoring and self._seat.owner != (ctx.state, ctx.engine)


class TeamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several agents that work together.

    - mode: "handoff": each can give the conversation to any other; "sequence": each works on what the one before it gave;
      "supervisor": the first has the others as tools
    - limits: what all of them may use together in one run
    """

    mode: Literal["handoff", "sequence", "supervisor"] = "handoff"
    limits: Limits = Limits()


class NamedTeam(TeamOptions, frozen=True, forbid_unknown_fields=True):
    """Several agents that work together, by their names.

    - agents: their names
    - mode: as without names
    - limits: what all of them may use together in one run
    """

    agents: list[str] = []


class AgentTeam(Resource):
    """Several agents that work together."""

    type = "agent.team"

    def __init__(self, runs: AgentRuns, seats: Sequence[Seat], options: TeamOptions) -> None:
        """Raises ArgumentError for less than two, and ScriptError for an agent of a script where only a model can do what the mode asks of it."""
        if len(seats) < 2 or len(set(map(id, seats))) < len(seats):
            raise ArgumentError("a team needs at least two agents, each of them once")
        if options.mode == "supervisor":
            refuse_script(seats[0].member, "the supervisor of a team, as it has no use for tools")
        if options.mode == "handoff":
            for seat in seats:
                refuse_script(seat.member, 'in a team of the mode "handoff", as it cannot go on with a conversation')
        self._runs = runs
        self._seats = list(seats)
        self._options = options
        self._active = self._seats[0]

    @method(replay="again")
    async def run(self, ctx: Context, input: Value) -> dict[str, Any]:
        """Let the team work until it has an answer; as `run` of an agent, with what all of them used.

        In the mode "handoff", the one who answered last is the one who is asked next.
        """
        await self._runs.load_loop()
        from llmspell_kernel.services.agents.accounts import Account

        account = Account(self._options.limits, "the team")
        mode = getattr(self, f"_{self._options.mode}")
        result: dict[str, Any] = await mode(ctx, input, account)
        return {**result, "usage": account.counts(), "cost_usd": account.cost_usd}

    @method(replay="again")
    async def active(self, ctx: Context) -> str:
        """The name of the agent that is asked next."""
        return self._active.member.definition.name

    async def _handoff(self, ctx: Context, input: Value, account: Account) -> dict[str, Any]:
        extra = {
            seat: [handoff_to(other.name, "", other.member.definition.description) for other in self._seats if other is not seat]
            for seat in self._seats
        }
        result, self._active = await self._runs.relay(ctx, self._active, input, Play(within=account), extra)
        return result

    async def _sequence(self, ctx: Context, input: Value, account: Account) -> dict[str, Any]:
        result: dict[str, Any] = {}
        steps = 0
        for seat in self._seats:
            result = await self._runs.play(ctx, seat, input, Play(within=account))
            steps += result["steps"]
            input = result["text"] if result["output"] is None else result["output"]
        return {**result, "steps": steps}

    async def _supervisor(self, ctx: Context, input: Value, account: Account) -> dict[str, Any]:
        first, *others = self._seats
        tools = [agent_tool(seat.name, "", seat.member.definition.description) for seat in others]
        return await self._runs.play(ctx, first, input, Play(tools, account))
