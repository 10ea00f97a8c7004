"""`tools.load`: files of the notebook's folder `tools` as modules, and no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import DeniedError, SpellError
from llmspell_kernel.policy.decide import Grants

from ..session.world import ENGINES
from .test_tools import World, play, register

every_engine = pytest.mark.parametrize("engine", ENGINES)
ENDING = {"lua": ".lua", "javascript": ".js"}
LOAD = {
    "lua": 'require(tools.load("more")); return tools.call("one")',
    "javascript": 'await require(await tools.load("more")); await tools.call("one")',
}


def write(folder: Path, engine: str, body: str = "return 1") -> Path:
    (folder / "tools").mkdir(exist_ok=True)
    file = folder / "tools" / f"more{ENDING[engine]}"
    file.write_text(register(engine, "one", body), encoding="utf-8")
    return file


@every_engine
def test_a_file_of_tools_registers_them_in_the_state_that_loads_it(engine: str, tmp_path: Path) -> None:
    write(tmp_path, engine)

    async def use(at: World) -> None:
        assert await at.run(engine, LOAD) == 1

    play(tmp_path, use)


@every_engine
def test_a_replay_and_a_state_that_comes_back_need_no_file(engine: str, tmp_path: Path) -> None:
    file = write(tmp_path, engine)

    async def record(at: World) -> None:
        at.session.tape("record", tmp_path / "a.jsonl")
        assert await at.run(engine, LOAD, chunk="cell[1]") == 1
        file.unlink()
        await at.kill(engine)
        again: Any = {"lua": 'tools.call("one")', "javascript": 'await tools.call("one")'}
        assert await at.run(engine, again, chunk="cell[2]") == 1

    async def replay(at: World) -> None:
        at.session.tape("replay", tmp_path / "a.jsonl")
        assert await at.run(engine, LOAD) == 1

    play(tmp_path, record)
    play(tmp_path, replay)


@every_engine
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("more", "not_found"),
        ("../more", "tool_name"),
        ("/etc/passwd", "tool_name"),
        ("a/b", "tool_name"),
        ("", "tool_name"),
        ("...", "tool_name"),
    ],
)
def test_no_other_file_is_read(engine: str, name: str, code: str, tmp_path: Path) -> None:
    (tmp_path / f"more{ENDING[engine]}").write_text("1", encoding="utf-8")

    async def use(at: World) -> None:
        with pytest.raises(SpellError) as told:
            await at.run(engine, {"lua": f'tools.load("{name}")', "javascript": f'await tools.load("{name}")'})
        assert told.value.code == code

    play(tmp_path, use)


@every_engine
def test_a_link_out_of_the_folder_is_not_followed_and_a_policy_denies_loading(engine: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(register(engine, "one", "return 1"), encoding="utf-8")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / f"more{ENDING[engine]}").symlink_to(tmp_path / "secret")

    async def use(at: World) -> None:
        with pytest.raises(SpellError):
            await at.run(engine, LOAD)

    async def denied(at: World) -> None:
        with pytest.raises(DeniedError):
            await at.run(engine, LOAD)

    play(tmp_path, use)
    play(tmp_path, denied, grants=Grants(deny=("tools.load",)))
