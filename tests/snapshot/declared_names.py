"""What is declared once: bridges, engines, errors, events, messages, settings, commands and magics."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, get_args

import click

from llmspell_kernel import errors
from llmspell_kernel.bridges._catalogue import signature
from llmspell_kernel.bridges._declaration import BridgeDeclaration, MethodDeclaration, ResourceDeclaration, camel, declare
from llmspell_kernel.bridges._registry import built_in
from llmspell_kernel.cli._folder import root
from llmspell_kernel.configuration.rules import PRESETS, TRUST, rows, written
from llmspell_kernel.configuration.sources import PROJECT_FILE, VARIABLES
from llmspell_kernel.engines import EngineDeclaration, discover
from llmspell_kernel.journal import events
from llmspell_kernel.kernel.cell_options import OPTIONS
from llmspell_kernel.kernel.cells import CellOptions
from llmspell_kernel.kernel.commands import COMMANDS
from llmspell_kernel.kernel.magics import register_all
from llmspell_kernel.policy.tables import TABLES
from llmspell_kernel.protocol.messages import HostMessage, WorkerMessage
from llmspell_kernel.protocol.steps import QueryKind, Step
from llmspell_kernel.settings import DISPLAY_MODES, Settings

from .python_names import _class, described

HOME = "llmspell_kernel."


def declared_names() -> dict[str, Any]:
    return {
        "bridges": {name: _bridge(declare(bridge)) for name, bridge in sorted(built_in().items())},
        "engines": {engine.name: _engine(engine) for engine in discover() if engine.interpreter.startswith(HOME)},
        "errors": {cls.__name__: _error(cls) for cls in _tree(errors.SpellError)},
        "journal events": {"format": str(events.FORMAT), **{cls.__name__: _struct(cls) for cls in get_args(events.AnyEvent)}},
        "protocol": _protocol(),
        "settings": _settings(),
        "limits of the presets": {
            name: {key: written(value) for key, value in limits._asdict().items()} for name, limits in PRESETS.items()
        },
        "commands": dict(_commands(root(), "llmspell")),
        "magics": _magics(),
    }


# -- bridges and engines


def _bridge(bridge: BridgeDeclaration) -> dict[str, Any]:
    methods = {name: _method(bridge, method) for name, method in sorted(bridge.methods.items())}
    resources = {f"resource {name}": _resource(resource) for name, resource in sorted(bridge.resources.items())}
    return {"version": bridge.version, "needs": " ".join(bridge.needs), **methods, **resources}


def _resource(resource: ResourceDeclaration) -> dict[str, Any]:
    return {"iterate": resource.iterate, **{name: _method(resource, method) for name, method in sorted(resource.methods.items())}}


def _method(owner: BridgeDeclaration | ResourceDeclaration, method: MethodDeclaration) -> dict[str, Any]:
    parameters = {
        f"parameter {one.name}": ("..." if one.variadic else "")
        + one.type_text
        + ("" if one.required or one.variadic else f" = {one.default!r}")
        for one in method.parameters
    }
    options = {
        f"{cls}.{key}": json.dumps(item)
        for cls, schema in method.schema.get("$defs", {}).items()
        for key, item in schema.get("properties", {}).items()
    }
    said = {"results": "several" if method.several else "", "deprecated": method.deprecated, "since": method.since}
    aliases = " ".join(method.aliases)
    return {
        "signature": signature(owner, method.name, "snake"),
        "javascript": camel(method.name),
        **({"aliases": aliases} if aliases else {}),
        **{key: text for key, text in said.items() if text},
        **parameters,
        **options,
    }


def _engine(engine: EngineDeclaration) -> dict[str, str]:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else " ".join(sorted(value) if isinstance(value, frozenset) else value)

    return {name: text(value) for name, value in engine._asdict().items()}


# -- errors, events, messages


def _tree(cls: type) -> Iterator[Any]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


def _error(cls: Any) -> dict[str, Any]:
    return {**_class(cls), "code": cls.code, "retryable": str(cls.retryable), "()": described(cls.__init__)}


def _struct(cls: Any) -> dict[str, str]:
    fields = {name: text for owner in reversed(cls.__mro__[:-1]) for name, text in _class(owner).items() if name in cls.__struct_fields__}
    tag = cls.__struct_config__.tag
    return {"written as": str(tag), **fields} if tag else fields


def _protocol() -> dict[str, Any]:
    from llmspell_kernel.protocol import steps

    tops = [*get_args(HostMessage), *get_args(WorkerMessage), *get_args(Step)]
    parts = [cls for _, cls in inspect.getmembers(steps, inspect.isclass) if hasattr(cls, "__struct_fields__")]
    messages = {cls.__name__: _struct(cls) for cls in dict.fromkeys([*tops, *parts])}
    return {"query kinds": " ".join(get_args(QueryKind)), **messages}


# -- settings, commands, magics


def _settings() -> dict[str, str]:
    choices = {"preset": "one of " + " ".join(PRESETS), "display": "one of " + " ".join(DISPLAY_MODES)}
    variables = {key: f", {name}" for name, key in VARIABLES.items()}

    def text(key: str, value: Any) -> str:
        table, _, name = key.partition(".")
        field = TABLES[table].types[name] if table in TABLES else None
        kind = choices.get(key) or (field.__name__ if isinstance(field, type) else type(value).__name__)
        return f"{kind} = {written(value)}{variables.get(key, '')}"

    keys = {row.key: text(row.key, row.value) for row in rows(Settings())}
    return {**keys, TRUST: "list of folders, in the user's file only", "project file": PROJECT_FILE}


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    yield path, {_parameter_name(one): _parameter(one) for one in command.params}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(child, f"{path} {name}")


def _parameter_name(parameter: click.Parameter) -> str:
    return " ".join([*parameter.opts, *parameter.secondary_opts])


def _parameter(parameter: click.Parameter) -> str:
    kind = "flag" if getattr(parameter, "is_flag", False) else parameter.type.name
    chosen = f" of {' '.join(map(str, parameter.type.choices))}" if isinstance(parameter.type, click.Choice) else ""
    words = [parameter.param_type_name, kind + chosen]
    words += [word for word, holds in (("required", parameter.required), ("repeatable", getattr(parameter, "multiple", False))) if holds]
    default = parameter.default
    return " ".join(words) + (f" = {default!r}" if isinstance(default, (str, int, float)) and not isinstance(default, bool) else "")


def _magics() -> dict[str, Any]:
    """What the package registers with IPython, with the lines of its help that say how it is written."""
    found: dict[str, Any] = {"options of script cells": " ".join(CellOptions._fields)}

    def register(function: Callable[..., Any], magic_kind: str, magic_name: str) -> None:
        sign = "%%" if magic_kind == "cell" else "%"
        options = {f"{option.name} {option.value}": option.what for option in OPTIONS} if magic_kind == "cell" else {}
        commands = dict(usage for command in COMMANDS.values() for usage in command.usages) if magic_name == "llmspell" else {}
        found[sign + magic_name] = {**dict(_usage(inspect.getdoc(function) or "")), **options, **commands}

    register_all(SimpleNamespace(register_magic_function=register), SimpleNamespace(engines=discover()))
    return found


def _usage(doc: str) -> Iterable[tuple[str, str]]:
    usage = ""
    for line in [*doc.splitlines(), ""]:
        if usage and line.startswith("   "):
            usage += " " + line.strip()
            continue
        if usage:
            written_as, _, meaning = usage.partition("  ")
            yield written_as, meaning.strip()
        usage = line if line.startswith(("%", "--")) else ""
