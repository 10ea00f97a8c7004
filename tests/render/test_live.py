"""The live view's operations carry everything once, bounded and cleaned."""

from typing import Any

from llmspell_kernel.journal.events import CallChunk, CallFailed, CallFinished, CallStarted, CallUsage, CellFinished
from llmspell_kernel.render.live import MAX_PANES, MAX_SPANS, MAX_TEXT_CHARS, LivePanes


def start(panes: LivePanes, call: int, name: str = "llm.chat", parent: int | None = None) -> None:
    bridge, _, method = name.rpartition(".")
    panes.add(CallStarted(1, 0.0, call, bridge, method, ["hi"], parent))


def text(panes: LivePanes, call: int, *texts: str) -> None:
    for piece in texts:
        panes.add(CallChunk(1, 0.0, call, piece))


def done(panes: LivePanes, call: int) -> None:
    panes.add(CallFinished(1, 0.0, call, None, 0.1))


class Screen:
    """What live.js shows after the operations it got."""

    def __init__(self) -> None:
        self.panes: dict[int, dict[str, Any]] = {}
        self.more = ""

    def show(self, operations: list[dict[str, Any]]) -> "Screen":
        for op in operations:
            match op["op"]:
                case "reset":
                    self.panes.clear()
                case "pane":
                    self.panes[op["id"]] = {"title": op["title"], "text": "", "status": "running", "note": "", "spans": {}}
                case "text":
                    self.panes[op["id"]]["text"] += op["text"]
                case "status":
                    self.panes[op["id"]].update(status=op["status"], note=op["note"])
                case "span":
                    self.panes[op["id"]]["spans"][op["span"]] = (op["text"], op["status"])
                case "drop":
                    del self.panes[op["id"]]
                case "more":
                    self.more = op["text"]
        return self


def test_nothing_is_sent_twice() -> None:
    panes = LivePanes()
    start(panes, 1)
    text(panes, 1, "a", "b")
    assert panes.take() == [{"op": "pane", "id": 1, "title": 'llm.chat "hi"'}, {"op": "text", "id": 1, "text": "ab"}]
    assert not panes.changed and panes.take() == []


def test_a_model_call_is_shown_while_it_waits_and_another_when_it_streams() -> None:
    panes = LivePanes()
    start(panes, 1, "agents.run")
    assert not panes.changed
    start(panes, 2, "llm.chat")
    text(panes, 1, "x")
    assert [op["op"] for op in panes.take()] == ["pane", "pane", "text"]


def test_usage_and_the_end_are_shown_beside_the_title() -> None:
    panes = LivePanes()
    start(panes, 1)
    panes.add(CallUsage(1, 0.0, 1, "spell/echo", 3, 4, 0, 0.0))
    done(panes, 1)
    shown = Screen().show(panes.take()).panes[1]
    assert (shown["status"], shown["note"]) == ("done", "spell/echo · 3 → 4 tokens · $0.0000")


def test_the_end_of_the_cell_ends_every_pane() -> None:
    panes = LivePanes()
    start(panes, 1)
    panes.take()
    panes.add(CellFinished(1, 0.0, "interrupted", 1.0))
    assert Screen().show([{"op": "pane", "id": 1, "title": ""}, *panes.take()]).panes[1]["status"] == "interrupted"


def test_calls_within_a_shown_call_are_lines_under_it() -> None:
    panes = LivePanes()
    start(panes, 1, "agents.run")
    text(panes, 1, "x")
    start(panes, 2, "tools.a", parent=1)
    start(panes, 3, "tools.b", parent=2)
    panes.add(CallFailed(1, 0.0, 3, "bridge", "no", 0.1))
    shown = Screen().show(panes.take()).panes[1]
    assert shown["spans"] == {2: ("tools.a", "running"), 3: ("tools.b", "failed")}
    for call in range(10, 200):
        start(panes, call, "tools.c", parent=1)
    assert len(Screen().show(panes.snapshot()).panes[1]["spans"]) == MAX_SPANS


def test_a_sequence_cut_between_two_batches_is_still_taken_out() -> None:
    panes, screen = LivePanes(), Screen()
    start(panes, 1)
    for piece in ("red \x1b[3", "1mrose\x1b", "]0;t", "itle\x07 end\r", "\nline\x1b"):
        text(panes, 1, piece)
        screen.show(panes.take())
    done(panes, 1)
    screen.show(panes.take())
    assert screen.panes[1]["text"] == "red rose end\nline"


def test_a_snapshot_shows_the_same_as_all_batches_and_goes_on_from_there() -> None:
    panes, screen = LivePanes(), Screen()
    for call in (1, 2):
        start(panes, call)
    text(panes, 1, "one \x1b[3")
    screen.show(panes.take())
    done(panes, 2)
    again = Screen().show(panes.snapshot())
    text(panes, 1, "1mtwo")
    rest = panes.take()
    assert again.show(rest).panes[1]["text"] == "one two"
    assert again.panes[2]["status"] == "done"


def test_a_hundred_calls_at_once_show_fifty_and_count_the_rest() -> None:
    panes = LivePanes()
    for call in range(100):
        start(panes, call)
        text(panes, call, "x")
    screen = Screen().show(panes.take())
    assert len(screen.panes) == MAX_PANES and screen.more == "and 50 more calls, shown when the cell ends"
    text(panes, 99, "y")
    assert not panes.changed


def test_calls_one_after_another_push_out_those_that_ended() -> None:
    panes, screen = LivePanes(), Screen()
    for call in range(60):
        start(panes, call)
        text(panes, call, "x")
        screen.show(panes.take())
        done(panes, call)
    screen.show(panes.take())
    assert len(screen.panes) == MAX_PANES and 59 in screen.panes and 0 not in screen.panes
    assert Screen().show(panes.snapshot()).panes == screen.panes


def test_a_flood_of_text_is_cut_to_its_tail() -> None:
    panes = LivePanes()
    start(panes, 1)
    text(panes, 1, "x" * 1_000_000, "end")
    for operations in (panes.take(), panes.snapshot()):
        shown = Screen().show(operations).panes[1]["text"]
        assert len(shown) <= MAX_TEXT_CHARS and shown.endswith("end")
