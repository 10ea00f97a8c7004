"""The bridge `modules`, and the library behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.bridges.modules import Modules
from llmspell_kernel.errors import ConfigError, ScriptError
from llmspell_kernel.services.modules import ModuleLibrary
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext


def asked(session: FakeBridgeSession, method: str, *args: Any) -> Any:
    async def ask() -> Any:
        bridge = Modules()
        await bridge.open(session)
        return await getattr(bridge, method)(FakeContext(), *args)

    return asyncio.run(ask())


@pytest.fixture
def session() -> FakeBridgeSession:
    made = FakeBridgeSession()
    made.modules.add("text/words", "return {}", "lua")
    made.modules.add("text/words", "exports.a = 1", "javascript")
    made.modules.add("plain", "return 1", "lua")
    return made


def test_a_module_is_found_by_name_and_language(session: FakeBridgeSession) -> None:
    assert asked(session, "source", "text/words", "javascript") == "exports.a = 1"
    assert asked(session, "list")[0] == {"name": "plain", "language": "lua"}
    assert len(asked(session, "list")) == 3


@pytest.mark.parametrize(
    ("name", "language", "code", "words"),
    [
        ("text/word", "lua", "unknown_module", "did you mean 'text/words'?"),
        ("zzz", "lua", "unknown_module", "known: plain, text/words"),
        ("plain", "javascript", "module_language", "is written in lua, not in javascript"),
        ("../../etc/passwd", "lua", "unknown_module", "there is no module '../../etc/passwd'"),
    ],
)
def test_a_module_that_is_not_there_has_an_error_of_its_own(
    session: FakeBridgeSession, name: str, language: str, code: str, words: str
) -> None:
    with pytest.raises(ScriptError, match=words) as caught:
        asked(session, "source", name, language)
    assert caught.value.code == code


def test_where_no_module_is_registered_the_error_says_how_to_add_one() -> None:
    with pytest.raises(ScriptError, match="no module is registered: add one by"):
        asked(FakeBridgeSession(), "source", "a", "lua")


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a\n", "../a", "a/../b", "/etc", "a" * 101, "ä", "a]"])
def test_a_name_that_is_no_modules_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a module"):
        ModuleLibrary(1000).add(name, "", "lua")


def test_a_module_that_could_not_cross_as_one_value_is_refused() -> None:
    library = ModuleLibrary(1000)
    library.add("fits", '"' * 500, "lua")
    with pytest.raises(ConfigError, match="has 501 bytes, the limit is 500"):
        library.add("large", "x" * 501, "lua")
    with pytest.raises(ConfigError, match="lone surrogate"):
        library.add("odd", "\ud800", "lua")


def test_a_module_can_be_replaced_and_removed() -> None:
    library = ModuleLibrary(1000)
    library.add("a", "1", "lua")
    library.add("a", "2", "lua")
    assert library.source("a", "lua") == "2"
    library.remove("a", "lua")
    assert list(library) == []
    with pytest.raises(ConfigError, match="there is no lua module 'a'"):
        library.remove("a", "lua")
