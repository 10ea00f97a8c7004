"""Whatever a script, a worker or a model sends, showing it takes time and memory in proportion to what is shown.

Nothing here is timed: steps are counted, so that a busy machine fails no test, and a fast one passes none.
"""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_kernel.errors import DeniedError, Frame, ScriptError, SpellError
from llmspell_kernel.journal.events import CallChunk, CallDenied, CallFinished, CallStarted, CallUsage, CellFinished
from llmspell_kernel.render.budget import MAX_HTML_BYTES, MAX_PLAIN_CHARS
from llmspell_kernel.render.calls import ALL_ANSWERS_CHARS, ALL_OTHER_CHARS, MAX_CALLS, Call, Gathered
from llmspell_kernel.render.errors import traceback_lines
from llmspell_kernel.render.live import MAX_PANES, MAX_QUEUED, MAX_TEXT_CHARS, LivePanes
from llmspell_kernel.render.markdown import markdown_html
from llmspell_kernel.render.shown import shown_bundle
from llmspell_kernel.render.text import _ESCAPES, clean
from llmspell_kernel.render.trace import final_bundle, gathered_bundle
from llmspell_kernel.render.values import bundle
from llmspell_kernel.shown import Data, Markdown, Progress, Table, Tree
from llmspell_kernel.values import Opaque, ResourceRef, Value

from .regex_steps import Counted
from .work import steps

MOST_STEPS = 5_000_000
"""About a second.  The hungriest case, a whole cell of long answers, takes 3.5 million; what this guards against takes from 20 million up."""


def nested(value: Value) -> Value:
    for _ in range(60):
        value = [value]
    return value


def nested_keys(key: str) -> Value:
    value: Value = 1
    for index in range(50):
        value = {key + str(index): value, "b": index}
    return value


def lines(error: SpellError, sources: Mapping[str, str] = {}) -> None:  # noqa: B006
    assert sum(map(len, traceback_lines(error, sources, colour=True))) < 20_000


def answer(*texts: str, argument: Value = None) -> None:
    events: list[CallStarted | CallUsage | CallFinished] = []
    for call, text in enumerate(texts):
        events += [CallStarted(1, 0.0, call, "llm", "chat", [argument]), CallUsage(1, 0.0, call), CallFinished(1, 0.0, call, text, 0.1)]
    assert final_bundle(events)


HANGS: dict[str, Callable[[], object]] = {
    "a colour that never ends": lambda: clean("\x1b[" + "3" * 60 + "?m", colour=True),
    "a long colour": lambda: clean("\x1b[" + "3;" * 300_000 + "?m", colour=True),
    "many colours": lambda: clean("\x1b[38;5;1m" * 60_000, colour=True),
    "C1 introducers": lambda: clean("\x9d" * 600_000),
    "string introducers": lambda: clean("\x1b]" * 300_000),
    "a shown colour": lambda: bundle(["\x1b[" + "3" * 60 + "?m"]),
    "a huge string": lambda: bundle(["\x9d" * 15_000_000]),
    "many huge strings": lambda: bundle(["\x9d" * 15_000_000, {"a": 1}] * 100),
    "a string in a list": lambda: bundle([["\x9d" * 15_000_000]]),
    "a huge key": lambda: bundle([{"\x9d" * 15_000_000: 1}]),
    "a huge key in a table": lambda: bundle([[{"\x9d" * 15_000_000: "\x9d" * 15_000_000}] * 3]),
    "a huge key under many lists": lambda: bundle([nested({"k" * 15_000_000: 1})]),
    "huge keys within each other": lambda: bundle([nested_keys("k" * 300_000)]),
    "a list of texts shown as nothing": lambda: bundle([["\x9d" * 15_000] * 1_000]),
    "records of texts shown as nothing": lambda: bundle([[{str(i): "\x9d" * 3_000 for i in range(100)}] * 50]),
    "a million results": lambda: bundle([1, [2]] * 500_000),
    "an opaque text": lambda: bundle([[Opaque("\x9d" * 15_000_000)], Opaque("\x9d" * 15_000_000)]),
    "an error message": lambda: lines(ScriptError("\x9d" * 15_000_000, name="A" * 15_000_000, engine="\x9d" * 15_000_000)),
    "many frames": lambda: lines(ScriptError("m", frames=[Frame("c", 19_000, 3, "f")] * 20_000), {"c": "--x\n" * 20_000}),
    "many different frames": lambda: lines(ScriptError("m", frames=[Frame("c" * 99, line % 7) for line in range(20_000)])),
    "frames of many places": lambda: lines(ScriptError("m", frames=[Frame("c", 10**6)] * 20_000), {"c": "--x\n" * 20_000}),
    "a huge frame": lambda: lines(ScriptError("m", frames=[Frame("c" * 10**7, 1, 5 - 10**7, "f" * 10**7)]), {"c" * 10**7: "x" * 10**7}),
    "a negative column": lambda: lines(ScriptError("m", frames=[Frame("c", 1, -5)]), {"c": "\x9d" * 10**7}),
    "names in an error": lambda: lines(DeniedError("m", capability="\x9d" * 15_000_000)),
    "an answer": lambda: answer("\x9d" * 15_000_000),
    "an answer that colours": lambda: answer("\x1b[" + "3" * 60 + "?m"),
    "many answers": lambda: answer(*["\x1b[3m" * 100_000] * 150),
    "an argument": lambda: answer("x", argument=nested({"\x9d" * 15_000_000: "\x9d" * 15_000_000})),
    "a huge table": lambda: shown_bundle(Table([{"a": index} for index in range(300_000)])),
    "a table of huge texts": lambda: shown_bundle(Table([["\x9d" * 15_000_000] * 50] * 50, [str(column) for column in range(50)])),
    "a table of very many columns": lambda: shown_bundle(Table([{str(column): column for column in range(200_000)}])),
    "a wide list in a table": lambda: shown_bundle(Table([[1] * 900_000, []])),
    "a deep tree": lambda: shown_bundle(Tree(nested([1] * 900_000), open_levels=1_000)),
    "a bushy tree": lambda: shown_bundle(Tree([[["x"] * 100] * 100] * 100, open_levels=1_000)),
    "huge titles": lambda: shown_bundle(Data(1, "\x9d" * 15_000_000)),
    "Markdown of many marks": lambda: shown_bundle(Markdown("![" * 499 + "*a_ " * 5_000)),
    "a long Markdown": lambda: shown_bundle(Markdown("**a** " * 2_500_000)),
    "a progress bar of huge words": lambda: shown_bundle(Progress(1, 1, 2, "\x9d" * 15_000_000, "\n" * 15_000_000)),
    "an endless progress bar": lambda: shown_bundle(Progress(1, 1e300, 5e-324)),
}


INTRODUCERS = ["\x1b", "\x9b", "\x1b[", "\x1b]", "\x9d", "\x90", "\x98", "\x9e", "\x9f", "\x9c", "\x07", "\x1b\\", "\x1bP", "\0", "\r"]


@pytest.fixture(scope="module")
def pattern_is_linear() -> None:
    """Looked at first: a pattern that is not would hang in C on the texts below, where no step is counted and no test can stop it."""
    for introducer in INTRODUCERS:
        _check_growth(f"{introducer}3;" * 100)
        _check_growth(introducer * 100)


@pytest.mark.usefixtures("pattern_is_linear")
@pytest.mark.parametrize("hostile", HANGS.values(), ids=HANGS.keys())
def test_hostile_values_are_shown_at_once(hostile: Callable[[], object]) -> None:
    markdown_html("*a*")  # its parser is made once
    steps(hostile, MOST_STEPS)


def test_a_shown_thing_stays_within_the_size_of_one_output() -> None:
    for shown in (
        Table([["<" * 1_000] * 100] * 100),
        Tree({str(index): ["<" * 15_000] * 20 for index in range(200)}, open_levels=9),
        Markdown("<" * 3_000_000),
        Markdown("日" * 3_000_000),
        Data("x" * 3_000_000, "t" * 3_000_000),
    ):
        data = shown_bundle(shown)
        assert len(data["text/plain"]) <= MAX_PLAIN_CHARS + 2_000
        assert len(data.get("text/html", "").encode()) <= MAX_HTML_BYTES + 2_000


FRAGMENTS = st.lists(
    st.sampled_from([*INTRODUCERS, "3", ";", "38;5;1", "m", "?", " ", "a", "é", "\u202e", "\ud800"]), min_size=1, max_size=8
)


@settings(max_examples=100, deadline=None)
@given(FRAGMENTS)
def test_cleaning_twice_as_much_takes_about_twice_as_much_work(fragment: list[str]) -> None:
    text = "".join(fragment) * 60
    _check_growth(text)
    assert _cleaning_steps(text * 2) <= 2.1 * _cleaning_steps(text) + 100


def _check_growth(text: str) -> None:
    once, twice = Counted(_ESCAPES), Counted(_ESCAPES)
    assert once.spans(text) == [match.span() for match in _ESCAPES.finditer(text)]
    twice.spans(text * 2)
    assert twice.looks <= 2.1 * once.looks + 100


def _cleaning_steps(text: str) -> int:
    return steps(lambda: clean(text, colour=True), MOST_STEPS)


@pytest.mark.parametrize("columns", [3, 30, 100, 300, 1000])
@pytest.mark.parametrize("disguise", ["", "\x1b]\n\n\x07"])
def test_a_text_full_of_tables_is_short_and_quick(columns: int, disguise: str) -> None:
    markdown_html("*a*")
    text = "a|" * columns + "\n" + "-|" * columns + "\n" + f"x{disguise}\n" * 1000
    assert len(markdown_html(text)) < 250_000
    steps(lambda: markdown_html(text), 500_000)  # at most 260,000 are taken; unguarded more than 3 million


def test_an_ordinary_table_in_a_long_answer_is_rendered() -> None:
    text = "Some *words* in a line.\n\n" * 300 + "| a | b | c |\n|---|---|---|\n" + "| 1 | 2 | 3 |\n" * 200
    assert "<table>" in markdown_html(text)


def start(gathered: Gathered | LivePanes, call: int, name: str = "log.info", parent: int | None = None) -> None:
    bridge, _, method = name.rpartition(".")
    gathered.add(CallStarted(1, 0.0, call, bridge, method, ["x" * 20_000], parent))


def kept_chars(calls: list[Call]) -> int:
    return sum(len(str(call.arguments)) + len(call.answer) + len(call.message) + len(call.name) for call in calls)


def test_a_flood_of_denied_calls_is_bounded_and_counted() -> None:
    panes = LivePanes()
    for call in range(20_000):
        panes.add(CallDenied(1, 0.0, call, f"x{call}" * 2_000, "chat", ["y" * 20_000, {"k" * 20_000: [1] * 1_000}], "denied", "m" * 20_000))
    gathered = panes.gathered
    assert len(gathered.calls) <= MAX_CALLS and gathered.count == 20_000
    assert kept_chars(list(gathered.calls.values())) < ALL_OTHER_CHARS * 1.5
    panes.add(CellFinished(1, 0.0, "ok", 0.1))
    bundle = gathered_bundle(gathered, always=True)
    assert bundle is not None and "Trace: 20,000 calls" in bundle.data["text/html"]


def test_an_answer_after_a_flood_of_calls_is_shown_and_the_calls_are_counted() -> None:
    gathered = Gathered()
    start(gathered, 0, "agents.run")
    for call in range(1, 30_000):
        start(gathered, call, parent=0 if call % 2 else None)
        gathered.add(
            CallFinished(1, 0.0, call, "z" * 50_000, 0.1) if call % 3 else CallDenied(1, 0.0, call, "log", "info", [], "denied", "no")
        )
    start(gathered, 30_000, "llm.chat")
    gathered.add(CallUsage(1, 0.0, 30_000, "spell/echo", 1, 2))
    gathered.add(CallFinished(1, 0.0, 30_000, "the answer", 0.1))
    assert len(gathered.calls) <= MAX_CALLS and gathered.count == 30_001
    bundle = gathered_bundle(gathered)
    assert bundle is not None
    assert "the answer" in bundle.data["text/html"] and "Trace: 30,001 calls" in bundle.data["text/html"]


def test_what_calls_beyond_the_cap_used_is_still_summed() -> None:
    gathered = Gathered()
    for call in range(MAX_CALLS + 500):
        start(gathered, call, "llm.chat")
        gathered.add(CallUsage(1, 0.0, call, "m", 1, 2, 0, 0.5))
        gathered.add(CallFinished(1, 0.0, call, "t", 0.1))
    bundle = gathered_bundle(gathered)
    assert bundle is not None
    count = MAX_CALLS + 500
    assert bundle.metadata["llmspell"]["usage"] == {
        "input_tokens": count,
        "output_tokens": 2 * count,
        "cost_usd": count / 2,
        "calls": count,
    }


def test_the_texts_of_a_view_are_bounded_and_their_cut_is_told() -> None:
    panes = LivePanes()
    for call in range(60):
        start(panes, call, "llm.chat")
        for _ in range(50):
            panes.add(CallChunk(1, 0.0, call, "t" * 100_000))
    assert kept_chars(list(panes.gathered.calls.values())) < ALL_ANSWERS_CHARS + ALL_OTHER_CHARS
    assert sum(len(op.get("text", "")) for op in panes.take()) <= MAX_TEXT_CHARS + 100
    bundle = gathered_bundle(panes.gathered)
    assert bundle is not None and "4,980,000 more characters not shown" in bundle.data["text/html"]


def test_panes_that_nobody_takes_do_not_pile_up() -> None:
    panes = LivePanes()
    for call in range(5_000):
        start(panes, call, "llm.chat")
        panes.add(CallFinished(1, 0.0, call, None, 0.1))
    assert len(panes._queue) <= MAX_QUEUED
    operations = panes.take()
    assert operations[0] == {"op": "reset"} and sum(op["op"] == "pane" for op in operations) == MAX_PANES
    assert not panes.changed


def test_a_streams_calls_belong_to_the_stream_they_name() -> None:
    gathered = Gathered()
    for call in (1, 2):
        start(gathered, call, "llm.stream")
        gathered.add(CallFinished(1, 0.0, call, ResourceRef(call + 100, "llm.stream"), 0.1))
    gathered.add(CallStarted(1, 0.0, 3, "llm.stream", "next", [], target=101))
    gathered.add(CallChunk(1, 0.0, 3, "first"))
    gathered.add(CallStarted(1, 0.0, 4, "llm.stream", "next", [], target=999))
    assert gathered.calls[1].answer == "first" and gathered.calls[2].answer == "" and gathered.calls[4].stream is None
