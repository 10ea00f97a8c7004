"""`llmspell tools`: the built-in tools, and what tools came to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmspell_kernel.cli._folder import root
from llmspell_kernel.session import Session


def test_built_in_tools_are_listed_with_their_level_and_as_json() -> None:
    shown = CliRunner().invoke(root(), ["tools"])
    assert shown.exit_code == 0 and "run_script" in shown.output and "read" in shown.output
    specs = {spec["name"]: spec for spec in json.loads(CliRunner().invoke(root(), ["tools", "--json"]).output)}
    assert specs["run_script"]["parameters"]["required"] == ["language", "code"]


def test_the_figures_of_a_folders_journals_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "There is no journal" in CliRunner().invoke(root(), ["tools", "--stats"]).output

    async def play() -> None:
        async with Session(folder=tmp_path) as session:
            session.keep_journal()
            cell = "tools.register('add', '', {n = 'integer'}, function(a) return a.n end) tools.call('add', {n = 1}) pcall(tools.call, 'add', {})"
            assert (await session.run(cell)).error is None

    asyncio.run(play())
    shown = CliRunner().invoke(root(), ["tools", "--stats"])
    (line,) = (line for line in shown.output.splitlines() if line.startswith("add"))
    assert line.split()[:3] == ["add", "2", "1"]
    (row,) = json.loads(CliRunner().invoke(root(), ["tools", "--stats", "--json"]).output)
    assert (row["calls"], row["failures"]) == (2, {"invalid_arguments": 1})


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("nonsense", encoding="utf-8")
    assert CliRunner().invoke(root(), ["tools", "--stats", str(tmp_path / "x.jsonl")]).exit_code != 0
