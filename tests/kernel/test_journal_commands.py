"""What the commands about journals and saved states print of files that may come from anybody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.checked_lines import read_lines, with_sum
from llmspell_kernel.journal.events import CallFinished, CallStarted, CellStarted
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.kernel.journal_commands import cost, diff, fork, resume, trace
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
