"""Journal events as a terminal shows them: text as it comes, one call at a time, a line about each."""

from __future__ import annotations

import io

import pytest

from llmspell_kernel.cli._model_text import ModelText, summary
from llmspell_kernel.cli._terminal import Terminal
from llmspell_kernel.journal.events import AnyEvent, CallChunk, CallFailed, CallFinished, CallStarted, CallUsage


class Shown:
    """A listener on two text buffers."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.listener = ModelText(Terminal(self.out, self.err, model_to_err=False))

    def after(self, *events: AnyEvent) -> str:
        for event in events:
            self.listener(event)
        return self.out.getvalue()


@pytest.fixture
def shown() -> Shown:
    return Shown()


def started(call: int, method: str = "chat", bridge: str = "llm", time: float = 0.0) -> CallStarted:
    return CallStarted(1, time, call, bridge, method, [])


def chunk(call: int, text: str) -> CallChunk:
    return CallChunk(1, 0.0, call, text)


def usage(call: int, time: float = 0.0) -> CallUsage:
    return CallUsage(1, time, call, "spell/local", 11, 20, 0, 0.0)


def finished(call: int, *, replayed: bool = False) -> CallFinished:
    return CallFinished(1, 0.0, call, "", 0.8, replayed)


def test_a_chunk_is_shown_when_it_comes_and_ends_with_a_line(shown: Shown) -> None:
    assert shown.after(started(1), chunk(1, "one ")) == "one "
    assert shown.after(chunk(1, "two")) == "one two"
    assert shown.after(usage(1), finished(1)) == "one two\n"
    assert shown.err.getvalue() == "llm.chat spell/local 31 tokens $0.0000 0.8 s\n"


def test_of_two_calls_at_once_the_texts_never_mix(shown: Shown) -> None:
    events = [started(1), started(2), chunk(1, "a"), chunk(2, "x"), chunk(1, "b"), chunk(2, "y")]
    assert shown.after(*events) == "ab"
    assert shown.after(finished(1)) == "ab\nxy"
    assert shown.after(chunk(2, "z"), finished(2)) == "ab\nxyz\n"


def test_a_call_that_ends_while_another_is_shown_waits_for_its_turn(shown: Shown) -> None:
    assert shown.after(started(1), started(2), chunk(1, "a"), chunk(2, "x"), usage(2), finished(2)) == "a"
    assert shown.err.getvalue() == ""
    assert shown.after(chunk(1, "b"), usage(1), finished(1)) == "ab\nx\n"
    assert len(shown.err.getvalue().splitlines()) == 2


def test_a_failed_call_keeps_what_it_said(shown: Shown) -> None:
    assert shown.after(started(1), chunk(1, "half"), CallFailed(1, 0.0, 1, "bridge", "gone", 0.1)) == "half\n"


def test_the_text_of_other_bridges_is_not_shown(shown: Shown) -> None:
    assert shown.after(started(1, "run", "agent"), chunk(1, "thinking"), finished(1)) == ""


def test_a_streams_text_is_the_scripts_to_print_and_its_summary_comes_last(shown: Shown) -> None:
    assert shown.after(started(1, "stream", time=10.0), chunk(1, "a"), finished(1), chunk(1, "b"), usage(1, time=12.5)) == ""
    assert shown.err.getvalue() == "llm.stream spell/local 31 tokens $0.0000 2.5 s\n"


def test_a_call_without_usage_gets_no_summary(shown: Shown) -> None:
    shown.after(started(1, "model"), finished(1))
    assert shown.err.getvalue() == ""


def test_an_unknown_price_is_said() -> None:
    assert "price unknown" in summary("llm.chat", CallUsage(1, 0.0, 1, "x/y", 1, 1), 0.1)


@pytest.mark.parametrize("method", ["chat", "stream"])
def test_what_a_cassette_answered_is_said_to_be_replayed(shown: Shown, method: str) -> None:
    answer, told = finished(1, replayed=True), usage(1)
    shown.after(started(1, method), *([answer, told] if method == "stream" else [told, answer]))
    assert shown.err.getvalue() == f"llm.{method} spell/local 31 tokens replayed, nothing was sent\n"
