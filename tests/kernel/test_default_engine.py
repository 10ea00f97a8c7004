"""`%llmspell engine`: the language of plain cells, changed while the kernel runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from llmspell_kernel.engines import EngineDeclaration
from llmspell_kernel.engines._registry import built_in
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.kernel.extension import install, unload_ipython_extension
from llmspell_kernel.kernel.kernel import language_info, specs
from llmspell_kernel.settings import PYTHON

from .conftest import Client


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    engines = built_in()
    engines.register(EngineDeclaration("packless", "Packless", "json", needed={"no_such_module": "no-such-dist"}))
    install(made, default=PYTHON, engines=engines, spare=None)
    yield made
    unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def said(shell: InteractiveShell, cell: str) -> str:
    with capture_output() as captured:
        ran = shell.run_cell(cell)
    assert ran.success, captured.stdout
    return str(captured.stdout)


def test_it_says_which_it_is(shell: InteractiveShell) -> None:
    assert said(shell, "%llmspell engine") == "Plain cells are Python.\n"
    assert said(shell, "%llmspell engine js") == "From the next cell on, plain cells are JavaScript.\n"
    assert said(shell, "%llmspell engine") == "Plain cells are JavaScript.\n"


def test_plain_cells_follow_and_come_back(shell: InteractiveShell) -> None:
    for engine, code in (("lua", "x = 3 print(x .. '!')"), ("js", "console.log(`${1 + 2}!`)"), ("python", "print(f'{1 + 2}!')")):
        said(shell, f"%llmspell engine {engine}")
        assert said(shell, code) == "3!\n"


def test_magics_work_above_a_script_and_alone(shell: InteractiveShell) -> None:
    said(shell, "%llmspell engine lua")
    assert said(shell, "%llmspell engine\nprint('then')") == "Plain cells are Lua.\nthen\n"
    assert "main" not in said(shell, "\n%llmspell engine\n\n%llmspell engine python\n")
    assert said(shell, "print('%s' % 1)") == "1\n"


def test_a_language_chosen_above_a_script_is_for_the_next_cell(shell: InteractiveShell) -> None:
    said(shell, "%llmspell engine lua")
    told = said(shell, "%llmspell engine js\nprint(1 // 1)")
    assert told.splitlines() == ["From the next cell on, plain cells are JavaScript.", "1"]
    assert said(shell, "console.log(typeof 1)") == "number\n"


def test_a_cell_with_its_magic_is_in_that_language_whatever_plain_cells_are(shell: InteractiveShell) -> None:
    said(shell, "%llmspell engine lua")
    assert said(shell, "%%js\nconsole.log(typeof 1)") == "number\n"
    assert said(shell, "%%python\nprint(type(1).__name__)") == "int\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("engine luaa", "there is no engine 'luaa'; did you mean 'lua'"),
        ("engine pyton", "did you mean 'python'? Known: javascript or js, lua, packless, python"),
        ("engine packless", "Packless cannot run without 'no-such-dist'"),
        ("engin", "did you mean 'engine'"),
    ],
)
def test_what_cannot_be_chosen_is_refused_without_our_frames_and_nothing_changes(shell: InteractiveShell, line: str, told: str) -> None:
    said(shell, "%llmspell engine js")
    with pytest.raises(ConfigError) as caught:
        shell.run_line_magic("llmspell", line)
    assert told in str(caught.value)
    shown = "\n".join(caught.value._render_traceback_())  # type: ignore[attr-defined]
    assert told in shown and ".py" not in shown
    assert said(shell, "%llmspell engine") == "Plain cells are JavaScript.\n"


def test_engines_are_a_table_in_a_terminal_too(shell: InteractiveShell) -> None:
    table = said(shell, "%llmspell engines")
    assert "%%javascript %%js" in table and "pip install no-such-dist" in table


def test_engines_are_a_table_in_a_notebook(client: Client) -> None:
    (shown,) = client.run("%llmspell engines").of("display_data")
    assert shown["data"]["text/html"].startswith("<table") and "%%javascript %%js" in shown["data"]["text/plain"]


def test_every_engine_with_a_kernelspec_has_a_kernel() -> None:
    assert specs(built_in()) == {"llmspell": PYTHON, "llmspell-js": "javascript", "llmspell-lua": "lua"}
    assert language_info(built_in().get("js")) == {
        "name": "javascript",
        "version": "ES2025",
        "mimetype": "text/javascript",
        "file_extension": ".js",
        "pygments_lexer": "javascript",
        "codemirror_mode": "javascript",
    }


def test_completion_follows_in_real_kernels(client: Client) -> None:
    try:
        client.run("%llmspell engine js")
        assert client.run("[1, 2].map(x => x * 2)").result == "[2, 4]"
        assert client.complete("typeo") == ["typeof"]
        assert client.complete("llm.setM") == ["setModel"]
        client.run("%llmspell engine lua")
        assert client.complete("repea") == ["repeat"]
        assert client.complete("llm.set_m") == ["set_model"]
    finally:
        assert client.run("%llmspell engine python").status == "ok"
    assert client.run("1 + 1").result == "2"


def test_inspection_completeness_and_the_language_follow_in_our_own_kernel(own_client: Client) -> None:
    def answer(request: str) -> dict[str, Any]:
        while True:
            reply = own_client.channels.get_shell_msg(timeout=30)
            if reply["parent_header"].get("msg_id") == request:
                return dict(reply["content"])

    def language() -> str:
        return str(answer(own_client.channels.kernel_info())["language_info"]["name"])

    assert language() == "python"
    try:
        own_client.run("%llmspell engine lua")
        assert answer(own_client.channels.is_complete("for i = 1, 3 do"))["status"] == "incomplete"
        assert answer(own_client.channels.is_complete("x = 1"))["status"] == "complete"
        assert "llm.chat(" in answer(own_client.channels.inspect("llm.chat", 8))["data"]["text/plain"]
        assert language() == "lua"
    finally:
        own_client.run("%llmspell engine python")
    assert language() == "python"
    assert answer(own_client.channels.is_complete("for i in x:"))["status"] == "incomplete"


def test_a_command_with_too_few_or_too_many_words_says_what_it_takes(shell: InteractiveShell) -> None:
    for line, words in (("reset", "needs the language"), ("stop a b c", "too many words"), ("engine a b", "too many words")):
        with capture_output() as captured:
            ran = shell.run_cell(f"%llmspell {line}")
        assert isinstance(ran.error_in_exec, ConfigError), line
        assert words in str(ran.error_in_exec) + captured.stdout
