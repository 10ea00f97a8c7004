"""Finds bridges: the modules of this folder, and classes that installed packages name in the entry point group `llmspell.bridges`.

A built-in bridge is imported at its first use; all others at once, as only their declarations tell what they offer.  A bridge that cannot be
imported or declared is named in `failed`, and the others work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import EntryPoint
from pkgutil import iter_modules
from types import ModuleType
from typing import NamedTuple

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.installation import plugins

from ._bridge import Bridge
from ._declaration import BridgeDeclaration, MethodDeclaration, ResourceDeclaration, declare
from ._outlines import Outline, built_in_outlines, outline_of

GROUP = "llmspell.bridges"
_BUILT_IN = __name__.rpartition(".")[0]


class Known:
    """A bridge that is there.  Its class and declaration may be read at their first use only, which may raise anything."""

    def __init__(self, name: str, source: str, outline: Outline, load: Callable[[], type[Bridge]]) -> None:
        self.name = name
        self.source = source
        """Where it comes from, in words for its user."""
        self.outline = outline
        self.fault = ""
        """Why it could not be read."""
        self._load = load

    @classmethod
    def of(cls, kind: type[Bridge], source: str = "") -> Known:
        """A class that is loaded already.  Raises InternalError where it cannot be a bridge."""
        return cls(kind.name, source or kind.__module__, outline_of(declare(kind)), lambda: kind)

    @cached_property
    def kind(self) -> type[Bridge]:
        return self._load()

    @cached_property
    def declaration(self) -> BridgeDeclaration:
        return declare(self.kind)


class Declarations(Mapping[str, BridgeDeclaration]):
    """Declarations by the names of bridges: names are known at once, and reading a declaration imports its bridge.

    One that cannot be imported has none, and `failed` says why.  It is not tried again: what was decided of a call without its declaration,
    such as its level, must not hold for a call that is then made.
    """

    def __init__(self, bridges: Mapping[str, Known], failed: dict[str, str]) -> None:
        self._bridges = bridges
        self._failed = failed

    def __getitem__(self, name: str) -> BridgeDeclaration:
        known = self._bridges[name]
        if known.fault:
            raise KeyError(f"{name}: {known.fault}")
        try:
            return known.declaration
        except Exception as error:  # whatever a broken installation makes of an import
            known.fault = self._failed[name] = _reason(known.source, error)
            raise KeyError(f"{name}: {known.fault}") from error

    def __contains__(self, name: object) -> bool:
        return name in self._bridges

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._bridges))

    def __len__(self) -> int:
        return len(self._bridges)

    def of_resource(self, kind: str) -> ResourceDeclaration | None:
        """Of a kind of thing that the host keeps, whose name begins with that of its bridge."""
        declaration = self.get(kind.partition(".")[0])
        return None if declaration is None else declaration.resources.get(kind)

    def method(self, owner: str, name: str, *, of_resource: bool) -> MethodDeclaration | None:
        """Also one that other bridges alone may ask; None where nobody declared it."""
        if of_resource:
            kind = self.of_resource(owner)
            return None if kind is None else kind.methods.get(name)
        declaration = self.get(owner)
        return None if declaration is None else declaration.methods.get(name) or declaration.inner.get(name)


class Registry(NamedTuple):
    """`bridges` by the name scripts use; `failed` says why a module or entry point gave none."""

    bridges: Mapping[str, Known]
    failed: Mapping[str, str]


def discover() -> Registry:
    """Every installed bridge.  Raises ConfigError when two of them have one name: which of them scripts meant, nobody can know."""
    bridges: dict[str, Known] = {}
    failed: dict[str, str] = {}
    for source, entry in [*_built_in(), *_installed()]:
        try:
            known = _known(source, entry)
        except Exception as error:  # a stranger's module may raise anything while it is imported
            failed[entry.name] = _reason(source, error)
            continue
        other = bridges.setdefault(known.name, known)
        if other is not known and other.kind is not known.kind:
            raise ConfigError(f"two bridges are called '{known.name}': {other.source} and {source}; uninstall one of them")
    return Registry(bridges, failed)


def built_in() -> dict[str, type[Bridge]]:
    """The bridges that come with the package, and no others; all of them are imported."""
    return {bridge.name: bridge for bridge in (_load(entry) for _, entry in _built_in())}


def _built_in() -> Iterator[tuple[str, EntryPoint]]:
    """This folder's modules, found also where the package runs from a source tree and so has no entry points."""
    for module in iter_modules(import_module(_BUILT_IN).__path__):
        if not module.name.startswith("_"):
            yield f"{_BUILT_IN}.{module.name}", EntryPoint(module.name, f"{_BUILT_IN}.{module.name}", GROUP)


def _installed() -> Iterator[tuple[str, EntryPoint]]:
    for entry in plugins(GROUP):
        if not entry.value.startswith(f"{_BUILT_IN}."):
            distribution = f" (from {entry.dist.name} {entry.dist.version})" if entry.dist else ""
            yield entry.value + distribution, entry


def _known(source: str, entry: EntryPoint) -> Known:
    """A module of this folder that has no outline yet is read at once, so that a new bridge works before its outline is made."""
    if source.startswith(f"{_BUILT_IN}.") and (outline := built_in_outlines().get(entry.name)) is not None:
        return Known(entry.name, source, outline, partial(_load, entry))
    return Known.of(_load(entry), source)


def _load(entry: EntryPoint) -> type[Bridge]:
    found = entry.load()
    bridge = _only_bridge_of(found) if isinstance(found, ModuleType) else found
    if not (isinstance(bridge, type) and issubclass(bridge, Bridge)):
        raise ConfigError(f"{entry.value} is not a subclass of llmspell_kernel.Bridge")
    declare(bridge)
    return bridge


def _only_bridge_of(module: ModuleType) -> type[Bridge]:
    name = module.__name__
    classes = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Bridge) and value.__module__ == name
    ]
    if len(classes) != 1:
        raise ConfigError(f"{name} must hold one subclass of llmspell_kernel.Bridge, but holds {len(classes)}")
    return classes[0]


def _reason(source: str, error: Exception) -> str:
    return f"{source}: {type(error).__name__}: {error}"
