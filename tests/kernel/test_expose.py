"""Python and scripts in one notebook: exposed functions, states reached from Python, modules made from cells."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from llmspell_kernel.errors import ConfigError, ScriptError
from llmspell_kernel.kernel.cells import CellOptions, parse_options
from llmspell_kernel.kernel.extension import load_ipython_extension, unload_ipython_extension


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    load_ipython_extension(made)
    yield made
    unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def ok(shell: InteractiveShell, cell: str) -> None:
    shell.run_cell(cell).raise_error()


def error(shell: InteractiveShell, cell: str) -> BaseException:
    ran = shell.run_cell(cell)
    found = ran.error_in_exec or ran.error_before_exec
    assert found is not None
    return found


LOOKUP = """
@llmspell.expose
def lookup(city: str) -> dict:
    "What is known of a city."
    return {"city": city, "known": KNOWN}
"""


def test_a_function_defined_in_a_cell_answers_scripts_and_its_cell_may_be_run_again(shell: InteractiveShell) -> None:
    ok(shell, "KNOWN = 1" + LOOKUP)
    ok(shell, "%%lua --state fresh --out got\ngot = host.lookup('Oslo').known")
    assert shell.user_ns["got"] == 1
    ok(shell, "KNOWN = 2" + LOOKUP.replace("city: str", "city: str, days: int = 1"))
    ok(shell, "%%lua --state fresh --out got\ngot = host.lookup('Oslo', 3).known")
    assert shell.user_ns["got"] == 2
    assert shell.user_ns["lookup"]("Rome") == {"city": "Rome", "known": 2}


def test_a_function_without_annotations_is_refused_with_what_to_write(shell: InteractiveShell) -> None:
    failed = error(shell, "@llmspell.expose\ndef lookup(city): return city")
    assert isinstance(failed, ConfigError) and "annotate it, as in: def lookup(city: str) -> dict" in failed.message


def test_an_exposed_object_is_a_bridge_of_its_name(shell: InteractiveShell) -> None:
    ok(
        shell,
        "class Crm:\n    def find(self, name: str) -> str:\n        return name.upper()\n_ = llmspell.expose(Crm(), name='customers')",
    )
    ok(shell, "%%js --out got\nvar got = await customers.find('ann')")
    assert shell.user_ns["got"] == "ANN"


def test_python_reads_sets_and_calls_a_state_by_engine_alias_and_name(shell: InteractiveShell) -> None:
    ok(shell, "%%lua\nfunction add(a, b) sleep(0) return a + b, 'two' end")
    ok(shell, "%%js --state other\nfunction add(a, b) { return a + b }")
    ok(shell, "await llmspell.states['lua'].set('x', 5)\nx = await llmspell.states['lua'].get('x')")
    ok(shell, "both = await llmspell.states['lua'].call('add', 1, 2)\none = await llmspell.states['js', 'other'].call('add', 'a', 'b')")
    assert (shell.user_ns["x"], shell.user_ns["both"], shell.user_ns["one"]) == (5, (3, "two"), "ab")
    assert [state[:2] for state in shell.llmspell.states] == [("main", "lua"), ("other", "javascript")]
    assert len(shell.llmspell.states) == 2 and shell.llmspell.states[0][0] == "main"
    assert repr(shell.llmspell.states["js", "other"]) == "<the javascript state 'other'>"
    assert isinstance(error(shell, "await llmspell.states['lua'].call('nothing')"), ScriptError)
    with pytest.raises(ConfigError, match="there is no engine 'lau'"):
        shell.llmspell.states["lau"]


def test_where_no_loop_runs_python_may_wait_for_a_state(shell: InteractiveShell) -> None:
    ok(shell, "%%lua\nfunction add(a, b) sleep(0) return a + b end")
    state = shell.llmspell.states["lua"].sync
    assert state.call("add", 1, 2) == 3
    state.set("x", [1])
    assert state.get("x") == [1]
    with pytest.raises(ScriptError, match="there is no global function 'sub'"):
        state.call("sub")


def test_in_a_running_loop_waiting_is_refused_with_the_line_to_write(shell: InteractiveShell) -> None:
    failed = error(shell, "import asyncio\nawait asyncio.sleep(0)\nllmspell.states['lua'].sync.get('x')")
    assert isinstance(failed, ConfigError) and 'await llmspell.states["lua", "main"].get(...)' in failed.message


def test_another_thread_waits_for_the_loop_that_scripts_run_in(shell: InteractiveShell) -> None:
    ok(shell, "%%lua\nx = 5")
    got: list[Any] = []

    async def wait_for_thread() -> None:
        thread = threading.Thread(target=lambda: got.append(shell.llmspell.states["lua"].sync.get("x")))
        thread.start()
        await asyncio.to_thread(thread.join, 10)

    shell.llmspell.notebook.home_loop().run_until_complete(wait_for_thread())
    assert got == [5]


def test_a_cell_may_become_a_module_instead_of_running(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    ok(shell, "%%lua --module text/words\nran = true\nreturn {size = 1}")
    assert "The lua module 'text/words' is registered" in capsys.readouterr().out
    session = shell.llmspell.session
    assert session.modules.source("text/words", "lua") == "\nran = true\nreturn {size = 1}\n"
    assert session.sources["module[text/words]"].startswith("%%lua --module text/words\nran")
    ok(shell, "%%lua --out ran\nran = ran == nil")
    assert shell.user_ns["ran"] is True


@pytest.mark.parametrize(
    ("cell", "words"),
    [("--module a\nreturn {", "near <eof>"), ("--module a\nx = = 1", "unexpected symbol near '='"), ("--module A\n", "name a")],
)
def test_a_cell_that_cannot_be_a_module_is_refused_and_nothing_registered(shell: InteractiveShell, cell: str, words: str) -> None:
    failed = error(shell, f"%%lua {cell}")
    assert isinstance(failed, (ConfigError, ScriptError)) and words in failed.message
    assert list(shell.llmspell.session.modules) == []


def test_python_registers_a_module_from_text(shell: InteractiveShell) -> None:
    ok(shell, "llmspell.add_module('words', 'exports.size = 1', engine='js')")
    assert list(shell.llmspell.session.modules) == [("words", "javascript")]
    assert "cannot name a module" in str(error(shell, "llmspell.add_module('No', '')"))


def test_the_option_module_stands_beside_the_others() -> None:
    assert parse_options("--module a/b --state s", "lua") == CellOptions(state="s", module="a/b")
    with pytest.raises(ConfigError, match="did you mean '--module'"):
        parse_options("--modul a", "lua")


def test_in_a_kernel_exposed_functions_and_states_work_in_cells(client: Any) -> None:
    assert client.run("KNOWN = 1" + LOOKUP).status == "ok"
    assert client.run("%%lua --state fresh\nprint(host.lookup('Oslo').known)").stream("stdout") == "1\n"
    assert "lookup" in client.complete("%%lua\nhost.lo")
    assert client.run("%%lua\nfunction add(a, b) print('adding') return a + b end").status == "ok"
    called = client.run("await llmspell.states['lua'].call('add', 1, 2)")
    assert (called.result, called.stream("stdout")) == ("3", "adding\n")
    refused = client.run("llmspell.states['lua'].sync.get('x')")
    assert "await llmspell.states" in refused.error["evalue"]
    threaded = "import asyncio\nawait asyncio.to_thread(lambda: llmspell.states['lua'].sync.call('add', 2, 3))"
    assert client.run(threaded).result == "5"
