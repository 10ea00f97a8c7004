"""The tables of a settings file that are policy, each a class whose fields are its keys.

A module of a table says in TIGHTER what a file that is not the user's own may change: a number to a lower one ("lower"), patterns to ones
that the user's cover ("covered"; "hosts" and "paths" for patterns of hosts and of files), or by adding to a list that forbids ("adds").
What TIGHTER does not name is the user's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar, get_type_hints

from ..errors import ConfigError, nearest
from ..settings import Settings
from . import budgets, files, limits, network, observe, workers
from .budgets import Budgets
from .files import FilePolicy
from .network import NetworkPolicy
from .observe import ObservePolicy
from .presets import PRESETS
from .workers import WorkerPolicy

T = TypeVar("T", NetworkPolicy, FilePolicy, Budgets, WorkerPolicy, ObservePolicy)


class Table(NamedTuple):
    kind: Any
    """The NamedTuple."""
    tighter: Mapping[str, str]

    @property
    def types(self) -> Mapping[str, Any]:
        """By field, the annotation that values are checked against."""
        return get_type_hints(self.kind, include_extras=True)


TABLES: Mapping[str, Table] = {
    "limits": Table(limits.Limits, dict.fromkeys(limits.Limits._fields, "lower")),
    "network": Table(NetworkPolicy, network.TIGHTER),
    "files": Table(FilePolicy, files.TIGHTER),
    "budgets": Table(Budgets, budgets.TIGHTER),
    "workers": Table(WorkerPolicy, workers.TIGHTER),
    "observe": Table(ObservePolicy, observe.TIGHTER),
}


def values_of(settings: Settings, name: str) -> Any:
    """What holds of a table: its defaults, changed by the preset, changed by the settings.  Raises ConfigError for a key there is not."""
    if name == "limits":
        return limits.limits_of(settings.preset, settings.limits)
    preset, changes, kind = PRESETS[settings.preset].tables.get(name, {}), getattr(settings, name), TABLES[name].kind
    for key in changes:
        if key not in kind._fields:
            raise ConfigError(f"there is no '{key}'{nearest(key, kind._fields)}", key=f"{name}.{key}")
    return kind(**{**preset, **changes})


def table_of(settings: Settings, kind: type[T]) -> T:
    """`table_of(settings, NetworkPolicy)`: what holds of the table that this class is."""
    name = next(name for name, table in TABLES.items() if table.kind is kind)
    found: T = values_of(settings, name)
    return found
