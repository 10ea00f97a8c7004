"""The agents of a session, by name.

An agent belongs to the state that made it: where two states have one of the same name, each finds its own first.  Where a state is restored, it
makes its agents again, and who holds one has the new one: it stands in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from llmspell_kernel.errors import LimitError, ScriptError, nearest

from .conversation import Caller, Conversation
from .definition import Definition

MAX_AGENTS = 1_000
MAX_CHARS = 64_000_000
"""Of the conversations, instructions and tools of all agents together."""
UNNAMED = "#"
"""How the names begin that are given to agents without one."""


class Function(Protocol):
    """A function of a script; bridges._bridge.ScriptFunction."""

    async def ready(self) -> None: ...

    async def __call__(self, ctx: Any, *args: Any, as_type: Any = Any) -> Any: ...


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
        self._chars: WeakKeyDictionary[Seat, int] = WeakKeyDictionary()
        """Also of those that only a script's handle still leads to: another agent has taken their name."""

    def __len__(self) -> int:
        return len(self._seats)

    def earlier(self, owner: Caller, name: str) -> Seat | None:
        return self._seats.get((owner, name)) if name else None

    def seat(self, owner: Caller, member: Member, restoring: bool) -> Seat:
        name = member.definition.name
        chars = member.definition.chars + member.conversation.chars
        self.check_room(chars, self._seats.get((owner, name)) if restoring else None)
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
        self._chars[found] = chars
        self._seats[owner, name] = found  # at the end: the newest of a name is found first
        return found

    def check_room(self, chars: int, seat: Seat | None = None) -> None:
        """Raises LimitError where an agent that holds so many characters, in place of what is at that seat, is too much."""
        used = sum(self._chars.values()) - (0 if seat is None else self._chars.get(seat, 0)) + chars
        if used > MAX_CHARS:
            raise LimitError(
                f"the agents of the session would hold {used:,} characters, {MAX_CHARS:,} is the most;"
                " close those that are done with (agent.get(name):close()), or go on with a new agent and a shorter conversation",
                limit="agents_chars",
                value=MAX_CHARS,
                used=used,
            )

    def count(self, seat: Seat) -> None:
        """What it holds has changed."""
        if seat.is_open:
            self._chars[seat] = seat.member.definition.chars + seat.member.conversation.chars

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
        self._chars.pop(seat, None)
        if self._seats.get((seat.owner, seat.name)) is seat:
            del self._seats[seat.owner, seat.name]

    def drop(self, seat: Seat) -> None:
        """Its handle is gone: one that has a name can be found again."""
        if seat.name.startswith(UNNAMED):
            self.close(seat)
