"""How the bridge `agent` runs agents: the calls that a run makes, one agent after another, and what may not go on for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from llmspell_kernel.errors import BridgeError, LimitError, ScriptError
from llmspell_kernel.services.agents.definition import COUNTED, ToolEntry
from llmspell_kernel.services.agents.messages import Message, chars_of, plain
from llmspell_kernel.services.agents.parts import input_text
from llmspell_kernel.services.agents.roster import Member, Roster, Seat
from llmspell_kernel.values import Value

from ._bridge import Context

if TYPE_CHECKING:
    from llmspell_kernel.services.agents.accounts import Account
    from llmspell_kernel.services.agents.host import Event, Outcome
    from llmspell_kernel.services.agents.loop import Loop

MAX_DEPTH = 8
"""How deep agents may call agents: each level holds a run of pydantic-ai."""
MAX_AT_ONCE = 500
"""Runs of a session: each that a function of a script begins within another holds all of those around it."""
MAX_HANDOFFS = 20
MAX_PIECES = 10_000
MAX_STREAM_CHARS = 1_000_000
"""Of all pieces that a script's agent streams in one run: more than a model answers, and what a run keeps until it is read."""
MEMORY_TOKENS = 4_000
"""Of a kept conversation that an agent begins with."""
LOOP = "llmspell_kernel.services.agents.loop"


class Run(NamedTuple):
    """A run that goes on, for the calls it makes of its own tools."""

    member: Member
    account: Account
    depth: int


class Play(NamedTuple):
    """How a run is started.

    `extra` are tools that a team gives for it; `within` counts what it uses as well; `depth` is how many agents deep it is asked; `tell` is told
    what happens, and `room` is awaited before more of that is made: it returns once somebody has read what was told.
    """

    extra: Sequence[ToolEntry] = ()
    within: Account | None = None
    depth: int = 0
    tell: Callable[[Event], None] | None = None
    room: Callable[[], Awaitable[object]] | None = None


class AgentRuns:
    """The agents of a session and the runs that go on."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.going: dict[int, Run] = {}
        self._last = 0
        self._at_once = 0
        self._loop: Loop | None = None

    async def load_loop(self) -> Loop:
        """Once a session, in a thread: pydantic-ai takes more than a second to import, and the event loop would stand still."""
        if self._loop is None:
            await asyncio.to_thread(__import__, LOOP)
            from llmspell_kernel.services.agents.loop import Loop

            self._loop = self._loop or Loop()
        return self._loop

    async def play(self, ctx: Context, seat: Seat, input: Value, play: Play, *, alone: bool = False) -> dict[str, Any]:
        """A run to its answer, whoever gives it.  `alone`: in a conversation of its own, which is forgotten."""
        return (await self.relay(ctx, seat, input, play, {seat: play.extra}, alone=alone))[0]

    async def relay(
        self, ctx: Context, seat: Seat, input: Value, play: Play, extra: Mapping[Seat, Sequence[ToolEntry]], *, alone: bool = False
    ) -> tuple[dict[str, Any], Seat]:
        """A run, and who has answered; `extra` are the tools that each has for it."""
        if self._at_once >= MAX_AT_ONCE:
            raise LimitError(
                f"{MAX_AT_ONCE} runs of agents go on at once; an agent may be asking itself by a function of its script",
                limit="agent_runs",
                value=MAX_AT_ONCE,
                used=self._at_once + 1,
            )
        self._at_once += 1
        try:
            return await self._relay(ctx, seat, input, play, extra, alone)
        finally:
            self._at_once -= 1

    async def _relay(
        self, ctx: Context, seat: Seat, input: Value, play: Play, extra: Mapping[Seat, Sequence[ToolEntry]], alone: bool
    ) -> tuple[dict[str, Any], Seat]:
        member = await seat.ready()
        if play.depth >= MAX_DEPTH:
            raise LimitError(
                f"agents call agents {MAX_DEPTH} deep; let one of them do the work itself",
                limit="agent_depth",
                value=MAX_DEPTH,
                used=play.depth + 1,
            )
        if member.is_script:
            return await self._run_script(ctx, member, input, play), seat
        asked = input_text(input)
        prompt: str | None = asked
        await self.load_loop()
        from llmspell_kernel.services.agents.accounts import Account

        account = Account(member.definition.limits, member.title, play.within)
        caller = (ctx.state, ctx.engine)
        history = [] if alone else member.conversation.before(caller, ctx.restoring)
        remembers = None if alone else member.definition.memory
        if remembers and not history:
            history = await _remembered(ctx, remembers)
        taken = [seat]
        steps = 0
        while True:
            outcome = await self._one(
                ctx, taken[-1], member, history, prompt, account, play._replace(extra=extra.get(taken[-1], ())), alone
            )
            steps += outcome.steps
            if outcome.handoff is None:
                break
            if len(taken) > MAX_HANDOFFS:
                raise LimitError(
                    f"the conversation went from agent to agent {MAX_HANDOFFS} times in one run; give them tasks that do not overlap",
                    limit="agent_handoffs",
                    value=MAX_HANDOFFS,
                    used=len(taken),
                )
            taken.append(self.roster.find(caller, outcome.handoff.target))
            member = await taken[-1].ready()
            refuse_script(member, "given a conversation")
            if play.tell is not None:
                play.tell({"type": "handoff", "agent": member.definition.name})
            history, prompt = outcome.messages, None
        if remembers:
            said = [Message("user", asked), Message("assistant", outcome.text)]
            await ctx.call("memory", "append", remembers, plain([message for message in said if message.content]), level="write")
        if not alone:
            for earlier in {id(one): one for one in taken[:-1] if one is not taken[-1]}.values():
                self._keep(earlier, earlier.member, caller, ctx.restoring, outcome.messages)
        return {**_result(outcome), "steps": steps, "agent": member.definition.name}, taken[-1]

    async def _one(
        self,
        ctx: Context,
        seat: Seat,
        member: Member,
        history: list[Message],
        prompt: str | None,
        account: Account,
        play: Play,
        alone: bool,
    ) -> Outcome:
        """One agent's part of a run."""
        loop = await self.load_loop()
        caller, restoring = (ctx.state, ctx.engine), ctx.restoring

        def keep(messages: list[Message]) -> None:
            if not alone:
                self._keep(seat, member, caller, restoring, messages)

        if member.is_running and not alone:
            raise ScriptError(
                f"{member.title} runs already, and has one conversation; wait for it, or make an agent for each task", code="agent_busy"
            )
        definition = msgspec.structs.replace(member.definition)
        for entry in play.extra:
            definition.add(entry)
        self._last += 1
        number = self._last
        # a copy: what is changed meanwhile holds from the next run on
        self.going[number] = Run(Member(definition, member.conversation, dict(member.functions)), account, play.depth)
        if not alone:
            member.is_running = True
        try:
            host = Host(ctx, number, definition.name, play, self.roster)
            outcome = await loop.play(definition, history, prompt, host, account, keep)
            host.check_handoff(outcome)
            return outcome
        finally:
            del self.going[number]
            if not alone:
                member.is_running = False

    def _keep(self, seat: Seat, member: Member, caller: tuple[str, str], restoring: bool, messages: list[Message]) -> None:
        """Raises LimitError where the session's agents would hold too much; the conversation is then as it was before the run."""
        held, chars = self.roster.held(seat), chars_of(messages)
        if chars > member.conversation.chars:
            self.roster.check_room(held._replace(conversation=chars), seat)
        member.conversation.keep(caller, restoring, messages)
        self.roster.count(seat, held._replace(conversation=seat.member.conversation.chars))

    async def _run_script(self, ctx: Context, member: Member, input: Value, play: Play) -> dict[str, Any]:
        if play.tell is not None and "stream" in member.functions:
            answer: Value = await self._streamed(ctx, member, input, play.tell, play.room)
        else:
            answer = await member.functions["execute"](ctx, input)
        text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
        return {
            "text": text,
            "output": None if isinstance(answer, str) else answer,
            "usage": dict.fromkeys(COUNTED, 0),
            "cost_usd": 0.0,
            "steps": 0,
            "messages": 0,
            "model": "",
            "finish_reason": "",
            "agent": member.definition.name,
        }

    @staticmethod
    async def _streamed(
        ctx: Context, member: Member, input: Value, tell: Callable[[Event], None], room: Callable[[], Awaitable[object]] | None
    ) -> str:
        pieces: list[str] = []
        chars = 0
        while len(pieces) < MAX_PIECES:
            if room is not None:
                await room()
            piece = await member.functions["stream"](ctx, input, len(pieces) + 1)
            if piece is None:
                return "".join(pieces)
            if not isinstance(piece, str):
                raise ScriptError(f"stream of {member.title} must give texts, and nothing at the end", code="type")
            chars += len(piece)
            if chars > MAX_STREAM_CHARS:
                raise LimitError(
                    f"stream of {member.title} gave {chars:,} characters, {MAX_STREAM_CHARS:,} is the most of one run;"
                    " give less, or write it to a file with storage.append",
                    limit="agent_chars",
                    value=MAX_STREAM_CHARS,
                    used=chars,
                )
            pieces.append(piece)
            tell({"type": "text", "text": piece})
        raise LimitError(
            f"stream of {member.title} gave {MAX_PIECES:,} pieces; it must give nothing at its end",
            limit="agent_pieces",
            value=MAX_PIECES,
            used=MAX_PIECES,
        )


class Host:
    """services.agents.host.Host over the calls of one context."""

    def __init__(self, ctx: Context, run: int, agent: str, play: Play, roster: Roster) -> None:
        self._ctx = ctx
        self._run = run
        self._agent = agent
        self._play = play
        self._roster = roster
        self._why = f"approve of the agent '{agent}'" if agent else "approve of an agent"
        self._allowed: Seat | None = None
        """To whom the user lets the conversation go."""

    async def room(self) -> None:
        if self._play.room is not None:
            await self._play.room()

    async def step(self, number: int) -> None:
        await self.room()
        await self._ctx.call("agent", "step", self._agent, number)

    async def generate(
        self, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any], on_text: Callable[[str], None]
    ) -> dict[str, Any]:
        answer = await self._ctx.call("llm", "generate", list(messages), dict(options), on_text=on_text)
        if not isinstance(answer, dict):
            raise BridgeError("llm.generate gave no table", code="bad_response")
        return answer

    async def use(self, tool: ToolEntry, arguments: dict[str, Any], *, asks: bool) -> Value:
        why = self._why if asks else ""
        match tool.kind:
            case "registered":
                return await self._ctx.call("tools", "call", tool.target, arguments, ask=why)
            case "agent":
                return await self._ctx.call("agent", "ask", tool.target, arguments["input"], self._run, ask=why)
        return await self._ctx.call("agent", "tool", tool.name, arguments, self._run, ask=why)

    async def ask_to_hand_over(self, tool: ToolEntry) -> None:
        allowed = self._next(tool)
        await self._ctx.call("agent", "consent", tool.name, {"to": tool.target}, capability="agent.handoff", ask=self._why)
        self._allowed = allowed

    def check_handoff(self, outcome: Outcome) -> None:
        """Raises ScriptError where the conversation would go to another agent than the one that the user said yes to."""
        if outcome.handoff is None or self._allowed is None or self._ctx.restoring or self._next(outcome.handoff) is self._allowed:
            return
        raise ScriptError(
            f"the agent '{outcome.handoff.target}' is another one than when the user let the conversation go to it; run the agent again",
            code="agent_changed",
        )

    def _next(self, tool: ToolEntry) -> Seat:
        return self._roster.find((self._ctx.state, self._ctx.engine), tool.target)

    def tell(self, event: Event) -> None:
        if self._play.tell is not None:
            self._play.tell(event)

    def log(self, message: str, fields: dict[str, Value]) -> None:
        self._ctx.log("warn", message, fields)


async def _remembered(ctx: Context, name: str) -> list[Message]:
    """What a kept conversation holds, the newest of it; its summary is told by the user, as an agent has instructions of its own."""
    found = await ctx.call("memory", "recent", name, MEMORY_TOKENS)
    told = found.get("messages", []) if isinstance(found, dict) else []
    kept = [Message("assistant" if one.get("role") == "assistant" else "user", str(one.get("content", ""))) for one in told]
    return [message for message in kept if message.content]


def _result(outcome: Outcome) -> dict[str, Any]:
    return {
        "text": outcome.text,
        "output": outcome.output,
        "usage": outcome.usage,
        "cost_usd": outcome.cost_usd,
        "messages": len(outcome.messages),
        "model": outcome.model,
        "finish_reason": outcome.finish_reason,
    }


def refuse_script(member: Member, what: str) -> None:
    if member.is_script:
        raise ScriptError(
            f"{member.title} is written by a script, and cannot be {what}; change its function, or take an agent of agent.create",
            code="unsupported",
        )
