"""What the commands about journals and saved states print of files that may come from anybody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.checked_lines import read_lines, with_sum
from llmspell_kernel.journal.events import CallFinished, CallStarted, CellStarted
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.kernel.journal_commands import cost, diff, fork, restart_state, resume, trace
from llmspell_kernel.session import Session

TITLE = "\x1b]0;yours\x07"


def hostile_states(file: Path) -> None:
    """A file of one state whose names and messages would steer a terminal, and look like lines of ours."""

    async def save() -> None:
        async with Session() as session:
            await session.run("n = 1", chunk="cell[1]")
            session.save(file)

    asyncio.run(save())
    header, state, cell = (json.loads(line) for line in read_lines(file.read_bytes(), file.name))
    state["name"] = f"{TITLE}main\x1b[2J"
    cell |= {"chunk": f"cell[1]{TITLE}\nLua state restored", "code": 'error("\\27[2J\\27[31mgone\\nLua state restored")'}
    lines = (json.dumps(each, separators=(",", ":")).encode() for each in (header, state, cell))
    file.write_bytes(b"".join(map(with_sum, lines)))


def test_a_table_of_costs_is_what_the_command_writes_and_one_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    notebook = SimpleNamespace(ledger=lambda by: [])
    cost(["--csv", str(tmp_path / "spent.csv")], notebook, print)
    text = (tmp_path / "spent.csv").read_bytes()
    assert text == b"cell,model,requests,input_tokens,output_tokens,cached_tokens,cost_usd,unpriced,replayed\n"
    with pytest.raises(ConfigError, match="nope/spent.csv: cannot be written: No such file or directory"):
        cost(["--csv", str(tmp_path / "nope" / "spent.csv")], notebook, print)


def test_a_trace_of_a_session_that_memory_no_longer_holds_whole_says_so_and_where_all_of_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    notebook = SimpleNamespace(session=SimpleNamespace(recorder=Recorder(max_events=6)))

    def run(cell: int) -> None:
        notebook.session.recorder.record(CellStarted(cell, 1.0, "lua", "main", f"cell[{cell}]", ""))
        notebook.session.recorder.record(CallStarted(cell, 1.0, cell, "hash", "md5", ["x"]))
        notebook.session.recorder.record(CallFinished(cell, 1.0, cell, "y", 0.1))

    run(1)
    run(2)
    trace([], notebook, print)
    assert capsys.readouterr().err == ""
    run(3)
    trace([], notebook, print)
    told = capsys.readouterr()
    assert "cell[3]" in told.out and "cell[1]" not in told.out
    said = "the oldest 3 events of this session are no longer in memory; with keep_journal = true, `llmspell trace` finds them in .llmspell/journal"
    assert told.err == f"This is a part: {said}.\n"
    trace(["3"], notebook, print)  # a cell whose beginning is there is there whole
    assert capsys.readouterr().err == ""
    for command, words in ((trace, ["1"]), (diff, ["1", "3"])):
        with pytest.raises(ConfigError) as missing:
            command(words, notebook, print)
        assert str(missing.value) == f"no script cell has the number 1; {said}"


def test_names_and_messages_of_a_saved_file_are_shown_on_their_lines_without_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "n.states.jsonl"
    hostile_states(file)

    async def play() -> None:
        async with Session() as session:
            notebook = SimpleNamespace(session=session, engines=session.engines, states_file=lambda *names: file)
            await resume([], notebook, print)
            await fork(["copy", "lua", f"{TITLE}main\x1b[2J"], notebook, print)

    asyncio.run(play())
    told = capsys.readouterr().out
    assert not [char for char in told if char != "\n" and not char.isprintable()]
    assert [line[:12] for line in told.splitlines()] == ["'main': Lua ", "  not cell[1", "Lua state re"]
    assert "gone Lua state restored" in told


def in_both_languages(*lines: list[str]) -> list[ConfigError | None]:
    """What became of each `restart-state` (`--to` alone) or `fork`, in a notebook whose cells 1 and 3 are Lua's, 2 and 4 JavaScript's, 5 Python's."""

    async def play() -> list[ConfigError | None]:
        async with Session() as session:
            for cell in (1, 3):
                await session.run(f"n = {cell}", chunk=f"cell[{cell}]")
                await session.run(f"var n = {cell + 1}", engine="javascript", chunk=f"cell[{cell + 1}]")
            states = [(*key, "idle") for key in session.states]
            notebook: Any = SimpleNamespace(session=session, engines=session.engines, states=states, cell_number=6)
            found: list[ConfigError | None] = []
            for words in lines:
                try:
                    await (restart_state if words[0] == "--to" else fork)(words, notebook, print)
                except ConfigError as error:
                    found.append(error)
                else:
                    found.append(None)
            return found

    return asyncio.run(play())


def test_a_cell_that_never_ran_is_nothing_to_go_back_to() -> None:
    went_back, forked, of_python, its_own = in_both_languages(
        ["--to", "99"], ["try", "lua", "--at", "99"], ["later", "lua", "--at", "5"], ["now", "lua", "--at", "6"]
    )
    assert "there is no cell [99] yet, the newest is [6]" in str(forked)
    assert "the lua state 'main' ran [1], [3]" in str(forked)
    assert went_back is not None and of_python is None and its_own is None


def test_a_cell_that_is_named_says_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_both_languages(["--to", "1"], ["try", "--at", "2"]) == [None, None]
    assert "Lua state restored: 1 cell" in (told := capsys.readouterr().out)
    assert "JavaScript state restored: 1 cell" in told


def test_where_the_language_is_undecided_the_error_says_how_to_name_one() -> None:
    went_back, forked, of_all = in_both_languages(["--to", "5"], ["try", "--at", "5"], ["try"])
    assert str(went_back).endswith("There are states of javascript, lua; name one: %llmspell restart-state lua --to 5")
    assert str(forked).endswith("name one: %llmspell fork try lua --at 5")
    assert str(of_all).endswith("name one: %llmspell fork try lua")
