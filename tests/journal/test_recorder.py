"""The in-memory journal: order, listeners, bounds."""

from __future__ import annotations

import msgspec
import pytest

from llmspell_kernel.journal.events import (
    AnyEvent,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    Logged,
    WorkerWasLost,
)
from llmspell_kernel.journal.recorder import MAX_VALUE_BYTES, Recorder
from llmspell_kernel.redaction import Redactor
from llmspell_kernel.values import Opaque

EVENTS: list[AnyEvent] = [
    CellStarted(1, 0.5, "lua", "main", "cell[1]", "return 1"),
    CallStarted(1, 1.0, 1, "llm", "chat", ["hi", {"a": [1, None]}], None),
    CallChunk(1, 1.1, 1, "he"),
    CallUsage(1, 1.2, 1, "spell/echo", 3, 4, 0, None, 1, "stop"),
    CallFinished(1, 1.3, 1, "hello", 0.3),
    CallDenied(1, 1.4, 2, "http", "get", ["x"], "denied", "no"),
    CallFailed(1, 1.5, 3, "bridge", "boo", 0.1, True, False),
    Logged(1, 1.6, "info", "m", {"k": 1}),
    WorkerWasLost(1, 1.7, "main", "signal SIGKILL"),
    CellFinished(1, 1.8, "ok", 1.3),
]


def chunk(number: int, cell: int = 1) -> CallChunk:
    return CallChunk(cell, 0.0, number, str(number))


def test_events_are_kept_in_the_order_they_were_recorded() -> None:
    recorder = Recorder()
    for event in EVENTS:
        recorder.record(event)
    assert list(recorder) == EVENTS


def test_the_events_of_a_cell_are_its_own() -> None:
    recorder = Recorder()
    for number in range(6):
        recorder.record(chunk(number, cell=number % 2))
    assert recorder.of_cell(1) == [chunk(1, 1), chunk(3, 1), chunk(5, 1)]
    assert recorder.of_cell(9) == []


def test_the_oldest_events_go_first() -> None:
    recorder = Recorder(max_events=3)
    for number in range(5):
        recorder.record(chunk(number))
    assert list(recorder) == [chunk(2), chunk(3), chunk(4)]


def test_it_knows_how_many_of_its_events_are_gone() -> None:
    recorder = Recorder(max_events=3)
    told = []
    for number in range(1, 6):
        recorder.record(chunk(number))
        told.append(recorder.dropped)
    assert told == [0, 0, 0, 1, 2]


def test_listeners_hear_each_event_at_once_and_in_the_order_they_were_added() -> None:
    recorder = Recorder()
    heard: list[tuple[str, AnyEvent, int]] = []
    recorder.listen(lambda event: heard.append(("first", event, len(list(recorder)))))
    recorder.listen(lambda event: heard.append(("second", event, len(list(recorder)))))
    recorder.record(chunk(1))
    assert heard == [("first", chunk(1), 1), ("second", chunk(1), 1)]


def test_a_removed_listener_hears_nothing_and_may_be_removed_again() -> None:
    recorder = Recorder()
    heard: list[AnyEvent] = []
    remove = recorder.listen(heard.append)
    recorder.record(chunk(1))
    remove()
    remove()
    recorder.record(chunk(2))
    assert heard == [chunk(1)]


def test_a_listener_may_remove_itself_while_it_hears() -> None:
    recorder = Recorder()
    heard: list[AnyEvent] = []

    def once(event: AnyEvent) -> None:
        heard.append(event)
        remove()

    remove = recorder.listen(once)
    recorder.listen(heard.append)
    recorder.record(chunk(1))
    recorder.record(chunk(2))
    assert heard == [chunk(1), chunk(1), chunk(2)]


def test_recording_while_someone_reads_does_not_disturb_the_reader() -> None:
    recorder = Recorder()
    recorder.record(chunk(1))
    for _ in recorder:
        recorder.record(chunk(2))
    assert list(recorder) == [chunk(1), chunk(2)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_reads_back_as_it_was_written(event: AnyEvent) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=AnyEvent) == event


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EVENTS[0].cell = 2  # type: ignore[misc]


def test_the_oldest_events_go_when_the_bytes_are_used_up() -> None:
    recorder = Recorder(max_bytes=100_000)
    for number in range(100):
        recorder.record(Logged(1, 0.0, "info", f"{number}" + "x" * 10_000, {}))
    assert recorder.bytes <= 100_000
    assert [event.message[:2] for event in recorder if isinstance(event, Logged)] == [str(number) for number in range(91, 100)]


def test_a_giant_value_is_kept_and_told_as_a_marker_that_says_its_size() -> None:
    recorder, heard = Recorder(), []
    recorder.listen(heard.append)
    recorder.record(CallStarted(1, 0.0, 1, "llm", "chat", ["x" * 4_000_000, "short", list(range(1_000_000))]))
    recorder.record(CallFinished(1, 0.0, 1, b"y" * 4_000_000, 0.1))
    started, finished = recorder
    assert isinstance(started, CallStarted)
    assert isinstance(finished, CallFinished)
    assert started.arguments[0].endswith("[4000000 characters in all; the journal keeps the first]")
    assert started.arguments[1] == "short"
    assert isinstance(started.arguments[2], Opaque)
    assert isinstance(finished.value, Opaque)
    assert "bytes of about 40000" in finished.value.text
    assert recorder.bytes < 2 * MAX_VALUE_BYTES
    assert heard == [started, finished]


KEY = "sk-Zq9_x7Kd3vTbmP2"


@pytest.mark.parametrize("at", [0, 3, len(KEY) - 1, len(KEY)])
def test_of_a_secret_that_a_clip_cuts_nothing_is_kept(at: int) -> None:
    redactor = Redactor()
    redactor.learn("key", KEY)
    recorder = Recorder(redactor=redactor)
    text = "x" * (MAX_VALUE_BYTES // 8 - at) + KEY + "y" * 10 * MAX_VALUE_BYTES
    recorder.record(CallStarted(1, 0.0, 1, "b", "m", [text]))
    (event,) = recorder
    assert KEY[:2] not in event.arguments[0] and "characters in all" in event.arguments[0]


def test_the_chunks_of_a_call_are_redacted_as_one_text_and_its_end_gives_what_was_held() -> None:
    redactor = Redactor()
    redactor.learn("key", KEY)
    recorder = Recorder(redactor=redactor)
    for letter in f"It is {KEY}, or sk-":
        recorder.record(CallChunk(1, 0.0, 7, letter))
        recorder.record(CallChunk(1, 0.0, 8, "."))
    recorder.record(CallFinished(1, 0.0, 7, f"It is {KEY}", 0.1))
    recorder.record(CellFinished(1, 0.0, "ok", 0.1))
    events = list(recorder)
    assert "".join(event.text for event in events if isinstance(event, CallChunk) and event.call == 7) == "It is [secret key], or sk-"
    assert isinstance(events[-3], CallChunk) and events[-3].text == "sk-"  # before the event that ends its call
    assert events[-2].value == "It is [secret key]"
