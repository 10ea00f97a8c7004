"""The extension in a real InteractiveShell: loaded, unloaded and loaded again, it leaves nothing behind."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.kernel import display
from llmspell_kernel.kernel.extension import load_ipython_extension, unload_ipython_extension


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    yield made
    unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def workers() -> set[int]:
    found = set()
    for process in psutil.Process().children():
        if process.status() != psutil.STATUS_ZOMBIE and "llmspell_kernel.workers.child" in " ".join(process.cmdline()):
            found.add(process.pid)
    return found


def surroundings(shell: InteractiveShell) -> dict[str, Any]:
    return {
        "transformers": list(shell.input_transformers_cleanup),
        "matchers": list(shell.Completer.custom_matchers),
        "line": dict(shell.magics_manager.magics["line"]),
        "cell": dict(shell.magics_manager.magics["cell"]),
        "names": "llmspell" in shell.user_ns,
        "hidden": "llmspell" in shell.user_ns_hidden,
        "attribute": hasattr(shell, "llmspell"),
    }


def test_unloading_takes_away_exactly_what_loading_added(shell: InteractiveShell) -> None:
    shell.register_magic_function(lambda line, cell: None, magic_kind="cell", magic_name="lua")
    before = surroundings(shell)
    for _ in range(2):
        load_ipython_extension(shell)
        loaded = surroundings(shell)
        assert all(loaded[what] != before[what] for what in before)
        assert len(loaded["matchers"]) == len(before["matchers"]) + 1
        unload_ipython_extension(shell)
        assert surroundings(shell) == before


def test_an_unloaded_extension_is_not_closed_again_at_exit() -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell
from llmspell_kernel.kernel import entrance, extension
close = entrance.Entrance.close
entrance.Entrance.close = lambda self: (print("closed"), close(self))
shell = InteractiveShell()
extension.load_ipython_extension(shell)
extension.unload_ipython_extension(shell)
print("unloaded")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("closed\nunloaded\n", 0)


def test_a_name_that_the_user_took_over_stays(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    shell.user_ns["llmspell"] = "mine"
    unload_ipython_extension(shell)
    assert shell.user_ns["llmspell"] == "mine"


def test_loaded_again_it_runs_cells_in_new_states_and_no_worker_is_left(shell: InteractiveShell) -> None:
    before = workers()
    load_ipython_extension(shell)
    assert shell.run_cell("%%lua\nn = (n or 0) + 1\nreturn n").success
    assert workers() - before  # one of before may have ended meanwhile
    unload_ipython_extension(shell)
    for process in map(psutil.Process, workers() - before):
        process.wait(10)
    load_ipython_extension(shell)
    shell.run_cell("%%lua --out n\nn = (n or 0) + 1")
    assert shell.user_ns["n"] == 1
    unload_ipython_extension(shell)


def test_an_unused_extension_ends_its_starting_worker(shell: InteractiveShell) -> None:
    before = workers()
    load_ipython_extension(shell)
    unload_ipython_extension(shell)
    for process in map(psutil.Process, workers() - before):
        process.wait(10)
    assert workers() <= before


def test_a_reset_without_a_running_loop_is_done_before_the_next_script(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    shell.run_cell("%%lua\nn = 1")
    shell.run_line_magic("llmspell", "reset lua")
    assert shell.llmspell.states == []
    with pytest.raises(ConfigError, match="there is no lua state 'main'"):
        shell.run_line_magic("llmspell", "reset lua")
    shell.run_cell("%%lua --out gone\ngone = n == nil")
    assert shell.user_ns["gone"] is True


def test_a_question_for_completion_that_fails_leaves_the_cells_outcome(shell: InteractiveShell, caplog: pytest.LogCaptureFixture) -> None:
    load_ipython_extension(shell)
    session = shell.llmspell.session

    async def broken(kind: str, *_: Any, **__: Any) -> Any:
        raise RuntimeError(f"no {kind}")

    session.ask = broken
    with caplog.at_level(logging.WARNING):
        ran = shell.run_cell("%%lua\nreturn 7")
        failed = shell.run_cell("%%lua\nerror('its own')")
    assert ran.success and shell.user_ns["_"] == 7
    assert "its own" in str(failed.error_in_exec)
    assert "could not be read for completion" in caplog.text


def test_the_globals_of_each_state_are_kept_apart_for_completion(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    shell.run_cell("%%lua\nzebra_main = 1")
    shell.run_cell("%%lua --state other\nzebra_other = 1")
    (matcher,) = shell.Completer.custom_matchers
    for line, name in (("", "zebra_main"), ("--state other", "zebra_other"), ("--wrong", "zebra_main")):
        context = CompletionContext(token="zebra_", full_text=f"%%lua {line}\nzebra_", cursor_position=6, cursor_line=1, limit=100)
        assert [found.text for found in matcher(context)["completions"]] == [name]


class OnAThread:
    """A front end whose Stop arrives on another thread, while the event loop waits for something to happen."""

    model_id = "model-1"

    def __init__(self, asleep: threading.Event) -> None:
        self.asleep = asleep

    def open(self, on_message: Any) -> OnAThread:
        threading.Thread(target=self._press, args=(on_message, threading.main_thread().ident), daemon=True).start()
        return self

    def _press(self, on_message: Any, main: int) -> None:
        self.asleep.wait(20)
        while sys._current_frames()[main].f_code.co_name != "select":
            pass
        on_message({"stop": True})

    def send(self, content: Any) -> None: ...

    def close(self) -> None: ...


def test_a_stop_on_another_thread_wakes_the_event_loop(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_DISPLAY", "live")
    load_ipython_extension(shell)
    asleep = threading.Event()
    shell.llmspell.session.recorder.listen(
        lambda event: asleep.set() if isinstance(event, CallStarted) and event.bridge == "timer" else None
    )
    monkeypatch.setattr(display, "open_anywidget", OnAThread(asleep).open)
    started = time.monotonic()
    ran = shell.run_cell("%%lua\nllm.chat('hi') sleep(20)")
    assert type(ran.error_in_exec).__name__ == "KeyboardInterrupt" and time.monotonic() - started < 10


def test_python_completion_offers_all_that_the_notebook_can(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    assert {"background", "configure", "get", "register_type", "session", "settings", "states", "stop", "values"} <= set(
        dir(shell.llmspell)
    )
