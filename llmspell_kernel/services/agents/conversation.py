"""An agent's conversation, by the runs that made it.

A state that is restored makes its runs again, and the model is to be asked the same as then.  So it is kept which state asked for which part:
- where the agent's own state comes back, its agent is made anew, and what other states have said meanwhile is put in at its place;
- where another state comes back, its runs are played with the conversation as it was then, and change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .messages import Message, chars_of

Caller = tuple[str, str]
"""Name and engine of a state."""


class Turn(NamedTuple):
    """What one run has added."""

    caller: Caller
    added: list[Message]
    chars: int


class Conversation:
    def __init__(self, owner: Caller, start: Iterable[Message] = (), earlier: Conversation | None = None) -> None:
        """`earlier`: the same agent's, before its state was lost."""
        self._owner = owner
        self._start = list(start)
        self._start_chars = chars_of(self._start)
        self._turns: list[Turn] = []
        self._earlier: list[Turn] = [] if earlier is None else [*earlier._turns, *earlier._earlier]
        self._replayed: dict[Caller, int] = {}
        self._catch_up()

    @property
    def messages(self) -> list[Message]:
        return [*self._start, *(message for turn in self._turns for message in turn.added)]

    @property
    def chars(self) -> int:
        """What its messages count; counted once for each part of it, as arguments are written for that."""
        return self._start_chars + sum(turn.chars for turn in self._turns)

    def before(self, caller: Caller, restoring: bool) -> list[Message]:
        """The conversation that a run begins with."""
        if not restoring or caller == self._owner:
            self._replayed.pop(caller, None)
            return self.messages
        places = [place for place, turn in enumerate(self._turns) if turn.caller == caller]
        if not places:  # it was had in another session
            return self.messages
        number = self._replayed.get(caller, 0)
        self._replayed[caller] = number + 1
        upto = self._turns[: places[number % len(places)]]
        return [*self._start, *(message for turn in upto for message in turn.added)]

    def keep(self, caller: Caller, restoring: bool, messages: list[Message]) -> None:
        """The whole conversation as a run has left it."""
        if restoring and caller != self._owner and any(turn.caller == caller for turn in self._turns):
            return
        had = self.messages
        if messages[: len(had)] == had:
            self._turns.append(_turn(caller, messages[len(had) :]))
        else:  # handed over by another agent
            self._start, self._start_chars, self._turns = [], 0, [_turn(caller, list(messages))]
        if self._earlier:
            self._earlier.pop(0)
            self._catch_up()

    def _catch_up(self) -> None:
        while self._earlier and self._earlier[0].caller != self._owner:
            self._turns.append(self._earlier.pop(0))


def _turn(caller: Caller, added: list[Message]) -> Turn:
    return Turn(caller, added, chars_of(added))
