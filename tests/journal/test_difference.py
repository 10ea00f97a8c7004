"""Two runs side by side."""

from __future__ import annotations

from llmspell_kernel.journal.difference import Words, difference, words
from llmspell_kernel.journal.events import AnyEvent, CallChunk, CallDenied, CallFailed, CallFinished, CallStarted, CallUsage, CellFinished
from llmspell_kernel.values import ResourceRef


def call(number: int, name: str, argument: str, answer: str, cost: float | None = 0.1) -> list[AnyEvent]:
    bridge, _, method = name.partition(".")
    return [
        CallStarted(1, 0.0, number, bridge, method, [argument]),
        CallUsage(1, 0.0, number, "a/b", 3, 2, 0, cost),
        CallFinished(1, 0.0, number, answer, 0.5),
    ]


def test_calls_are_paired_by_what_they_ask_and_those_of_one_run_are_named() -> None:
    before = [*call(1, "llm.chat", "a", "one"), *call(2, "llm.chat", "b", "two"), CellFinished(1, 0.0, "ok", 2.0)]
    after = [*call(1, "llm.chat", "b", "two and a half"), *call(2, "llm.chat", "c", "three", None), CellFinished(1, 0.0, "ok", 3.0)]
    found = difference(before, [*call(9, "log.info", "x", "", 0.0), *after])
    assert [pair.after.call for pair in found.pairs if pair.kind == "new" and pair.after is not None] == ["log.info", "llm.chat"]
    found = difference(before, after)
    assert [(pair.kind, (pair.before or pair.after).arguments) for pair in found.pairs if pair.before or pair.after] == [  # type: ignore[union-attr]
        ("gone", ["a"]),
        ("changed", ["b"]),
        ("new", ["c"]),
    ]
    assert (found.before.calls, found.before.cost_usd, found.before.duration_s) == (2, 0.2, 2.0)
    assert found.after.cost_usd is None and found.after.input_tokens == 6


def test_an_edited_prompt_is_one_changed_call() -> None:
    (pair,) = difference(call(1, "llm.chat", "a red fox", "one"), call(1, "llm.chat", "a blue fox", "two")).pairs
    assert pair.kind == "changed" and pair.before is not None and pair.after is not None
    assert (pair.before.answer, pair.after.answer) == ("one", "two")


def test_the_same_run_has_no_difference() -> None:
    events = [*call(1, "llm.chat", "a", "one"), CallDenied(1, 0.0, 2, "http", "get", ["x"], "denied", "no")]
    assert [pair.kind for pair in difference(events, events).pairs] == ["same", "same"]


def test_a_stream_is_compared_by_its_text_and_a_failure_by_its_message() -> None:
    def stream(text: str) -> list[AnyEvent]:
        return [
            CallStarted(1, 0.0, 1, "llm", "stream", []),
            CallFinished(1, 0.0, 1, ResourceRef(1, "llm.stream"), 0.0),
            CallChunk(1, 0.0, 1, text),
        ]

    assert [pair.kind for pair in difference(stream("a"), stream("a")).pairs] == ["same"]
    assert [pair.kind for pair in difference(stream("a"), stream("b")).pairs] == ["changed"]
    failed: list[AnyEvent] = [CallStarted(1, 0.0, 1, "llm", "stream", []), CallFailed(1, 0.0, 1, "timeout", "late", 0.1)]
    assert [pair.kind for pair in difference(stream("a"), failed).pairs] == ["changed"]


def test_words_are_compared_and_nothing_is_lost() -> None:
    found = words("the red fox runs", "the blue fox runs away")
    assert found == [Words("same", "the "), Words("gone", "red"), Words("new", "blue"), Words("same", " fox runs"), Words("new", " away")]
    assert "".join(one.text for one in found if one.kind != "new") == "the red fox runs"
