"""The agents of a session, by name.

An agent belongs to the state that made it: where two states have one of the same name, each finds its own first.  Where a state is restored, it
makes its agents again, and who holds one has the new one: it stands in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from llmspell_kernel.errors import LimitError, ScriptError, nearest

from .conversation import Caller, Conversation
from .definition import Definition

MAX_AGENTS = 1_000
MAX_CHARS = 32_000_000
"""Of the conversations, instructions and tools of all agents together: where they are all small lists, 128 MB of memory."""
UNNAMED = "#"
"""How the names begin that are given to agents without one."""


class Function(Protocol):
    """A function of a script; bridges._bridge.ScriptFunction."""

    async def ready(self) -> None: ...

    async def __call__(self, ctx: Any, *args: Any, as_type: Any = Any) -> Any: ...


class Held(NamedTuple):
    """What an agent counts: characters, and what schemas and arguments hold besides."""

    definition: int = 0
    conversation: int = 0


@dataclass(slots=True, eq=False)
class Member:
    """An agent: `functions` are its own tools' by name; one that is written as a script has "execute" and perhaps "stream" there."""

    definition: Definition
    conversation: Conversation
    functions: dict[str, Function] = field(default_factory=dict)
    is_script: bool = False
    is_running: bool = False

    @property
    def title(self) -> str:
        return f"the agent '{self.definition.name}'" if self.definition.name else "the agent"

    @property
    def held(self) -> Held:
        return Held(self.definition.counted(MAX_CHARS), self.conversation.chars)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Seat:
    """Where an agent is found, also after its state was restored."""

    owner: Caller
    name: str
    member: Member
    is_open: bool = True

    async def ready(self) -> Member:
        """Its agent as it is now, with the states of its functions alive.  Raises ScriptError for one that was closed."""
        for function in list(self.member.functions.values()):
            await function.ready()
        if not self.is_open:
            raise ScriptError(f"{self.member.title} is closed; create it again", code="resource")
        return self.member


class Roster:
    """Raises LimitError where there are too many, ScriptError for one that nobody knows."""

    def __init__(self) -> None:
        self._seats: dict[tuple[Caller, str], Seat] = {}
        self._unnamed = 0
        self._held: WeakKeyDictionary[Seat, Held] = WeakKeyDictionary()
        """Also of those that only a script's handle still leads to: another agent has taken their name."""

    def __len__(self) -> int:
        return len(self._seats)

    def earlier(self, owner: Caller, name: str) -> Seat | None:
        return self._seats.get((owner, name)) if name else None

    def seat(self, owner: Caller, member: Member, held: Held, restoring: bool) -> Seat:
        """`held` is the member's; where its schemas may be large, a thread has counted it."""
        name = member.definition.name
        self.check_room(held, self._seats.get((owner, name)) if restoring else None)
        if not name:
            self._unnamed += 1
            name = f"{UNNAMED}{self._unnamed}"
        found = self._seats.pop((owner, name), None)
        if found is not None and restoring:
            found.member, found.is_open = member, True
        else:
            if len(self._seats) >= MAX_AGENTS:
                raise LimitError(
                    f"there are {MAX_AGENTS:,} agents already; close those that are done with",
                    limit="agents",
                    value=MAX_AGENTS,
                    used=MAX_AGENTS + 1,
                )
            found = Seat(owner, name, member)
        self._held[found] = held
        self._seats[owner, name] = found  # at the end: the newest of a name is found first
        return found

    def held(self, seat: Seat) -> Held:
        """What the agent there counted when it was looked at last; nothing where it is closed."""
        return self._held.get(seat, Held())

    def check_room(self, held: Held, seat: Seat | None = None) -> None:
        """Raises LimitError where an agent that holds so much, in place of what is at that seat, is too much."""
        used = sum(map(sum, self._held.values())) - (0 if seat is None else sum(self.held(seat))) + sum(held)
        if used > MAX_CHARS:
            raise LimitError(
                f"the agents of the session would hold {used:,} characters, {MAX_CHARS:,} is the most;"
                " close those that are done with (agent.get(name):close()), or go on with a new agent and a shorter conversation; schemas count as"
                " values do, and each message 100 besides its text",
                limit="agents_chars",
                value=MAX_CHARS,
                used=used,
            )

    def count(self, seat: Seat, held: Held) -> None:
        """What it holds has changed."""
        if seat.is_open:
            self._held[seat] = held

    def find(self, owner: Caller, name: str) -> Seat:
        if (own := self._seats.get((owner, name))) is not None:
            return own
        for (_, known), seat in reversed(self._seats.items()):
            if known == name:
                return seat
        raise ScriptError(f"there is no agent '{name[:80]}'{nearest(name[:80], self.names())}", code="unknown_agent")

    def names(self) -> list[str]:
        return sorted({name for _, name in self._seats if not name.startswith(UNNAMED)})

    def all(self) -> list[Seat]:
        return [seat for seat in self._seats.values() if not seat.name.startswith(UNNAMED)]

    def close(self, seat: Seat) -> None:
        seat.is_open = False
        self._held.pop(seat, None)
        if self._seats.get((seat.owner, seat.name)) is seat:
            del self._seats[seat.owner, seat.name]

    def drop(self, seat: Seat) -> None:
        """Its handle is gone: one that has a name can be found again."""
        if seat.name.startswith(UNNAMED):
            self.close(seat)
