"""`%llmspell config`, and a kernel whose settings file is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Client


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("LLMSPELL_DISPLAY", "static")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client(folder: Path, request: Any) -> Any:
    for name, text in getattr(request, "param", {}).items():
        (folder / name).write_text(text)
    started = Client("llmspell")
    yield started
    started.close()


@pytest.mark.parametrize("client", [{"llmspell.toml": "seed = 1\n[limits]\neffects = 3\n"}], indirect=True)
def test_settings_are_shown_and_changed_for_the_next_cell(client: Client) -> None:
    shown = client.run("%llmspell config").stream("stdout")
    assert any(line.split() == ["limits.effects", "3", "llmspell.toml,", "line", "3"] for line in shown.splitlines())
    assert client.run("%%lua\nfor i = 1, 4 do llm.model() end").error["ename"] == "LimitError"
    said = client.run("%llmspell config limits.effects=4 model=spell/scripted seed=2").stream("stdout")
    assert said.splitlines()[:2] == ["limits.effects: from the next cell", "model: from the next cell"]
    assert "seed: for states opened from now on" in said
    ran = client.run("%%lua\nfor i = 1, 3 do llm.model() end\nreturn llm.model()")
    assert ran.result == "spell/scripted"
    assert "%llmspell config" in client.run("%llmspell config").stream("stdout")


def test_a_deny_that_denies_nothing_is_told_where_it_is_set_and_not_again(client: Client) -> None:
    said = client.run('%llmspell config grants.deny=["llm.sett_model"]')
    assert "the rule 'deny' of %llmspell config denies nothing" in said.stream("stderr")
    assert "did you mean 'llm.set_model'" in said.stream("stderr")
    assert client.run("%%lua\nreturn 1").stream("stderr") == ""


def test_a_wrong_change_is_an_error_and_changes_nothing(client: Client) -> None:
    wrong = client.run("%llmspell config seed=5 dipslay=live").error
    assert wrong["ename"] == "ConfigError" and "key 'dipslay': there is no such setting; did you mean 'display'?" in wrong["evalue"]
    assert not any("5" in line.split() for line in client.run("%llmspell config").stream("stdout").splitlines() if line.startswith("seed"))


@pytest.mark.parametrize("client", [{"llmspell.toml": 'preset = "minimal"\n'}], indirect=True)
def test_a_wrong_file_is_told_at_each_script_cell_until_it_is_mended_and_python_goes_on(client: Client, folder: Path) -> None:
    for cell in ("%%lua\nreturn 1", "%%js\n1", "%llmspell config"):
        error = client.run(cell).error
        assert error["ename"] == "ConfigError"
        assert error["evalue"].startswith(
            "llmspell.toml, line 1, column 1, key 'preset': minimal is looser than your own standard (default)"
        )
        assert not any(".py" in line for line in error["traceback"])
    assert client.run("6 * 7").result == "42"
    (folder / "llmspell.toml").write_text('preset = "strict"\n')
    assert client.run("%%lua\nreturn 1").result == "1"


@pytest.mark.parametrize("client", [{"llmspell.toml": 'engine = "js"\n'}], indirect=True)
def test_plain_cells_of_our_kernel_are_in_the_engine_of_the_settings(client: Client) -> None:
    assert client.run("[1, 2].map(n => n * 2)").result == "[2, 4]"


@pytest.mark.parametrize("folder_file", ['engine = "lua"\n'])
def test_plain_cells_of_a_stock_kernel_stay_python(folder: Path, folder_file: str) -> None:
    (folder / "llmspell.toml").write_text(folder_file)
    client = Client("python3")
    try:
        assert client.run("%load_ext llmspell_kernel").status == "ok"
        assert client.run("'py' + 'thon'").result == "'python'"
    finally:
        client.close()


def test_the_policy_is_shown_and_a_cell_narrows_its_state(client: Client) -> None:
    assert "not known before the first worker has started" in client.run("%llmspell policy").stream("stdout")
    assert client.run("%%lua --deny llm.model,timer.*\nreturn pcall(llm.model)").result.startswith("false\n")
    assert client.run("%%lua\nllm.model()").error["ename"] == "DeniedError"
    assert client.run("%%lua --state b\nreturn llm.model()").result == "spell/echo"
    assert client.run("%%js --allow log.*\nawait llm.model()").error["ename"] == "DeniedError"
    shown = client.run("%llmspell policy").stream("stdout")
    assert "the state 'main'" in shown and "landlock" in shown and "not known" not in shown
    client.run("%llmspell reset lua")
    assert client.run("%%lua\nreturn llm.model()").result == "spell/echo"
