"""What a saved notebook keeps of a cell's calls."""

import re
from typing import Any

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
)
from llmspell_kernel.render.budget import MAX_HTML_BYTES
from llmspell_kernel.render.bundle import Bundle
from llmspell_kernel.render.trace import final_bundle
from llmspell_kernel.values import ResourceRef

from .page import HOSTILE, Page, check_safe


class Story:
    """Builds the events of one cell; `shift` moves every time, duration and id, as another run would."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift
        self.events: list[AnyEvent] = [CellStarted(1, self.now, "lua", "main", "cell[1]", "code")]
        self.calls = 0

    @property
    def now(self) -> float:
        return 1000.0 + self.shift

    @property
    def took(self) -> float:
        return 0.5 + self.shift

    def call(self, name: str = "llm.chat", *arguments: Any, parent: int | None = None) -> int:
        self.calls += 1
        bridge, _, method = name.rpartition(".")
        number = self.calls + self.shift
        self.events.append(CallStarted(1, self.now, number, bridge, method, list(arguments), parent))
        return number

    def chunks(self, call: int, *texts: str) -> None:
        self.events.extend(CallChunk(1, self.now, call, text) for text in texts)

    def usage(self, call: int, cost: float | None = 0.0012, finish_reason: str = "stop") -> None:
        self.events.append(CallUsage(1, self.now, call, "spell/echo", 12, 34, 0, cost, 1, finish_reason))

    def done(self, call: int, value: Any = None) -> None:
        self.events.append(CallFinished(1, self.now, call, value, self.took))

    def failed(self, call: int, message: str = "no answer", *, cancelled: bool = False) -> None:
        self.events.append(
            CallFailed(1, self.now, call, "interrupted" if cancelled else "timeout", message, self.took, cancelled=cancelled)
        )

    def answer(self, text: str, prompt: str = "hi", parent: int | None = None) -> int:
        call = self.call("llm.chat", prompt, parent=parent)
        self.chunks(call, *re.findall(r"\S+\s*|\s+", text))
        self.usage(call)
        self.done(call, text)
        return call

    def end(self, status: str = "ok", *, always: bool = False) -> Bundle | None:
        self.events.append(CellFinished(1, self.now, status, self.took))  # type: ignore[arg-type]
        return final_bundle(self.events, always=always)

    def box(self, status: str = "ok") -> tuple[Page, str, dict[str, Any]]:
        bundle = self.end(status)
        assert bundle is not None
        assert set(bundle.data) == {"text/html", "text/plain"} and set(bundle.metadata) == {"llmspell"}
        return check_safe(bundle.data["text/html"]), bundle.data["text/plain"], bundle.metadata["llmspell"]


def test_an_answer_is_rendered_and_kept_raw() -> None:
    story = Story()
    story.answer("Tea is **hot**.", "What is tea?")
    page, plain, facts = story.box()
    assert plain == "Tea is **hot**."
    assert "strong" in page.tags and page.text.startswith('llm.chat "What is tea?" spell/echo · 12 → 34 tokens · $0.0012 ✓ done')
    assert facts["usage"] == {"input_tokens": 12, "output_tokens": 34, "cost_usd": 0.0012, "calls": 1}
    assert facts["duration_s"] == 0.5 and facts["calls"][0]["duration_s"] == 0.5


def test_the_trace_of_a_good_cell_is_closed() -> None:
    story = Story()
    story.answer("x")
    assert all("open" not in attrs for attrs in story.box()[0].of("details"))


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    story = Story()
    story.answer("a")
    story.usage(story.call("llm.chat", "x"), cost=None)
    assert story.box()[2]["usage"]["cost_usd"] is None


@pytest.mark.parametrize("name", ["ui.display", "log.info", "timer.sleep", "weather.today"])
def test_calls_that_stream_nothing_make_no_box(name: str) -> None:
    story = Story()
    story.done(story.call(name, 1), "value")
    story.failed(story.call(name, 1))
    story.events.append(CallDenied(1, 0.0, 99, "llm", "chat", ["x"], "denied", "no"))
    story.events.append(Logged(1, 0.0, "info", "x", {}))
    assert story.end() is None


def test_a_box_is_made_of_anything_when_something_was_already_shown() -> None:
    story = Story()
    story.failed(story.call("llm.chat", "x"), "the key is missing")
    bundle = story.end(always=True)
    assert bundle is not None and bundle.data["text/plain"] == "✗ llm.chat failed: the key is missing"
    assert Story().end(always=True) is None


def test_quiet_calls_are_listed_by_name_and_number_in_the_trace() -> None:
    story = Story()
    for _ in range(3):
        story.done(story.call("timer.sleep", 0.1))
    story.done(story.call("log.info", "m"))
    story.answer("x")
    page, _, _ = story.box()
    assert "also called: timer.sleep × 3, log.info" in page.text
    assert "Trace: 5 calls" in page.text


def test_a_call_that_did_not_stream_shows_its_text() -> None:
    story = Story()
    call = story.call("llm.generate", "x")
    story.usage(call)
    story.done(call, {"text": "whole *answer*", "latency_ms": 123.4})
    page, plain, _ = story.box()
    assert plain == "whole *answer*" and "whole answer" in page.text and "123" not in page.text


def test_a_failed_call_is_open_with_its_ancestors_and_has_a_plain_line() -> None:
    story = Story()
    outer = story.call("agents.run", "plan")
    story.answer("thinking", parent=outer)
    inner = story.call("tools.search", "q", parent=outer)
    story.failed(inner, "the host\ndid not answer")
    story.done(outer, "x")
    page, plain, _ = story.box()
    opened = [attrs for attrs in page.of("details") if "open" in attrs]
    assert len(opened) == 3  # the trace, agents.run, tools.search
    assert "✗ failed timeout: the host" in page.text
    assert plain.splitlines()[-1] == "✗ tools.search failed: the host did not answer"


def test_a_failure_that_goes_up_through_calls_is_told_where_it_began_and_only_there() -> None:
    story = Story()
    outer = story.call("agents.run", "plan")
    inner = story.call("llm.generate", "q", parent=outer)
    story.chunks(inner, "half")
    story.failed(inner, "the line went dead")
    story.failed(outer, "the line went dead")
    page, plain, _ = story.box()
    assert page.text.count("the line went dead") == 1
    assert plain.count("the line went dead") == 1 and "llm.generate" in plain
    assert "agents.run failed" in page.text


def test_a_failure_with_words_of_its_own_is_told_beside_that_within_it() -> None:
    story = Story()
    outer = story.call("agents.run", "plan")
    story.failed(story.call("tools.x", parent=outer), "no such file")
    story.failed(outer, "the agent gave up")
    bundle = story.end(always=True)
    assert bundle is not None
    assert "no such file" in bundle.data["text/plain"] and "the agent gave up" in bundle.data["text/plain"]


def test_a_denied_call_says_so() -> None:
    story = Story()
    story.answer("x")
    story.events.append(CallDenied(1, 0.0, 50, "files", "read", ["/etc/passwd"], "denied", "files.read is not allowed by your settings"))
    page, plain, _ = story.box()
    assert "⊘ files.read denied" in page.text and "/etc/passwd" in page.text
    assert plain.endswith("⊘ files.read denied: files.read is not allowed by your settings")


def test_an_interrupted_call_keeps_its_text_and_says_interrupted() -> None:
    story = Story()
    call = story.call("llm.chat", "x")
    story.chunks(call, "half an ans")
    story.failed(call, "stopped", cancelled=True)
    page, plain, _ = story.box("interrupted")
    assert "half an ans" in page.text and "⊘ interrupted" in page.text
    assert plain == "half an ans\n\n⊘ llm.chat interrupted: stopped"


def test_a_call_that_never_ended_takes_the_cells_end() -> None:
    for status, word in (("interrupted", "⊘ interrupted"), ("lost", "✗ incomplete"), ("error", "✗ incomplete")):
        story = Story()
        story.chunks(story.call("llm.chat", "x"), "half")
        assert word in story.box(status)[0].text


def test_a_failure_after_text_is_incomplete() -> None:
    story = Story()
    call = story.call("llm.chat", "x")
    story.chunks(call, "half")
    story.failed(call, "connection lost")
    page, plain, _ = story.box("error")
    assert "✗ incomplete" in page.text and plain == "half\n\n✗ llm.chat incomplete: connection lost"


def stream(story: Story, finish_reason: str = "stop", reads: int = 3) -> int:
    call = story.call("llm.stream", "x")
    story.done(call, ResourceRef(7 + story.shift, "llm.stream"))
    story.chunks(call, "one ", "two")
    for _ in range(reads):
        story.done(story.call("llm.stream.next"), "piece")
    if finish_reason:
        story.usage(call, finish_reason=finish_reason)
    return call


def test_a_stream_is_one_call_with_its_text() -> None:
    story = Story()
    stream(story)
    page, plain, _ = story.box()
    assert plain == "one two" and "✓ done" in page.text and "Trace: 1 call" in page.text
    assert "×" not in page.text


def test_a_stream_that_the_script_left_early_is_stopped_not_failed() -> None:
    story = Story()
    stream(story, "incomplete")
    page, plain, _ = story.box()
    assert plain == "one two" and "⊘ stopped" in page.text


def test_a_stream_that_failed_where_it_was_read_is_incomplete() -> None:
    story = Story()
    stream(story, "incomplete")
    story.failed(story.call("llm.stream.next"), "connection lost")
    page, plain, _ = story.box("error")
    assert plain == "one two\n\n✗ llm.stream incomplete: connection lost"
    assert page.text.count("connection lost") == 1


def test_a_stream_in_an_interrupted_cell_is_interrupted() -> None:
    for finish_reason in ("incomplete", ""):
        story = Story()
        stream(story, finish_reason)
        assert "⊘ interrupted" in story.box("interrupted")[0].text


def test_answers_within_an_answer_are_in_the_trace_only() -> None:
    story = Story()
    outer = story.call("agents.run", "plan")
    story.chunks(outer, "final words")
    story.answer("inner thought", parent=outer)
    story.done(outer, "final words")
    page, plain, _ = story.box()
    assert plain == "final words"
    assert page.text.index("final words") < page.text.index("Trace") < page.text.index("inner thought")


def test_many_answers_are_folded_each_to_a_line() -> None:
    story = Story()
    for number in range(10):
        story.answer(f"answer {number}", f"question {number}")
    page, plain, _ = story.box()
    assert plain == "\n\n".join(f"answer {number}" for number in range(10))
    assert len(page.of("details")) == 10 + 1 + 10


def test_very_many_answers_are_folded_to_one_line_below_those_that_failed() -> None:
    story = Story()
    for number in range(30):
        story.answer(f"answer {number}", f"question {number}")
    bad = story.call("llm.chat", "the bad one")
    story.chunks(bad, "half")
    story.failed(bad)
    page, plain, _ = story.box()
    assert page.text.index("the bad one") < page.text.index("30 answers") < page.text.index("question 0")
    assert "30 done" in page.text and f"{30 * 12:,} → {30 * 34:,} tokens" in page.text
    assert plain.startswith("answer 0\n\n") and "half" in plain


def volatile_story(shift: int) -> Bundle | None:
    story = Story(shift)
    stream(story, reads=3 + shift % 5)
    story.answer("a **b**", "q")
    outer = story.call("agents.run", {"n": 1})
    story.answer("inner", parent=outer)
    story.failed(story.call("tools.x", ResourceRef(5 + shift, "llm.stream"), parent=outer))
    story.done(outer, {"took": story.took})
    story.done(story.call("timer.now"), story.now)
    generated = story.call("llm.generate", "g")
    story.usage(generated)
    story.done(generated, {"text": "t", "latency_ms": story.took})
    return story.end()


def test_the_same_answers_at_other_times_and_ids_give_the_same_data() -> None:
    first, second = volatile_story(0), volatile_story(7777)
    assert first is not None and second is not None
    assert first.data == second.data
    assert first.metadata != second.metadata


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless_wherever_a_call_carries_it(text: str) -> None:
    story = Story()
    call = story.call(f"llm.{text}", text, {text: text})
    story.chunks(call, text)
    story.events.append(CallUsage(1, 0.0, call, text, 1, 1))
    story.done(call, text)
    failed = story.call("llm.chat", text)
    story.chunks(failed, text)
    story.failed(failed, text)
    story.events.append(CallDenied(1, 0.0, 77, text, text, [text], text, text))
    story.done(story.call(f"quiet.{text}", text), text)
    _, plain, _ = story.box()
    assert "\u202e" not in plain and "\x1b]" not in plain


def test_a_huge_cell_stays_under_the_cap_and_says_so() -> None:
    story = Story()
    for number in range(150):
        story.answer("<" * 60_000, f"q{number}")
    bundle = story.end()
    assert bundle is not None
    assert len(bundle.data["text/html"].encode()) <= MAX_HTML_BYTES
    assert "limit of 2 MB" in check_safe(bundle.data["text/html"]).text
    assert "more characters not shown" in bundle.data["text/plain"]


def test_ten_thousand_failed_calls_are_counted() -> None:
    story = Story()
    story.answer("x")
    for _ in range(10_000):
        story.failed(story.call("tools.x", "y"))
    page, plain, _ = story.box()
    assert "more calls not shown" in page.text and plain.count("\n") < 600


def test_a_deep_chain_of_calls_is_shown() -> None:
    story = Story()
    parent = None
    for _ in range(5_000):
        parent = story.call("agents.run", parent=parent)
    story.answer("bottom", parent=parent)
    assert "bottom" in story.box()[0].text
