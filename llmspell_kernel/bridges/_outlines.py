"""What a session must know of a bridge before anybody uses it: the bridges it needs, and its part of the worker's catalogue.

Those of the built-in bridges are in outlines.json, so that no session imports a bridge before its first use: to import and declare them all
takes as long as the rest of a session's start.  The file is made from their declarations; a test fails where it is old:

    python -m llmspell_kernel.bridges._outlines
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ._declaration import BridgeDeclaration

FILE = Path(__file__).with_name("outlines.json")
Catalogue = Mapping[str, Mapping[str, Any]]
"""As `_catalogue.worker_catalogue` makes it."""
PARTS = ("bridges", "aliases", "several", "loops", "resources")


class Outline(msgspec.Struct, frozen=True):
    needs: tuple[str, ...]
    catalogue: dict[str, dict[str, Any]]


@cache
def built_in_outlines() -> Mapping[str, Outline]:
    """By the name of the bridge, which is that of its module."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Outline])


def outline_of(declaration: BridgeDeclaration) -> Outline:
    from ._catalogue import worker_catalogue  # with all that help and reference pages are made of

    return Outline(declaration.needs, worker_catalogue([declaration]))


def whole_catalogue(outlines: Iterable[Outline]) -> dict[str, Any]:
    """What a worker is told: names of bridges and of kinds of resources are unique, so the parts of each bridge stand side by side."""
    known = list(outlines)
    return {part: {name: about for outline in known for name, about in outline.catalogue[part].items()} for part in PARTS}


def written() -> bytes:
    """The file as it should be."""
    from ._declaration import declare
    from ._registry import built_in

    outlines = {name: outline_of(declare(bridge)) for name, bridge in built_in().items()}
    return msgspec.json.format(msgspec.json.encode(outlines, order="sorted"), indent=1) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(written())
