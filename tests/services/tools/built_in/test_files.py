"""The tools `file_read`, `file_write` and `file_list`: through the bridge `storage` of a session."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.errors import DeniedError, ScriptError, SpellError

from .using import Answers, session_with_tools, use, use_in


def test_what_was_written_is_listed_and_read_and_added_to(tmp_path: Path) -> None:
    async def play() -> None:
        async with session_with_tools(tmp_path) as session:
            assert await use_in(session, "file_write", path="notes/today.txt", text="héllo") == {"path": "notes/today.txt", "chars": 5}
            await use_in(session, "file_write", path="notes/today.txt", text="!", append=True)
            assert await use_in(session, "file_read", path="notes/today.txt") == {
                "path": "notes/today.txt",
                "text": "héllo!",
                "truncated": False,
            }
            assert await use_in(session, "file_read", path="notes/today.txt", max_chars=2) == {
                "path": "notes/today.txt",
                "text": "hé",
                "truncated": True,
            }
            found = await use_in(session, "file_list", folder="notes")
            assert [(entry["name"], entry["kind"], entry["size_bytes"]) for entry in found["entries"]] == [("today.txt", "file", 7)]

    asyncio.run(play())


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/passwd", "a/../../outside.txt", "link"])
def test_a_file_outside_the_scripts_folder_is_neither_read_nor_written(path: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")

    async def play() -> None:
        folder = tmp_path / "project"
        folder.mkdir()
        async with session_with_tools(folder) as session:
            await use_in(session, "file_write", path="inside.txt", text="x")
            (jail,) = {file.parent for file in folder.rglob("inside.txt")}
            (jail / "link").symlink_to(outside)
            for name, args in (("file_read", {}), ("file_write", {"text": "theirs"}), ("csv_read", {})):
                with pytest.raises(SpellError):
                    await use_in(session, name, path=path, **args)
        assert outside.read_text() == "mine"

    asyncio.run(play())


def test_a_denied_bridge_is_denied_to_the_tool(tmp_path: Path) -> None:
    async def play() -> None:
        async with session_with_tools(tmp_path, deny=("storage.write",)) as session:
            with pytest.raises(DeniedError):
                await use_in(session, "file_write", path="a", text="x")
            assert (await use_in(session, "file_list"))["entries"] == []

    asyncio.run(play())


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ScriptError) as caught:
        use("file_read", Answers(storage_read=lambda path: b"\xff"), path="x")
    assert caught.value.code == "not_text"


def test_of_a_crowded_folder_the_first_thousand_are_listed() -> None:
    entries = [{"name": f"{at}", "kind": "file", "size_bytes": 0, "modified_s": 0.0} for at in range(1_001)]
    found = use("file_list", Answers(storage_list=lambda folder: entries))
    assert len(found["entries"]) == 1_000 and found["truncated"]
