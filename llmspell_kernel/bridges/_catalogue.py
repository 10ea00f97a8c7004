"""What is made from declarations: the worker's catalogue, signatures, help, completion data and the reference page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from ._bridge import Resource
from ._declaration import BridgeDeclaration, MethodDeclaration, Parameter, ResourceDeclaration, camel, described
from ._wording import shown, type_text

Case = Literal["snake", "camel"]
Owner = BridgeDeclaration | ResourceDeclaration


class Completion(NamedTuple):
    """One name offered after `llm.`; `name` and `signature` are in the language's case."""

    name: str
    signature: str
    summary: str


class _Option(NamedTuple):
    name: str
    type: str
    default: str
    doc: str


def worker_catalogue(declarations: Iterable[BridgeDeclaration]) -> dict[str, Any]:
    """What an engine's prelude needs to make native functions: names only.

    `aliases`: {bridge: {other name: method}}; the effect carries the method's own name, which is what the policy knows.
    `several`: {bridge or resource type: methods whose answer is a list of results}; `loops`: methods that answer with something to loop over.
    """
    known = list(declarations)
    owners = {_owner_name(owner): owner.methods.values() for bridge in known for owner in _owners(bridge)}
    several = {name: sorted(method.name for method in methods if method.several) for name, methods in owners.items()}
    aliases = {name: {alias: method.name for method in methods for alias in method.aliases} for name, methods in owners.items()}
    return {
        "bridges": {bridge.name: sorted(bridge.methods) for bridge in known},
        "aliases": _filled(aliases),
        "several": _filled(several),
        "loops": _filled({bridge.name: _loops(bridge) for bridge in known}),
        "resources": {
            resource.type: {"methods": sorted(resource.methods), "iterate": resource.iterate}
            for bridge in known
            for resource in bridge.resources.values()
        },
    }


def _filled(by_name: dict[str, Any]) -> dict[str, Any]:
    return {name: found for name, found in by_name.items() if found}


def _loops(bridge: BridgeDeclaration) -> list[str]:
    """The methods that answer with something a script can loop over."""

    def is_iterable(annotation: Any) -> bool:
        if isinstance(annotation, type):
            return issubclass(annotation, Resource) and bool(annotation.iterate)
        return any(map(is_iterable, get_args(annotation)))

    return sorted(name for name, method in bridge.methods.items() if is_iterable(method.returns_annotation))


def signature(declaration: Owner, method: str, engine_case: Case) -> str:
    """`llm.chat(prompt: string | list, options?: ChatOptions) -> string`."""
    declared = declaration.methods[method]
    parameters = ", ".join(_parameter(parameter, engine_case) for parameter in declared.parameters)
    return f"{_owner_name(declaration)}.{_cased(method, engine_case)}({parameters}) -> {declared.returns}"


def help_text(declaration: Owner, method: str, engine_case: Case) -> str:
    """Signature, docstring and a table of each options object, as plain text."""
    declared = declaration.methods[method]
    parts = [signature(declaration, method, engine_case), *_notes(declared, engine_case), declared.doc]
    parts += [f"{title}:\n{_plain_table(rows)}" for title, rows in _tables(declared, engine_case)]
    return "\n\n".join(parts)


def _notes(method: MethodDeclaration, engine_case: Case) -> Iterator[str]:
    """What is to be said of a method before what it does."""
    if method.deprecated:
        yield f"Deprecated: {method.deprecated}"
    if method.aliases:
        owner = method.label.removesuffix(f".{method.name}")
        yield "also: " + ", ".join(f"{owner}.{_cased(alias, engine_case)}" for alias in method.aliases)
    if method.since:
        yield f"since version {method.since}"


def completions(declarations: Iterable[BridgeDeclaration], engine_case: Case) -> dict[str, list[Completion]]:
    """Names to offer, by bridge name or resource type."""
    return {
        _owner_name(owner): [
            Completion(_cased(name, engine_case), signature(owner, name, engine_case), _summary(owner.methods[name]))
            for name in sorted(owner.methods)
        ]
        for bridge in declarations
        for owner in _owners(bridge)
    }


def _summary(method: MethodDeclaration) -> str:
    return f"(deprecated: {method.deprecated}) {method.summary}" if method.deprecated else method.summary


def reference_markdown(declarations: Iterable[BridgeDeclaration]) -> str:
    """The reference page: every bridge, resource, method and option."""
    sections = ["# Bridges", "Names are written as in Lua; JavaScript writes `set_model` as `setModel` and awaits each call."]
    for bridge in sorted(declarations, key=lambda known: known.name):
        for owner in _owners(bridge):
            sections += _owner_markdown(owner, "##" if owner is bridge else "###")
    return "\n\n".join(sections) + "\n"


def _owner_markdown(owner: Owner, heading: str) -> Iterator[str]:
    yield f"{heading} {_owner_name(owner)}"
    yield f"{owner.doc}\n\nVersion {owner.version}." if isinstance(owner, BridgeDeclaration) else owner.doc
    for name in sorted(owner.methods):
        yield f"{heading}# {owner.methods[name].label}"
        yield f"```\n{signature(owner, name, 'snake')}\n```"
        yield from _notes(owner.methods[name], "snake")
        yield owner.methods[name].doc
        yield from (_markdown_table(title, rows) for title, rows in _tables(owner.methods[name], "snake"))


def _markdown_table(title: str, rows: list[_Option]) -> str:
    lines = ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows]
    return "\n".join([f"{title}:", "", "| key | type | default | |", "|---|---|---|---|", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _owners(bridge: BridgeDeclaration) -> list[Owner]:
    return [bridge, *(bridge.resources[name] for name in sorted(bridge.resources))]


def _owner_name(owner: Owner) -> str:
    return owner.name if isinstance(owner, BridgeDeclaration) else owner.type


def _cased(name: str, engine_case: Case) -> str:
    return camel(name) if engine_case == "camel" else name


def _parameter(parameter: Parameter, engine_case: Case) -> str:
    if parameter.variadic:
        return f"...{_cased(parameter.name, engine_case)}: {parameter.type_text}"
    return f"{_cased(parameter.name, engine_case)}{'' if parameter.required else '?'}: {parameter.type_text}"


def _tables(method: MethodDeclaration, engine_case: Case) -> Iterator[tuple[str, list[_Option]]]:
    """A titled table for each object with known keys among the parameters and the result, nested ones after their holder."""
    told: set[type] = set()
    for parameter in method.parameters:
        for title, rows in _struct_tables(_cased(parameter.name, engine_case), parameter.annotation, told):
            yield title, [row._replace(name=_cased(row.name, engine_case)) for row in rows]
    yield from _struct_tables("returns", method.returns_annotation, told)


def _struct_tables(title: str, annotation: Any, told: set[type]) -> Iterator[tuple[str, list[_Option]]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        if annotation in told:
            return
        told.add(annotation)
        fields = msgspec.structs.fields(annotation)
        yield f"{title} ({annotation.__name__})", [_option(annotation, known) for known in fields]
        for known in fields:
            yield from _struct_tables(f"{title}.{known.encode_name}", known.type, told)
    for part in get_args(annotation):
        yield from _struct_tables(title, part, told)


def _option(struct: type, known: msgspec.structs.FieldInfo) -> _Option:
    if known.required:
        default = "required"
    else:
        value = known.default if known.default is not msgspec.NODEFAULT else known.default_factory()
        default = "" if value is None else shown(value)
    text = type_text(known.type, optional=not known.required)
    return _Option(known.encode_name, text, default, described(known.encode_name, known.type, struct.__doc__ or ""))


def _plain_table(rows: list[_Option]) -> str:
    headed = [_Option("key", "type", "default", ""), *rows]
    widths = [max(len(row[column]) for row in headed) for column in range(3)]
    return "\n".join(
        "  " + "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row.doc]).rstrip() for row in headed
    )
