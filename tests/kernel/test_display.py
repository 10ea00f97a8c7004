"""The live view is paced, always replaced by its end, and never the reason why an output is lost."""

import contextvars
import heapq
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmspell_kernel.journal.events import CallChunk, CallFailed, CallFinished, CallStarted, CallUsage, CellFinished
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.kernel.display import Flusher, LiveView, comms_available, shared_flusher
from llmspell_kernel.render.guard import LIVE_VIEW


class Loop:
    """An event loop whose clock moves when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.most_timers = 0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (self.now + delay, self._count, callback))
        self.most_timers = max(self.most_timers, len(self._timers))

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.call_later(0, callback)

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            self.now, _, callback = heapq.heappop(self._timers)
            callback()
        self.now = until


class FrontEnd:
    """A page that writes down every message: it is both the publisher and the maker of widgets."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.messages: list[tuple[float, str, Any]] = []
        self.press: Callable[[Any], None] = lambda _: None
        self.fail: set[str] = set()

    def _note(self, kind: str, content: Any) -> None:
        if kind in self.fail:
            raise OSError(f"the socket broke at {kind}")
        self.messages.append((self.loop.now, kind, content))

    def display(self, data: Mapping[str, Any], metadata: Mapping[str, Any], display_id: str, update: bool) -> None:
        self._note("update" if update else "display", {"data": dict(data), "metadata": dict(metadata), "id": display_id})

    def open_widget(self, on_message: Callable[[Any], None]) -> "FrontEnd":
        self._note("open", None)
        self.press = on_message
        return self

    model_id = "model-1"

    def send(self, content: Mapping[str, Any]) -> None:
        self._note("send", content)

    def close(self) -> None:
        self._note("close", None)

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.messages]

    def last(self, kind: str) -> Any:
        return next(content for _, found, content in reversed(self.messages) if found == kind)


class Bench:
    def __init__(self, mode: str = "live") -> None:
        self.loop = Loop()
        self.recorder = Recorder()
        self.flusher = Flusher(self.loop)
        self.page = FrontEnd(self.loop)
        self.stops = 0
        self.mode = mode
        self.view = self.make(1)

    def make(self, cell: int) -> LiveView:
        return LiveView(cell, self.recorder, self.page, self.mode, self._stop, flusher=self.flusher, open_widget=self.page.open_widget)

    def _stop(self) -> None:
        self.stops += 1

    def start(self, call: int = 1, name: str = "llm.chat", cell: int = 1) -> None:
        bridge, _, method = name.rpartition(".")
        self.recorder.record(CallStarted(cell, self.loop.now, call, bridge, method, ["hi"]))

    def text(self, text: str, call: int = 1, cell: int = 1) -> None:
        self.recorder.record(CallChunk(cell, self.loop.now, call, text))

    def done(self, call: int = 1, cell: int = 1) -> None:
        self.recorder.record(CallUsage(cell, self.loop.now, call, "spell/echo", 1, 2, 0, 0.0))
        self.recorder.record(CallFinished(cell, self.loop.now, call, "x", 0.1))

    def end(self, status: str = "ok", cell: int = 1) -> None:
        self.recorder.record(CellFinished(cell, self.loop.now, status, 0.1))  # type: ignore[arg-type]


def most_in_a_second(times: list[float]) -> int:
    return max(sum(1 for time in times if start <= time < start + 1) for start in times)


def test_two_thousand_tokens_stay_within_the_rate_and_size_of_messages() -> None:
    bench = Bench()
    bench.start()
    for number in range(2000):
        bench.text(f"token{number % 10} ")
        bench.loop.advance(1 / 200)
    bench.done()
    bench.end()
    bench.view.finish()
    page = bench.page
    # on the wire a widget opens and closes twice (its layout is one too), and a cell has two states and its input
    assert most_in_a_second([time for time, _, _ in page.messages]) + 2 + 3 <= 35
    size = sum(len(json.dumps(content or {})) + 800 for _, _, content in page.messages)
    assert size <= 300_000
    sent = "".join(op["text"] for _, kind, content in page.messages if kind == "send" for op in content["batch"] if op["op"] == "text")
    assert sent == "".join(f"token{number % 10} " for number in range(2000))


def test_many_views_share_the_rate_and_one_timer() -> None:
    bench = Bench()
    for cell in range(2, 11):
        bench.make(cell)
    for cell in range(1, 11):
        bench.start(cell, cell=cell)
    bench.loop.advance(2)
    opened = len(bench.page.messages)
    for _ in range(1000):
        for cell in range(1, 11):
            bench.text("x ", cell, cell)
        bench.loop.advance(1 / 200)
    times = [time for time, kind, _ in bench.page.messages[opened:] if kind == "send"]
    assert most_in_a_second(times) <= 30 + 10  # a tick of ten views may stand at either end of the second
    assert len(times) <= 5 * 30
    assert bench.loop.most_timers == 1


def test_no_timer_runs_while_nothing_changes() -> None:
    bench = Bench()
    bench.start()
    bench.loop.advance(1)
    before = len(bench.page.messages)
    bench.loop.advance(60)
    assert len(bench.page.messages) == before and not bench.loop._timers


def test_the_view_opens_while_a_model_is_waited_for() -> None:
    bench = Bench()
    bench.start()
    bench.loop.advance(0.1)
    assert bench.page.kinds() == ["open", "display", "send"]
    data = bench.page.last("display")["data"]
    assert data[LIVE_VIEW]["model_id"] == "model-1" and set(data) == {LIVE_VIEW, "text/html", "text/plain"}


def test_the_end_replaces_the_view_without_the_widget_and_then_closes_it() -> None:
    bench = Bench()
    bench.start()
    bench.text("Hello")
    bench.loop.advance(0.1)
    bench.text(" world")
    bench.done()
    bench.end()
    bench.view.finish()
    assert bench.page.kinds()[-3:] == ["send", "update", "close"]
    final = bench.page.last("update")
    assert final["id"] == bench.page.last("display")["id"]
    assert final["data"]["text/plain"] == "Hello world" and LIVE_VIEW not in final["data"]
    assert final["metadata"]["llmspell"]["usage"]["calls"] == 1


def test_finishing_twice_is_harmless_and_later_events_are_not_heard() -> None:
    bench = Bench()
    bench.start()
    bench.text("x")
    bench.loop.advance(0.1)
    bench.view.finish()
    before = list(bench.page.messages)
    bench.view.finish()
    bench.text("late")
    bench.loop.advance(1)
    assert bench.page.messages == before


def test_static_mode_is_one_display_at_the_end() -> None:
    bench = Bench("static")
    bench.start()
    for _ in range(100):
        bench.text("x")
        bench.loop.advance(0.05)
    bench.done()
    assert bench.page.messages == []
    bench.view.finish()
    assert bench.page.kinds() == ["display"]


def test_a_cell_without_model_calls_shows_nothing_in_either_mode() -> None:
    for mode in ("live", "static"):
        bench = Bench(mode)
        bench.start(1, "timer.sleep")
        bench.loop.advance(5)
        bench.recorder.record(CallFinished(1, 0.0, 1, None, 5.0))
        bench.end()
        bench.view.finish()
        assert bench.page.messages == []


def test_a_quick_answer_needs_no_widget() -> None:
    bench = Bench()
    bench.start()
    bench.text("x")
    bench.done()
    bench.view.finish()
    bench.loop.advance(1)
    assert bench.page.kinds() == ["display"]


def test_a_shown_call_that_failed_without_text_still_ends_in_a_final_output() -> None:
    bench = Bench()
    bench.start()
    bench.loop.advance(0.1)
    bench.recorder.record(CallFailed(1, 0.0, 1, "missing_key", "set OPENAI_API_KEY", 0.1))
    bench.view.finish()
    assert bench.page.last("update")["data"]["text/plain"] == "✗ llm.chat failed: set OPENAI_API_KEY"


def test_stop_calls_on_stop_and_nothing_else() -> None:
    bench = Bench()
    bench.start()
    bench.loop.advance(0.1)
    before = list(bench.page.messages)
    contents: list[Any] = [{"stop": True}, {"stop": False}, {"stop": 1}, {"other": True}, None, [], "stop"]
    for content in contents:
        bench.page.press(content)
    assert bench.stops == 1 and bench.page.messages == before


def test_a_stop_that_comes_after_the_end_of_its_cell_is_nobodys() -> None:
    bench = Bench()
    bench.start()
    bench.loop.advance(0.1)
    bench.view.finish()
    bench.page.press({"stop": True})
    assert bench.stops == 0


def test_a_view_that_was_drawn_late_gets_everything() -> None:
    bench = Bench()
    bench.start()
    bench.text("early ")
    bench.loop.advance(0.1)
    bench.text("and late")
    bench.page.press({"ready": True})
    bench.loop.advance(0.1)
    batch = bench.page.last("send")["batch"]
    assert batch[0] == {"op": "reset"} and {"op": "text", "id": 1, "text": "early and late"} in batch
    bench.view.finish()
    bench.page.press({"ready": True})
    bench.loop.advance(0.1)
    assert bench.page.kinds()[-1] == "close"


@pytest.mark.parametrize("broken", ["open", "display", "send"])
def test_a_live_view_that_fails_does_not_lose_the_end(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.page.fail = {broken}
    bench.start()
    bench.text("answer")
    with caplog.at_level(logging.WARNING):
        bench.loop.advance(0.1)
    assert "live view of a cell failed" in caplog.text
    bench.page.fail = set()
    bench.text(" more")
    bench.loop.advance(1)
    bench.done()
    bench.view.finish()
    final = bench.page.last("update" if broken == "send" else "display")
    assert final["data"]["text/plain"] == "answer more"
    assert broken == "open" or bench.page.kinds()[-1] == "close"


def test_an_update_that_fails_is_shown_as_a_new_output() -> None:
    bench = Bench()
    bench.start()
    bench.text("answer")
    bench.loop.advance(0.1)
    bench.page.fail = {"update"}
    bench.view.finish()
    assert bench.page.last("display")["data"]["text/plain"] == "answer"
    assert bench.page.kinds()[-1] == "close"


def test_when_nothing_can_be_published_the_widget_is_closed_and_the_caller_told() -> None:
    bench = Bench()
    bench.start()
    bench.text("answer")
    bench.loop.advance(0.1)
    bench.page.fail = {"update", "display", "send"}
    with pytest.raises(OSError, match="display"):
        bench.view.finish()
    assert bench.page.kinds()[-1] == "close"
    bench.view.finish()


def test_one_broken_view_does_not_stop_another() -> None:
    bench = Bench()
    bench.make(2)
    bench.page.fail = {"send"}
    bench.start(1)
    bench.loop.advance(0.1)
    bench.page.fail = set()
    bench.start(2, cell=2)
    bench.text("x", 2, 2)
    bench.loop.advance(0.1)
    assert bench.page.kinds()[-1] == "send"


def test_after_a_clear_the_view_and_its_end_are_new_outputs() -> None:
    bench = Bench()
    bench.start()
    bench.text("one ")
    bench.loop.advance(0.1)
    bench.view.cleared()
    bench.text("two")
    bench.loop.advance(0.1)
    assert bench.page.kinds() == ["open", "display", "send", "display", "send"]
    bench.view.cleared()
    bench.done()
    bench.end()
    bench.view.finish()
    assert bench.page.last("display")["data"]["text/plain"] == "one two"
    assert bench.page.kinds()[-2:] == ["display", "close"]


def test_everything_is_published_within_the_cells_own_context() -> None:
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="outside")
    seen: list[str] = []

    def make() -> Bench:
        where.set("cell 1")
        return Bench()

    bench = contextvars.copy_context().run(make)
    note = bench.page._note

    def noted(kind: str, content: Any) -> None:
        seen.append(where.get())
        note(kind, content)

    bench.page._note = noted  # type: ignore[method-assign]
    bench.start()
    bench.text("x")
    bench.loop.advance(0.1)
    bench.view.finish()
    assert set(seen) == {"cell 1"} and len(seen) == 5


def test_automatic_mode_is_static_outside_a_kernel() -> None:
    assert not comms_available()
    bench = Bench("auto")
    bench.start()
    bench.loop.advance(1)
    assert bench.page.messages == []


def test_without_an_event_loop_live_mode_is_static() -> None:
    assert shared_flusher() is None
    loop, recorder = Loop(), Recorder()
    page = FrontEnd(loop)
    view = LiveView(1, recorder, page, "live", lambda: None)
    recorder.record(CallStarted(1, 0.0, 1, "llm", "chat", []))
    recorder.record(CallChunk(1, 0.0, 1, "x"))
    view.finish()
    assert page.kinds() == ["display"]


async def _shared() -> tuple[Flusher | None, Flusher | None]:
    return shared_flusher(), shared_flusher()


def test_all_views_of_a_loop_share_one_flusher() -> None:
    import asyncio

    first, second = asyncio.run(_shared())
    assert first is not None and first is second
    other, _ = asyncio.run(_shared())
    assert other is not first


def test_the_widgets_module_is_small_and_parses_nothing_as_html() -> None:
    from importlib.resources import files

    source = files("llmspell_kernel.render.widgets").joinpath("live.js").read_text("utf-8")
    assert len(source.encode()) < 8_000
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert danger not in source
