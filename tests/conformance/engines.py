"""The engines that the cases are run on: every one that is installed, and one of a third party.

The third party's language is Lua in another spelling, so it is given Lua's cases in that spelling, and held to what they expect of Lua.
"""

from __future__ import annotations

import sys
from codecs import encode
from importlib import import_module
from pathlib import Path

from llmspell_kernel.engines import EngineRegistry, discover

THIRD_PARTY = Path(__file__).parents[1] / "thirdparty" / "rot13_engine"
CASES_OF = {"rot13": "lua"}
"""An engine -> the one whose cases it takes."""


def spelled(code: str, engine: str) -> str:
    """A case's code as `engine` writes it."""
    return encode(code, "rot13") if engine == "rot13" else code


def _registry() -> EngineRegistry:
    registry = discover()
    if str(THIRD_PARTY) not in sys.path:
        sys.path.append(str(THIRD_PARTY))  # as if it were installed: a worker gets the folder in which the host finds a package
    if "rot13" not in {engine.name for engine in registry}:
        registry.register(import_module("llmspell_rot13").declaration)
    return registry


REGISTRY = _registry()
ENGINES = [engine.name for engine in REGISTRY]
