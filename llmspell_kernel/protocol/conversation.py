"""The host's half of a conversation: bytes in, messages out, every rule checked.

Rules: only transitions of the table; ids of effects count up and are answered at most once; only known callbacks' invocations return;
after a breach or the end of the stream the same answer is given again and again.
"""

from __future__ import annotations

from ..errors import LocalProtocolError, RemoteProtocolError
from .framing import MAX_FRAME_BYTES, FrameReader, frame
from .messages import (
    Begin,
    CloseState,
    HostMessage,
    Opened,
    OpenState,
    Query,
    Ready,
    Reply,
    Resume,
    Stepped,
    WorkerMessage,
    clipped,
    decode_from_worker,
    encode,
)
from .steps import Background, Failed, Finished, Suspended
from .transitions import BY_HOST, LIVELY, TABLE, Event, Phase

MAX_OPEN_EFFECTS = 100_000


class End:
    """The worker closed the conversation."""


END = End()


class StateTalk:
    """One script state's place in the table, and the ids that are open in it."""

    def __init__(self) -> None:
        self.phase = Phase.ABSENT
        self.last_effect = 0
        self.open_effects: set[int] = set()
        self.last_invocation = 0
        self.open_invocations: set[int] = set()

    def step(self, event: Event) -> None:
        target = TABLE.get((self.phase, event))
        if target is None:
            kind = LocalProtocolError if event in BY_HOST else RemoteProtocolError
            raise kind(f"'{event.value}' is not legal while a state is {self.phase.value}")
        self.phase = target
        if target is Phase.IDLE and event in (Event.FINISHED, Event.FAILED):
            self.open_effects.clear()
            self.open_invocations.clear()


class Conversation:
    """Feed it what the worker sent (`receive`, b"" at the end of the stream); it gives `next_message`.  `send` gives bytes to write."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._frames = FrameReader(limit)
        self._limit = limit
        self._states: dict[int, StateTalk] = {}
        self._ready = False
        self._ended = False
        self._breach: RemoteProtocolError | None = None

    def phase(self, state: int) -> Phase:
        return self._states[state].phase if state in self._states else Phase.ABSENT

    @property
    def lively(self) -> bool:
        """Does anything run or wait in any state: a cell, or what one left in the background?"""
        return any(talk.phase in LIVELY for talk in self._states.values())

    def open_effects(self, state: int) -> frozenset[int]:
        return frozenset(self._states[state].open_effects) if state in self._states else frozenset()

    def send(self, message: HostMessage) -> bytes:
        """The bytes of a legal message.  Raises LocalProtocolError, and changes nothing, where the message is not legal now."""
        if self._ended or self._breach:
            raise LocalProtocolError("the conversation is over")
        if not self._ready:
            raise LocalProtocolError("the worker is not ready yet")
        data = frame(encode(message), self._limit)
        talk = self._states.get(message.state) or StateTalk()
        match message:
            case OpenState():
                talk.step(Event.OPEN)
            case Begin():
                talk.step(Event.BEGIN)
            case Resume():
                self._check_resume(talk, message)
                talk.step(Event.RESUME)
                talk.open_effects.difference_update(answer.id for answer in message.answers)
                for invocation in message.invocations:
                    talk.last_invocation = invocation.id
                    talk.open_invocations.add(invocation.id)
            case Query():
                talk.step(Event.QUERY)
            case CloseState():
                talk.step(Event.CLOSE)
        self._states[message.state] = talk
        if talk.phase is Phase.CLOSED:
            del self._states[message.state]
        return data

    def limit_received(self, limit: int) -> None:
        """How large the worker's next messages may be."""
        self._frames.limit(limit)

    def receive(self, data: bytes) -> None:
        if data:
            self._frames.feed(data)
        else:
            self._ended = True

    def next_message(self) -> WorkerMessage | End | None:
        """The next message, None where more bytes are needed, END (ever again) after the last.

        Raises RemoteProtocolError, ever again, once the worker broke a rule.
        """
        if self._breach:
            raise self._breach
        try:
            payload = self._frames.next_frame()
            if payload is not None:
                message = clipped(decode_from_worker(payload))
                self._accept(message)
                return message
            if self._ended and self._frames.pending:
                raise RemoteProtocolError("the stream ended inside a frame")
        except RemoteProtocolError as error:
            self._breach = error
            raise
        return END if self._ended else None

    def _check_resume(self, talk: StateTalk, message: Resume) -> None:
        answered = [answer.id for answer in message.answers]
        if len(set(answered)) != len(answered) or not talk.open_effects.issuperset(answered):
            raise LocalProtocolError(f"answers {answered} do not fit the open effects {sorted(talk.open_effects)[:20]}")
        last = talk.last_invocation
        for invocation in message.invocations:
            if invocation.id <= last:
                raise LocalProtocolError(f"invocation {invocation.id} does not count up")
            last = invocation.id

    def _accept(self, message: WorkerMessage) -> None:
        if isinstance(message, Ready):
            if self._ready:
                raise RemoteProtocolError("the worker said 'ready' twice")
            self._ready = True
            return
        talk = self._states.get(message.state)
        if talk is None:
            raise RemoteProtocolError(f"a message about the unknown state {message.state}")
        match message:
            case Opened(fault=fault):
                talk.step(Event.OPENED if fault is None else Event.REFUSED)
            case Reply():
                talk.step(Event.REPLY)
            case Stepped(step=Suspended() as step):
                talk.step(Event.SUSPENDED)
                self._accept_suspended(talk, step)
            case Stepped(step=(Finished() | Failed()) as step):
                self._accept_end(talk, step)

    def _accept_end(self, talk: StateTalk, step: Finished | Failed) -> None:
        background = step.background
        if background is not None and len(background.open) > MAX_OPEN_EFFECTS:
            raise RemoteProtocolError(f"more than {MAX_OPEN_EFFECTS} effects are open")
        if background is not None and (background.open or (talk.open_invocations - {returned.id for returned in background.returned})):
            talk.step(Event.LINGERS)
            self._accept_asked(talk, background)
            if not talk.open_effects.issuperset(background.open):
                raise RemoteProtocolError("background work waits for an unknown effect")
            talk.open_effects = set(background.open)
            return
        talk.step(Event.FINISHED if isinstance(step, Finished) else Event.FAILED)
        if background is not None and background.effects:
            raise RemoteProtocolError("an effect of background work that nobody waits for")

    def _accept_suspended(self, talk: StateTalk, step: Suspended) -> None:
        self._accept_asked(talk, step)
        if not talk.open_effects and not talk.open_invocations and not step.returned:
            raise RemoteProtocolError("suspended with nothing to wait for")

    @staticmethod
    def _accept_asked(talk: StateTalk, step: Suspended | Background) -> None:
        if max(len(step.effects), len(step.abandoned)) > MAX_OPEN_EFFECTS:  # before any of them is looked at
            raise RemoteProtocolError(f"more than {MAX_OPEN_EFFECTS} effects in one step")
        for returned in step.returned:
            if returned.id not in talk.open_invocations:
                raise RemoteProtocolError(f"a return of the unknown invocation {returned.id}")
            talk.open_invocations.discard(returned.id)
        for number in step.abandoned:
            if number not in talk.open_effects:
                raise RemoteProtocolError(f"abandons the unknown effect {number}")
            talk.open_effects.discard(number)
        for effect in step.effects:
            if effect.id <= talk.last_effect:
                raise RemoteProtocolError(f"effect {effect.id} does not count up from {talk.last_effect}")
            talk.last_effect = effect.id
            talk.open_effects.add(effect.id)
        if len(talk.open_effects) > MAX_OPEN_EFFECTS:
            raise RemoteProtocolError(f"more than {MAX_OPEN_EFFECTS} effects are open")
