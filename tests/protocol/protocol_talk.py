"""What the protocol tests share: conversations brought to a phase of the table."""

from __future__ import annotations

import msgspec

from llmspell_kernel.protocol.conversation import Conversation
from llmspell_kernel.protocol.framing import frame
from llmspell_kernel.protocol.messages import (
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
    encode,
)
from llmspell_kernel.protocol.steps import Answer, Background, Effect, Failed, Fault, Finished, Suspended
from llmspell_kernel.protocol.transitions import Event, Phase

STATE = 7
EMPTY = msgspec.Raw(b"{}")


def lingering(effect: int) -> Finished:
    """The end of a cell or slice after which background work waits for that new effect."""
    return Finished(background=Background([Effect(effect, "timer", "sleep")], open=[effect], tasks=["task 1"]))


SENT: dict[Event, HostMessage] = {
    Event.OPEN: OpenState(STATE, "lua", EMPTY, EMPTY),
    Event.BEGIN: Begin(STATE, "return 1", "cell[1]"),
    Event.RESUME: Resume(STATE, [Answer(1)]),
    Event.QUERY: Query(STATE, "members", ""),
    Event.CLOSE: CloseState(STATE),
}
RECEIVED: dict[Event, WorkerMessage] = {
    Event.OPENED: Opened(STATE),
    Event.REFUSED: Opened(STATE, Fault("internal", "no")),
    Event.SUSPENDED: Stepped(STATE, Suspended([Effect(1, "llm", "chat")])),
    Event.FINISHED: Stepped(STATE, Finished()),
    Event.FAILED: Stepped(STATE, Failed(Fault("script", "boo"))),
    Event.REPLY: Reply(STATE),
    Event.LINGERS: Stepped(STATE, lingering(1)),
}
WAY: dict[Phase, tuple[Event, ...]] = {
    Phase.ABSENT: (),
    Phase.OPENING: (Event.OPEN,),
    Phase.IDLE: (Event.OPEN, Event.OPENED),
    Phase.RUNNING: (Event.OPEN, Event.OPENED, Event.BEGIN),
    Phase.WAITING: (Event.OPEN, Event.OPENED, Event.BEGIN, Event.SUSPENDED),
    Phase.ASKED_IDLE: (Event.OPEN, Event.OPENED, Event.QUERY),
    Phase.ASKED_WAITING: (Event.OPEN, Event.OPENED, Event.BEGIN, Event.SUSPENDED, Event.QUERY),
    Phase.LINGERING: (Event.OPEN, Event.OPENED, Event.BEGIN, Event.LINGERS),
    Phase.STIRRING: (Event.OPEN, Event.OPENED, Event.BEGIN, Event.LINGERS, Event.RESUME),
    Phase.ASKED_LINGERING: (Event.OPEN, Event.OPENED, Event.BEGIN, Event.LINGERS, Event.QUERY),
    Phase.CLOSED: (Event.OPEN, Event.OPENED, Event.CLOSE),
}


def hear(talk: Conversation, message: WorkerMessage) -> object:
    """Lets the conversation receive one message of the worker, and gives what it makes of it."""
    talk.receive(frame(encode(message)))
    return talk.next_message()


def happen(talk: Conversation, event: Event) -> None:
    if event in SENT:
        talk.send(SENT[event])
    elif event is Event.LINGERS and talk.phase(STATE) is Phase.STIRRING:
        hear(talk, Stepped(STATE, lingering(2)))  # effect 1 was answered
    else:
        hear(talk, RECEIVED[event])


def ready_conversation() -> Conversation:
    talk = Conversation()
    hear(talk, Ready(1))
    return talk


def at(phase: Phase) -> Conversation:
    """A conversation whose state 7 is in that phase; in the waiting and lingering phases effect 1 is open."""
    talk = ready_conversation()
    for event in WAY[phase]:
        happen(talk, event)
    return talk
