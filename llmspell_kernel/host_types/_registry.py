"""Which type a class is of: the families of this folder, what `register_type` adds, and what packages name in `llmspell.types`.

Registrations are the process's, as those of `copyreg` are: a class has one meaning.  A later registration of a class replaces the earlier one,
so that a notebook's cell may be run again; two packages that name one class are an error that names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from weakref import WeakKeyDictionary

from ..errors import ConfigError
from ..installation import plugins
from ..values import Value
from ._record import HostType

GROUP = "llmspell.types"


class HostTypes:
    """Looks classes up; the nearest parent that is known decides."""

    def __init__(self, known: Callable[[], Iterable[HostType]]) -> None:
        self._known = known
        self._registered: WeakKeyDictionary[type, HostType] = WeakKeyDictionary()
        self._found: WeakKeyDictionary[type, HostType | None] = WeakKeyDictionary()

    def register(self, cls: type, record: HostType) -> None:
        self._registered[cls] = record
        self._found.clear()

    def of(self, cls: type) -> HostType | None:
        """The type of a class, None for one that is not known."""
        try:
            return self._found[cls]
        except KeyError:
            found = self._found[cls] = self._search(cls)
            return found

    def all(self) -> Iterator[HostType]:
        yield from self._known()
        yield from self._registered.values()

    def _search(self, cls: type) -> HostType | None:
        named = {loaded: record for record in self._known() for loaded in record.loaded()}
        claiming = [record for record in self._known() if record.claims is not None]
        for parent in cls.__mro__:
            found = self._registered.get(parent) or named.get(parent)
            found = found or next((record for record in claiming if record.claims is not None and record.claims(parent)), None)
            if found is not None:
                return found
        return None


@cache
def _built_in() -> tuple[HostType, ...]:
    package = __name__.rpartition(".")[0]
    modules = [
        import_module(f"{package}.{module.name}") for module in iter_modules(import_module(package).__path__) if module.name[0] != "_"
    ]
    return tuple(record for module in modules for record in module.TYPES)


failed: dict[str, str] = {}
"""By entry point: why it gave no type.  The others work."""


@cache
def _installed() -> tuple[HostType, ...]:
    """Raises ConfigError where two packages name one class."""
    sources: dict[str, str] = {}
    records: list[HostType] = []
    for entry in plugins(GROUP):
        try:
            found = entry.load()
            given = (found,) if isinstance(found, HostType) else tuple(found)
            if not all(isinstance(record, HostType) for record in given):
                raise ConfigError(f"{entry.value} is not a llmspell_kernel.HostType or a sequence of them")
        except Exception as error:  # a stranger's module may raise anything while it is imported
            failed[entry.name] = f"{entry.value}: {type(error).__name__}: {error}"
            continue
        for place in (place for record in given for place in record.classes):
            if sources.setdefault(place, entry.value) != entry.value:
                raise ConfigError(f"the type {place} is registered by {sources[place]} and by {entry.value}; uninstall one of them")
        records += given
    return tuple(records)


def _everything() -> tuple[HostType, ...]:
    return (*_built_in(), *_installed())


types = HostTypes(_everything)


def built_in() -> tuple[HostType, ...]:
    """The types that come with the package."""
    return _built_in()


def register_type(cls: type, *, to_plain: Callable[[Any], Value], from_plain: Callable[[Value], Any] | None = None) -> None:
    """Makes a class of your own cross to scripts and, with `from_plain`, back where an annotation or `--out name:Class` asks for it.

    `to_plain(instance)` gives plain data, or values of other known types; `from_plain(data)` an instance, and raises ValueError for data that
    makes none.  Subclasses cross likewise.  A second registration of the class replaces the first.
    """
    if not isinstance(cls, type):
        raise ConfigError(f"register_type takes a class, not {cls!r}")
    make = None if from_plain is None else (lambda value, _cls: from_plain(value))
    types.register(cls, HostType(cls.__name__, (), to_plain, make))
