"""`--in` and `--out` of a script cell: Python's variables as the script's globals, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import isroutine
from typing import Any

from ..bridges._checking import converted
from ..errors import ConfigError, ScriptError, SpellError, ValueCrossingError, nearest
from ..host_types._crossing import written
from ..session import Session
from ..values import Value
from .cells import Wanted
from .targets import fitting, target

OF_IPYTHON = {"In", "Out", "get_ipython", "exit", "quit", "open", "llmspell"}
"""Names that nobody means who mistypes a variable's."""


def given(names: Sequence[str], namespace: Mapping[str, Any]) -> dict[str, Value]:
    """The variables that `--in` names, in plain data.  Raises ConfigError for one that is not there or cannot cross."""
    found = {}
    for name in names:
        if name not in namespace:
            known = [known for known in namespace if not known.startswith("_") and known not in OF_IPYTHON]
            raise ConfigError(f"--in {name}: there is no Python variable '{name}'{nearest(name, known)}")
        try:
            found[name] = written(namespace[name], name)[0]
        except ValueCrossingError as error:
            mend = "; @llmspell.expose makes a function callable from scripts" if isroutine(namespace[name]) else ""
            raise ConfigError(f"--in {name}: {error.message}{mend}") from None
    return found


def targets_of(outputs: Sequence[Wanted], namespace: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The types that each name of `--out` asks for, none for plain data; to be called before the cell runs.  Raises ConfigError."""
    targets: dict[str, Sequence[Any]] = {}
    for wanted in outputs:
        try:
            targets[wanted.name] = target(wanted.type, namespace) if wanted.type else ()
        except ConfigError as error:
            raise ConfigError(f"--out {wanted.name}:{wanted.type}: {error.message}") from None
    return targets


async def take(targets: Mapping[str, Sequence[Any]], namespace: dict[str, Any], session: Session, engine: str, state: str) -> list[str]:
    """Sets the variables of `--out`; returns what is wrong with those that cannot be had."""
    faults = []
    for name, kinds in targets.items():
        try:
            value = await _global(session, name, engine, state, undecided=bool(kinds))
            namespace[name] = converted(value, fitting(kinds, value), name) if kinds else value
        except SpellError as error:
            faults.append(f"--out {name}: {error.message}")
    return faults


async def _global(session: Session, name: str, engine: str, state: str, *, undecided: bool) -> Value:
    fault: ScriptError | None = None
    value: Value = None
    try:
        value = await session.get(name, engine=engine, state=state, undecided=undecided)
    except ValueCrossingError:
        raise
    except ScriptError as error:  # as JavaScript answers for a name it does not know
        fault = error
    if value is None:  # as Lua answers
        known = [str(member) for member, *_ in await session.ask("members", "", engine=engine, state=state) or []]
        if name not in known:
            raise ConfigError(f"the script has no global '{name}'{nearest(name, get_close_matches(name, known))}") from fault
    if fault is not None:
        raise fault
    return value
