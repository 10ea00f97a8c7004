"""`llmspell cost`: what models took, of every journal by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmspell_kernel.cli._folder import root
from llmspell_kernel.cli._ledger_table import AMOUNTS, ledger_lines
from llmspell_kernel.journal.event_file import FOLDER, EventFile
from llmspell_kernel.journal.events import CallFinished, CallStarted, CallUsage, CellFinished, CellStarted
from llmspell_kernel.journal.spending import Line, Spent


def journal(folder: Path, name: str, *, replayed: bool) -> Path:
    """Of one session that asked one model once."""
    file = folder / name
    write = EventFile(folder, "1", lambda why: None, file)
    write(CellStarted(1, 0.0, "lua", "main", f"cell[{name}]", ""))
    write(CallUsage(1, 0.0, 1, "a/b", 10, 5, 0, 0.5))
    write(CallFinished(1, 0.0, 1, "again", 0.0, replayed))
    write(CellFinished(1, 0.0, "ok", 0.0))
    write.close()
    return file


def test_a_replay_in_one_journal_takes_no_cost_from_another_and_each_keeps_its_cells(tmp_path: Path) -> None:
    files = [str(journal(tmp_path, name, replayed=name == "two.jsonl")) for name in ("one.jsonl", "two.jsonl", "three.jsonl")]
    done = CliRunner().invoke(root(), ["cost", "--json", "--by", "cell", *files])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {line["cell"]: (line["cost_usd"], line["replayed"]) for line in told["lines"]} == {
        "cell[one.jsonl]": (0.5, 0),
        "cell[two.jsonl]": (0.0, 1),
        "cell[three.jsonl]": (0.5, 0),
    }
    assert (told["total"]["cost_usd"], told["total"]["requests"], told["total"]["replayed"]) == (1.0, 2, 1)


def cost(*arguments: str) -> Result:
    return CliRunner().invoke(root(), ["cost", *arguments])


@pytest.mark.parametrize(
    ("name", "spent", "stands_beside"),
    [
        ("spell/local", Spent(12, 3_456, 789), True),
        ("spell/local", Spent(12, 1_234_567, 22_222, 0, 12.5, 3, 1), False),
        ("anthropic/claude-sonnet-4-5-20250929", Spent(1, 2, 3), False),
    ],
)
def test_no_name_day_or_heading_is_broken_or_cut_in_80_columns(name: str, spent: Spent, stands_beside: bool) -> None:
    line = Line({"model": name, "day": "2026-11-22"}, spent)
    told = list(ledger_lines(["model", "day"], [line], line.spent, 80))
    assert max(map(len, told)) <= 80
    text = "\n".join(told)
    assert all(text.count(word) >= 1 for word in (name, "2026-11-22", *AMOUNTS))
    assert len(told) == (3 if stands_beside else 6)
    assert len(list(ledger_lines(["model", "day"], [line], line.spent, 10_000))) == 3


def test_lines_that_cannot_be_read_are_counted_and_told(tmp_path: Path) -> None:
    file = journal(tmp_path, "one.jsonl", replayed=False)
    text = file.read_bytes()
    (used,) = (line for line in text.splitlines(keepends=True) if b"CallUsage" in line)
    file.write_bytes(text + used[:20] + b"\n" + used.replace(b'"time":0.0', b'"time":1e18') + used.replace(b"0.5", b"-7.0"))
    done = cost("--json", str(file))
    assert (done.exit_code, json.loads(done.stdout)["total"]["cost_usd"]) == (0, 0.5)
    assert json.loads(done.stdout)["left_out"] == {"journals": 0, "lines": 3}
    assert done.stderr == "3 lines of one.jsonl could not be read, and are left out\n"


def test_a_journal_of_the_folder_that_cannot_be_read_is_told_and_the_others_are_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    journal(folder, "a.journal.jsonl", replayed=False)
    (folder / "b.journal.jsonl").write_bytes(b"")
    (folder / "c.journal.jsonl").write_bytes(b'{"llmspell_journal":99}\n')
    journal(folder, "d.journal.jsonl", replayed=False)
    monkeypatch.chdir(tmp_path)
    done = cost("--json")
    assert (done.exit_code, json.loads(done.stdout)["total"]["cost_usd"]) == (0, 1.0), done.output
    assert json.loads(done.stdout)["left_out"] == {"journals": 2, "lines": 0}
    first, second = done.stderr.splitlines()
    assert first.startswith("left out: b.journal.jsonl, line 1: is not a journal")
    assert second.startswith("left out: c.journal.jsonl, line 1: has format 99")
    assert "left out: b.journal.jsonl" in cost().stderr


def test_a_journal_that_was_named_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "b.journal.jsonl"
    file.write_bytes(b"")
    done = cost(str(file))
    assert (done.exit_code, "is not a journal" in done.stderr) == (1, True)


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file, page = journal(tmp_path, "one.jsonl", replayed=False), tmp_path / "nope" / "page.html"
    done = CliRunner().invoke(root(), ["trace", str(file), "--html", str(page)])
    assert (done.exit_code, done.stderr) == (1, f"Error: {page}: cannot be written: No such file or directory; name another file\n")


def test_names_in_a_journal_from_anywhere_steer_no_terminal(tmp_path: Path) -> None:
    file = tmp_path / "n.journal.jsonl"
    write = EventFile(tmp_path, "1", lambda why: None, file)
    write(CellStarted(1, 0.0, "\x1b[2Jlua", "ma\x1b[2Jin", "ce\x1b]0;yours\x07ll\nnot ended", ""))
    write(CallStarted(1, 0.0, 1, "l\x1b[2Jlm", "ch\x1b[2Jat", ["h\x1b[2Ji"]))
    write(CallUsage(1, 0.0, 1, "a/\x1b[2Jb\nall", 10, 5, 0, 0.5))
    write(CallFinished(1, 0.0, 1, "ag\x1b[2Jain", 0.0))
    write(CellFinished(1, 0.0, "ok", 0.0))
    write.close()
    for arguments in (["cost", "--by", "cell", "--by", "model"], ["trace"]):
        done = CliRunner().invoke(root(), [*arguments, str(file)])
        assert done.exit_code == 0, done.output
        assert "a/b all" in done.stdout and "cell not ended" in done.stdout
        assert not [char for char in done.stdout if char != "\n" and not char.isprintable()]


def test_a_folder_without_journals_says_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no journal in .llmspell/journal of this folder; name the FILES" in cost().stdout
    empty = tmp_path / "one.jsonl"
    write = EventFile(tmp_path, "1", lambda why: None, empty)
    write(CellStarted(1, 0.0, "lua", "main", "cell[1]", ""))
    write.close()
    assert cost(str(empty)).stdout == "No model was used.\n"
