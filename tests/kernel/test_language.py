"""Completion and help for script code, which read the declaration of one bridge alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from llmspell_kernel.bridges._declaration import BridgeDeclaration
from llmspell_kernel.bridges._registry import Declarations, discover
from llmspell_kernel.engines import lua
from llmspell_kernel.kernel.language import complete, describe, token_before


class Watched(Mapping[str, BridgeDeclaration]):
    """Notes whose declarations are read."""

    def __init__(self) -> None:
        self.declarations = Declarations(discover().bridges, {})
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> BridgeDeclaration:
        found = self.declarations[name]
        self.read.add(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.declarations

    def __iter__(self) -> Iterator[str]:
        return iter(self.declarations)

    def __len__(self) -> int:
        return len(self.declarations)


@pytest.mark.parametrize(
    ("code", "names", "read"),
    [
        ("ti", ["timer"], set()),
        ("timer.sl", ["sleep"], {"timer"}),
        ("llm.stream.ne", ["next"], {"llm"}),
        ("nobody.sl", [], set()),
    ],
)
def test_a_completion_reads_the_bridge_that_it_is_about(code: str, names: list[str], read: set[str]) -> None:
    declarations = Watched()
    assert complete(token_before(code, len(code)), [], declarations, lua.declaration) == names
    assert declarations.read == read


@pytest.mark.parametrize(
    ("name", "says", "read"),
    [
        ("timer", "timer, version 1: ", {"timer"}),
        ("timer.sleep", "timer.sleep(seconds: number", {"timer"}),
        ("nobody.sleep", "nobody.sleep: function", set()),
    ],
)
def test_help_reads_the_bridge_that_it_is_about(name: str, says: str, read: set[str]) -> None:
    declarations = Watched()
    assert (describe(name, [("sleep", "function")], declarations, lua.declaration) or "").startswith(says)
    assert declarations.read == read
