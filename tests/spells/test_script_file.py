"""Reading what `llmspell run` was given: parameters and the script's file."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.engines._registry import EngineDeclaration, EngineRegistry
from llmspell_kernel.errors import ConfigError, LoadError
from llmspell_kernel.spells.script_file import MAX_SCRIPT_BYTES, load, load_from, parameters


@pytest.fixture
def engines() -> EngineRegistry:
    registry = EngineRegistry()
    registry.register(EngineDeclaration("lua", "Lua", "nowhere.lua", file_endings=[".lua"]))
    registry.register(EngineDeclaration("javascript", "JavaScript", "nowhere.js", aliases=["js"], file_endings=[".js", ".mjs"]))
    return registry


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tea", "tea"),
        ("", ""),
        ("3", 3),
        ("3.5", 3.5),
        ("true", True),
        ("null", None),
        ("[1,2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("[1,", "[1,"),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('"quoted"', '"quoted"'),
        ("True", "True"),
        ("007", "007"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_parameter_is_json_if_it_parses_and_text_otherwise(text: str, value: Any) -> None:
    found = parameters([f"key={text}"])
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


def test_the_last_of_two_equal_parameters_wins() -> None:
    assert parameters(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize("pair", ["topic", "=tea", " =tea", ""])
def test_a_malformed_parameter_is_one_error_with_an_example(pair: str) -> None:
    with pytest.raises(ConfigError, match=r"-p needs KEY=VALUE.*for example: -p topic=tea"):
        parameters([pair])


def test_the_ending_names_the_engine_and_the_file_its_chunk(tmp_path: Path, engines: EngineRegistry) -> None:
    path = tmp_path / "spell.LUA"
    path.write_text("return 1", encoding="utf-8")
    assert load(path, None, engines) == ("return 1", "lua", "spell.LUA")


def test_a_file_s_name_that_is_no_text_has_a_chunk_that_is(tmp_path: Path, engines: EngineRegistry) -> None:
    (tmp_path / os.fsdecode(b"\xff.lua")).write_text("return 1")
    assert load(tmp_path / os.fsdecode(b"\xff.lua"), None, engines).chunk == r"\xff.lua"


def test_a_named_engine_overrides_the_ending(tmp_path: Path, engines: EngineRegistry) -> None:
    path = tmp_path / "spell.txt"
    path.write_bytes(b"\xef\xbb\xbf1 + 1")
    assert load(path, "js", engines) == ("1 + 1", "javascript", "spell.txt")


def test_an_unknown_ending_names_the_known_ones_and_the_way_out(tmp_path: Path, engines: EngineRegistry) -> None:
    with pytest.raises(ConfigError, match=r"spell\.py.*\.lua, \.js, \.mjs.*--engine"):
        load(tmp_path / "spell.py", None, engines)


def test_an_unknown_engine_suggests_the_nearest(tmp_path: Path, engines: EngineRegistry) -> None:
    with pytest.raises(ConfigError, match="did you mean 'javascript'"):
        load(tmp_path / "spell.lua", "javscript", engines)


def test_a_missing_file_is_one_error(tmp_path: Path, engines: EngineRegistry) -> None:
    with pytest.raises(LoadError, match=r"nowhere\.lua: cannot read the script: No such file"):
        load(tmp_path / "nowhere.lua", None, engines)


def test_a_folder_is_one_error(tmp_path: Path, engines: EngineRegistry) -> None:
    (tmp_path / "folder.lua").mkdir()
    with pytest.raises(LoadError, match="is a folder; name the file of a script"):
        load(tmp_path / "folder.lua", None, engines)


def test_a_file_that_is_not_utf8_names_byte_and_line(tmp_path: Path, engines: EngineRegistry) -> None:
    path = tmp_path / "latin.lua"
    path.write_bytes(b"local a = 1\nreturn 'caf\xe9'")
    with pytest.raises(LoadError, match=r"latin\.lua, line 2: is not UTF-8 text .byte 0xe9.") as caught:
        load(path, None, engines)
    assert (caught.value.file, caught.value.line, caught.value.code) == (str(path), 2, "load")


def test_a_huge_file_is_refused_before_it_is_read_whole(tmp_path: Path, engines: EngineRegistry) -> None:
    path = tmp_path / "weights.lua"
    with path.open("wb") as file:
        file.truncate(MAX_SCRIPT_BYTES + 1)
    with pytest.raises(LoadError, match="larger than 4 MiB"):
        load(path, None, engines)


def test_standard_input_needs_a_language(engines: EngineRegistry) -> None:
    assert load_from(BytesIO(b"return 1"), "js", engines) == ("return 1", "javascript", "stdin")
    assert load_from(BytesIO(b"return 1"), None, engines, "lua").engine == "lua"
    with pytest.raises(ConfigError, match="not known; name it as in --engine lua .one of lua, javascript."):
        load_from(BytesIO(b"return 1"), None, engines)


def test_the_settings_engine_is_for_files_whose_ending_says_nothing(tmp_path: Path, engines: EngineRegistry) -> None:
    for name in ("spell", "spell.js"):
        (tmp_path / name).write_text("1")
    assert load(tmp_path / "spell", None, engines, "lua").engine == "lua"
    assert load(tmp_path / "spell.js", None, engines, "lua").engine == "javascript"
