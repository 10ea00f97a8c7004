"""Which engines there are: declarations read on the host, without importing any interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, nearest
from ..installation import plugins


class EngineDeclaration(NamedTuple):
    """`interpreter` is the module, imported only in a worker, that offers `create_engine(stop, emit)`."""

    name: str
    aliases: Sequence[str]
    file_endings: Sequence[str]
    mime: str
    interpreter: str
    null: str = "null"
    """The language's word for nothing, as results show it."""


class EngineRegistry:
    """Engines by name, alias and file ending.  A second engine of one name is refused."""

    def __init__(self) -> None:
        self._engines: dict[str, EngineDeclaration] = {}

    def register(self, declaration: EngineDeclaration) -> None:
        for name in (declaration.name, *declaration.aliases):
            taken = self._find(name)
            if taken is not None:
                raise ConfigError(f"the engine name '{name}' of {declaration.interpreter} is taken by {taken.interpreter}")
        self._engines[declaration.name] = declaration

    def __iter__(self) -> Any:
        return iter(self._engines.values())

    def get(self, name: str) -> EngineDeclaration:
        """The engine of that name or alias; ConfigError lists the known ones."""
        found = self._find(name)
        if found is None:
            raise ConfigError(f"there is no engine '{name}'{nearest(name, sorted(self._engines))}")
        return found

    def for_file(self, name: str) -> EngineDeclaration:
        """The engine for a file's ending; ConfigError lists the known endings."""
        for engine in self._engines.values():
            if any(name.lower().endswith(ending) for ending in engine.file_endings):
                return engine
        endings = ", ".join(ending for engine in self._engines.values() for ending in engine.file_endings)
        raise ConfigError(f"no engine runs '{name}': its ending is none of {endings}; name the engine with --engine")

    def interpreters(self) -> Mapping[str, str]:
        return {engine.name: engine.interpreter for engine in self._engines.values()}

    def _find(self, name: str) -> EngineDeclaration | None:
        for engine in self._engines.values():
            if name == engine.name or name in engine.aliases:
                return engine
        return None


def read_declaration(raw: Mapping[str, Any]) -> EngineDeclaration:
    try:
        return EngineDeclaration(**raw)
    except TypeError as error:
        raise ConfigError(f"an engine's declaration is malformed: {error}") from None


def discover() -> EngineRegistry:
    """Our own engines (every folder here), then those of other packages (entry points `llmspell.engines`)."""
    registry = EngineRegistry()
    for folder in sorted(Path(__file__).parent.iterdir()):
        if (folder / "interpreter.py").is_file():
            registry.register(read_declaration(import_module(f".{folder.name}", __package__).declaration))
    for point in plugins("llmspell.engines"):
        if not point.value.startswith(f"{__package__}."):
            registry.register(read_declaration(point.load()))
    return registry
