"""What happened, played again and gone back to, from the cells of a real kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Client


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("LLMSPELL_DISPLAY", "static")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notes.ipynb"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Any:
    started = Client("llmspell")
    yield started
    started.close()


def said(client: Client, code: str) -> str:
    ran = client.run(code)
    assert ran.status == "ok", ran.reply
    return ran.stream("stdout")


def test_a_notebook_is_recorded_beside_itself_and_replays_in_another_kernel(client: Client, folder: Path) -> None:
    assert said(client, "%llmspell record") == "From the next cell on, calls are recorded in notes.cassette.jsonl.\n"
    first = client.run("%%lua\nx = llm.chat('hello')\nreturn x .. '!'")
    assert first.result == "echo: hello!"
    assert said(client, "%llmspell record off") == "Ended: 1 recorded (notes.cassette.jsonl).\n"
    other = Client("llmspell")
    try:
        said(other, "%llmspell config model=openai/gpt-4o-mini")
        assert "1 are recorded, and none is made" in said(other, "%llmspell replay")
        again = other.run("%%lua\nx = llm.chat('hello')\nreturn x .. '!'")
        assert again.result == first.result
        (shown,) = again.of("display_data")
        assert "replayed, nothing was sent" in shown["data"]["text/html"]
        missing = other.run("%%js\nawait llm.chat('helo')").error
        assert missing["ename"] == "ReplayError" and '+ "helo"' in missing["evalue"]
        assert "1 call replayed" in said(other, "%llmspell replay off")
    finally:
        other.close()


def test_a_wrong_cassette_is_one_error(client: Client, folder: Path) -> None:
    (folder / "notes.cassette.jsonl").write_text("{}\n")
    error = client.run("%llmspell replay").error
    assert error["ename"] == "LoadError" and "notes.cassette.jsonl, line 1" in error["evalue"]
    assert not any(".py" in line for line in error["traceback"])
    assert "must end with .cassette.jsonl" in client.run("%llmspell record notes.ipynb").error["evalue"]


@pytest.mark.parametrize("magic", ["%%lua", "%%js"])
def test_a_killed_state_comes_back_at_its_next_cell(client: Client, magic: str) -> None:
    assert client.run(f"{magic}\nn = 5").status == "ok"
    said(client, "import os, signal; os.kill(llmspell.session.worker_pids[0], signal.SIGKILL)")
    ran = client.run(f"{magic}\n" + ("return n" if magic == "%%lua" else "n"))
    assert ran.result == "5" and "state restored: 1 cell in " in ran.stream("stderr")


def test_states_go_back_fork_are_saved_and_resumed(client: Client, folder: Path) -> None:
    for number in (1, 2, 3):
        assert client.run(f"%%lua\nn = (n or 0) + {number}\nreturn n").status == "ok"
    assert "Lua state restored: 2 cells in" in said(client, "%llmspell restart-state --to 2")
    assert client.run("%%lua\nreturn n").result == "3"
    assert "use it with --state early" in said(client, "%llmspell fork early lua --at 1")
    assert client.run("%%lua --state early\nreturn n").result == "1"
    assert "in notes.states.jsonl" in said(client, "%llmspell save")
    other = Client("llmspell")
    try:
        assert "'early': Lua state restored" in said(other, "%llmspell resume")
        assert other.run("%%lua\nreturn n").result == "3"
    finally:
        other.close()
    assert "after which cell?" in client.run("%llmspell restart-state lua").error["evalue"]
    assert "there is no option '--too'; did you mean 'to'?" in client.run("%llmspell restart-state lua --too 4").error["evalue"]


def test_calls_costs_and_differences_are_shown(client: Client, folder: Path) -> None:
    client.run("%%lua\nreturn llm.chat('a red fox')")
    client.run("%%lua\nreturn llm.chat('a blue fox')")
    assert 'llm.chat "a red fox"' in said(client, "%llmspell trace 1")
    assert "{+" in said(client, "%llmspell diff 1 2") and "blue" in said(client, "%llmspell diff 1 2")
    (table,) = client.run("%llmspell cost --by model").of("display_data")
    assert "spell/echo" in table["data"]["text/plain"]
    assert client.run("[row['requests'] for row in llmspell.cost(['model'])]").result == "[2]"
    assert said(client, "%llmspell cost --csv spent.csv") == "written: spent.csv\n"
    assert (folder / "spent.csv").read_text().startswith("cell,model,requests,")
    (journal,) = (folder / ".llmspell" / "journal").glob("*.journal.jsonl")
    assert "a red fox" in journal.read_text()


def test_a_recording_that_cannot_be_ended_is_one_error_without_our_frames(client: Client, folder: Path) -> None:
    said(client, "%llmspell record")
    client.run("%%lua\nreturn llm.chat('hello')")
    (folder / "notes.cassette.jsonl").unlink()
    (folder / "notes.cassette.jsonl").mkdir()  # in the way of the new file, as a full disk is
    error = client.run("%llmspell record off").error
    assert error["ename"] == "ConfigError" and "could not be put in order: Is a directory" in error["evalue"]
    assert not any(".py" in line for line in error["traceback"])
    assert said(client, "%llmspell record off") == "Nothing is recorded or replayed.\n"


def journals(folder: Path) -> list[Path]:
    return sorted((folder / ".llmspell" / "journal").glob("*.journal.jsonl"))


def test_the_journal_is_kept_and_not_kept_from_the_next_cell_on(client: Client, folder: Path) -> None:
    client.run("%%lua\nreturn llm.chat('first')")
    assert said(client, "%llmspell config keep_journal=false").startswith("keep_journal: from the next cell\n")
    client.run("%%lua\nreturn llm.chat('second')")
    (journal,) = journals(folder)
    assert "first" in journal.read_text() and "second" not in journal.read_text()
    said(client, "%llmspell config keep_journal=true")
    client.run("%%lua\nreturn llm.chat('third')")
    said(client, "%llmspell config keep_journal=true seed=3")
    client.run("%%lua\nreturn llm.chat('fourth')")
    before, after = journals(folder)
    assert "second" not in before.read_text() + after.read_text()
    assert "third" in after.read_text() and "fourth" in after.read_text()


def test_a_cassette_that_is_not_there_changes_no_setting(client: Client, folder: Path) -> None:
    error = client.run("%llmspell config journal=replay seed=5").error
    assert error["ename"] == "LoadError"
    assert client.run("llmspell.settings.journal, llmspell.settings.seed, llmspell.session.taping").result == "('off', 0, None)"
    said(client, "%llmspell config journal=record cassette=kept.cassette.jsonl")
    assert client.run("%llmspell config cassette=other.cassette.jsonl journal=replay").status == "error"
    assert client.run("llmspell.settings.journal, llmspell.session.taping.file.name").result == "('record', 'kept.cassette.jsonl')"
    assert said(client, "%llmspell record off").endswith("(kept.cassette.jsonl).\n")


def test_how_much_is_kept_for_a_restore_is_a_states_own(client: Client) -> None:
    client.run("%%lua\nn = 1")
    assert "limits.history_bytes: for states opened from now on" in said(client, "%llmspell config limits.history_bytes=1000000")


def test_costs_that_are_no_longer_all_in_memory_are_said_to_be(client: Client) -> None:
    client.run("%%lua\nreturn llm.chat('x')")
    asks = ("%llmspell cost", "llmspell.cost()")
    assert [client.run(ask).stream("stderr") for ask in asks] == ["", ""]
    client.run("llmspell.session.recorder._max_events = 1")
    client.run("%%lua\nreturn llm.chat('x')")
    for ask in asks:
        (line,) = client.run(ask).stream("stderr").splitlines()
        assert line.startswith("This is less than was used: the oldest ") and "`llmspell cost`" in line


MANY_AT_ONCE = {
    "%%lua": "async.map({'a', 'b b', 'c c c'}, function(word) return llm.chat(word) end); for piece in llm.stream('d d') do end",
    "%%js": "await Promise.all(['a', 'b b', 'c c c'].map(word => llm.chat(word))); for await (const piece of llm.stream('d d'));",
}


@pytest.mark.parametrize("magic", ["%%lua", "%%js"])
def test_the_metadata_of_an_output_says_what_the_ledger_says_of_its_cell(client: Client, magic: str) -> None:
    ran = client.run(f"{magic}\n{MANY_AT_ONCE[magic]}")
    assert ran.status == "ok", ran.reply
    usage = ran.of("display_data")[-1]["metadata"]["llmspell"]["usage"]
    (row,) = json.loads(client.run("import json; print(json.dumps(llmspell.cost(by=['model'])))").stream("stdout"))
    assert (usage["calls"], usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]) == (
        row["requests"],
        row["input_tokens"],
        row["output_tokens"],
        row["cost_usd"],
    )
    assert row["requests"] == 4 and row["output_tokens"] > 0
