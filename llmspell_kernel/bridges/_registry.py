"""Finds bridges: the modules of this folder, and classes that installed packages name in the entry point group `llmspell.bridges`.

A bridge that cannot be imported or declared is named in `failed`, and the others work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint
from pkgutil import iter_modules
from types import ModuleType

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.installation import plugins

from ._bridge import Bridge
from ._declaration import declare

GROUP = "llmspell.bridges"
_BUILT_IN = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Registry:
    """`bridges` by the name scripts use; `failed` says why a module or entry point gave none."""

    bridges: Mapping[str, type[Bridge]]
    failed: Mapping[str, str]


def discover() -> Registry:
    """Every installed bridge.  Raises ConfigError when two of them have one name: which of them scripts meant, nobody can know."""
    bridges: dict[str, type[Bridge]] = {}
    sources: dict[str, str] = {}
    failed: dict[str, str] = {}
    for source, entry in [*_built_in(), *_installed()]:
        try:
            bridge = _load(entry)
        except Exception as error:  # a stranger's module may raise anything while it is imported
            failed[entry.name] = f"{source}: {type(error).__name__}: {error}"
            continue
        other = bridges.setdefault(bridge.name, bridge)
        if other is not bridge:
            raise ConfigError(f"two bridges are called '{bridge.name}': {sources[bridge.name]} and {source}; uninstall one of them")
        sources.setdefault(bridge.name, source)
    return Registry(bridges, failed)


def built_in() -> dict[str, type[Bridge]]:
    """The bridges that come with the package, and no others."""
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
