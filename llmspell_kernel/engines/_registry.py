"""Which engines there are: declarations read on the host, without importing any interpreter.

An engine that cannot be loaded is named in `failed`, one whose packages are missing has a `problem`; the others work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..installation import package_folder, plugins
from ._declaration import EngineDeclaration

if TYPE_CHECKING:
    from ._engine import Emit, Engine, StopFlag

GROUP = "llmspell.engines"


class EngineRegistry:
    """Engines by name, alias, file ending and MIME type.  A second engine for one of them is refused.

    `failed` says of each entry point that gave no engine why; who looks for an engine under that name is told.
    """

    def __init__(self) -> None:
        self._engines: dict[str, EngineDeclaration] = {}
        self._owners: dict[str, EngineDeclaration] = {}
        """By everything that only one engine may have."""
        self._sound: set[str] = set()
        self.failed: dict[str, str] = {}

    def register(self, declaration: EngineDeclaration) -> None:
        """Adds an engine.  Raises ConfigError for one that is malformed, or claims what another one has."""
        declaration.check()
        claims = [*declaration.names, *declaration.file_endings, *map(_bare, declaration.mime_types)]
        for claim in claims:
            if claim in self._owners:
                raise ConfigError(f"'{claim}' of {declaration.interpreter} is taken by {self._owners[claim].interpreter}")
        self._engines[declaration.name] = declaration
        self._owners |= dict.fromkeys(claims, declaration)

    def __iter__(self) -> Iterator[EngineDeclaration]:
        return iter(self._engines.values())

    def get(self, name: str) -> EngineDeclaration:
        """The engine of that name or alias; ConfigError says the nearest and lists the known ones."""
        found = self._owners.get(name)
        if found is None or name not in found.names:
            raise self.unknown(name)
        return found

    def for_file(self, name: str) -> EngineDeclaration:
        """The engine for a file's ending; ConfigError lists the known endings."""
        endings = [ending for engine in self for ending in engine.file_endings]
        fitting = [ending for ending in endings if name.lower().endswith(ending)]
        if not fitting:
            raise ConfigError(f"no engine runs '{name}': its ending is none of {', '.join(endings)}; name the engine with --engine")
        return self._owners[max(fitting, key=len)]

    def for_mime(self, mime: str) -> EngineDeclaration:
        """The engine for a MIME type, with or without parameters; ConfigError lists the known ones."""
        known = [_bare(own) for engine in self for own in engine.mime_types]
        if _bare(mime) not in known:
            raise ConfigError(f"no engine runs '{mime}'; known: {', '.join(known)}")
        return self._owners[_bare(mime)]

    def create(self, name: str, stop: StopFlag, emit: Emit) -> Engine:
        """The engine itself, in this process: for a worker or a test, as its library is imported.  ConfigError for an unknown name."""
        engine: Engine = import_module(self.get(name).interpreter).create_engine(stop, emit)
        return engine

    def problem(self, name: str) -> str:
        """Why no state of this engine can be opened here, with the mend where it is known; "" where nothing stands in the way."""
        declaration = self.get(name)
        return _own_problem(declaration) or missing_packages(declaration)

    def check(self, name: str) -> None:
        """Raises ConfigError where the engine has a problem.  Once it had none, it is not looked for again."""
        engine = self.get(name).name
        if engine in self._sound:
            return
        if problem := self.problem(engine):
            raise ConfigError(problem)
        self._sound.add(engine)

    def titles(self) -> Mapping[str, str]:
        """What people call the engines, by name."""
        return {engine.name: engine.title for engine in self}

    def unknown(self, name: str, *, besides: Sequence[str] = ()) -> ConfigError:
        """The error for a name that is neither an engine's nor one of `besides`."""
        if name in self.failed:
            return ConfigError(f"the engine '{name}' does not load: {self.failed[name]}")
        names = [*besides, *(known for engine in self for known in engine.names)]
        close = get_close_matches(name.lower(), names, n=1)
        hint = f"; did you mean '{close[0]}'? Known: " if close else "; known: "
        known = sorted([*besides, *(" or ".join(engine.names) for engine in self)])
        return ConfigError(f"there is no engine '{name}'{hint}{', '.join(known)}")


def missing_packages(declaration: EngineDeclaration) -> str:
    """Which of the packages that its interpreter imports are not installed, and the command that mends it; "" where all are there."""
    home = declaration.interpreter.partition(".")[0]
    needed = {**declaration.needed, home: declaration.needed.get(home, home)}
    lacking = dict.fromkeys(distribution for module, distribution in needed.items() if package_folder(module) is None)
    if not lacking:
        return ""
    names = ", ".join(f"'{name}'" for name in lacking)
    return f"{declaration.title} cannot run without {names}, not installed here. Mend it with: pip install {' '.join(lacking)}"


def discover() -> EngineRegistry:
    """Our own engines (every folder here), then those of other packages (entry points `llmspell.engines`)."""
    registry = built_in()
    for point in sorted(plugins(GROUP), key=lambda point: (point.name, point.value)):
        if point.value.startswith(f"{__package__}."):
            continue
        try:
            registry.register(_load(point))
        except Exception as error:  # a stranger's module may raise anything while it is imported
            registry.failed[point.name] = f"{_source(point)}: {type(error).__name__}: {error}"
    return registry


def built_in() -> EngineRegistry:
    """The engines that come with the package, and no others."""
    registry = EngineRegistry()
    for folder in sorted(Path(__file__).parent.iterdir()):
        if (folder / "interpreter.py").is_file():
            registry.register(import_module(f".{folder.name}", __package__).declaration)
    return registry


def _load(point: EntryPoint) -> EngineDeclaration:
    found = point.load()
    if not isinstance(found, EngineDeclaration):
        raise ConfigError(f"{point.value} is not an llmspell_kernel.engines.EngineDeclaration")
    return found


def _source(point: EntryPoint) -> str:
    return point.value + (f" (from {point.dist.name} {point.dist.version})" if point.dist else "")


def _own_problem(declaration: EngineDeclaration) -> str:
    if not declaration.problem:
        return ""
    module, _, function = declaration.problem.partition(":")
    try:
        return getattr(import_module(module), function)() or ""
    except Exception as error:  # likewise a stranger's
        return f"the check of {declaration.title} ({declaration.problem}) failed: {type(error).__name__}: {error}"


def _bare(mime: str) -> str:
    return mime.partition(";")[0].strip().lower()
