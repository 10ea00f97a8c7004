"""Reads a Bridge class once: its methods, parameters, types, docs and resources, as frozen data that everything else is made from.

Every fault of the class itself (not async, no annotation, no docstring ...) is found here, before a script runs, and names the class and
the method.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect as kinds

from llmspell_kernel.errors import InternalError
from llmspell_kernel.host_types._crossing import to_plain
from llmspell_kernel.values import Callback, ResourceRef, Value

from ._bridge import Bridge, Context, Marked, Replay, Resource
from ._checking import bind
from ._host_kinds import holds_resource, host_type, kind_of, resource_class, schemas_of
from ._spellings import spellings_of
from ._wording import type_text

if TYPE_CHECKING:
    from ..policy.decide import Level

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Parameter(msgspec.Struct, frozen=True):
    """One positional parameter.  `default` is meaningless where `required`; a `variadic` one takes the rest of the arguments, one by one."""

    name: str
    annotation: Any
    type_text: str
    required: bool
    default: Any
    doc: str
    kind: kinds.Type
    variadic: bool = False

    @property
    def holds_resource(self) -> bool:
        """Is its value a reference, or a list of some, of things that the host keeps?"""
        return holds_resource(self.kind)


class MethodDeclaration(msgspec.Struct, frozen=True):
    """A method that scripts can call.  `label` is its full name, `llm.chat`.

    `several`: the answer is a list of results.  `aliases` are other names that engines offer for it.
    """

    label: str
    name: str
    doc: str
    summary: str
    parameters: tuple[Parameter, ...]
    returns: str
    returns_annotation: Any
    several: bool = False
    deprecated: str = ""
    since: str = ""
    level: Level = "read"
    replay: Replay = "answer"
    volatile: Sequence[str] = ()
    aliases: tuple[str, ...] = ()
    inner: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments by name; made anew at each use, which scripts never have."""
        return _schema(self.parameters)

    def bind(self, args: Sequence[Value], resolve: Callable[[ResourceRef], Resource] | None = None) -> list[Any]:
        """A script's positional arguments, checked, converted and completed with defaults; those of a variadic one follow singly.

        References to things that the host keeps become what `resolve` gives for them.  Raises ArgumentError, and whatever `resolve` raises.
        """
        bound = bind(self.label, self.parameters, args)
        if resolve is None or not any(parameter.holds_resource for parameter in self.parameters):
            return bound
        parameters = [*self.parameters, *[self.parameters[-1]] * (len(bound) - len(self.parameters))]
        return [
            _resolved(value, resolve) if parameter.holds_resource else value for parameter, value in zip(parameters, bound, strict=False)
        ]


def own_method(label: str, doc: str, replay: Replay) -> MethodDeclaration:
    """What the session itself does in the manner of a call: journal and cassette have it, and no bridge offers it."""
    return MethodDeclaration(label, label.rpartition(".")[2], doc, doc, (), "any", Any, replay=replay)


def _resolved(value: Any, resolve: Callable[[ResourceRef], Resource]) -> Any:
    if type(value) is ResourceRef:
        return resolve(value)
    return [_resolved(item, resolve) for item in value] if type(value) is list else value


class ResourceDeclaration(msgspec.Struct, frozen=True):
    """A kind of thing the host keeps.  `iterate` names the method a loop calls, "" for none."""

    type: str
    methods: Mapping[str, MethodDeclaration]
    iterate: str
    doc: str
    lasting: tuple[str, ...] = ()
    shows_text: bool = False


class BridgeDeclaration(msgspec.Struct, frozen=True):
    """All that scripts, docs and the session know of a bridge.  `inner` are methods that other bridges alone may ask."""

    name: str
    version: str
    doc: str
    methods: Mapping[str, MethodDeclaration]
    resources: Mapping[str, ResourceDeclaration]
    needs: tuple[str, ...] = ()
    inner: Mapping[str, MethodDeclaration] = msgspec.field(default_factory=dict)
    exposed: bool = False
    """Was it made from functions of the notebook, which may be written anew?"""


class DeclarationFault(InternalError):
    """A class that cannot be a bridge: `what` is wrong with its `method` ("" = with the class)."""

    def __init__(self, cls: type, what: str, method: str) -> None:
        where = f"{cls.__module__}.{cls.__qualname__}" + (f", method '{method}'" if method else "")
        super().__init__(f"{where}: {what}; this is a fault of the bridge, please report it to its author")
        self.what = what
        self.method = method


def camel(name: str) -> str:
    """`set_model` as JavaScript writes it: `setModel`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def declare(bridge: type[Bridge]) -> BridgeDeclaration:
    """The declaration of a bridge class.  Raises InternalError naming the class and the method at fault."""
    return _declare(bridge)  # type: ignore[arg-type]  # mypy looks at the __hash__ of instances


@cache
def _declare(bridge: type[Bridge]) -> BridgeDeclaration:
    if not _NAME.fullmatch(bridge.name):
        raise _fault(bridge, f"its name {bridge.name!r} is not a snake_case identifier")
    resources = [_resource(bridge, resource) for resource in bridge.resources]
    if len({resource.type for resource in resources}) < len(resources):
        raise _fault(bridge, "two of its resources have the same type")
    if isinstance(bridge.needs, str) or bridge.name in bridge.needs:
        raise _fault(bridge, f"needs must list names of other bridges, not {bridge.needs!r}")
    methods = _methods(bridge, bridge.name)
    return BridgeDeclaration(
        name=bridge.name,
        version=bridge.version,
        doc=_own_doc(bridge),
        methods={name: method for name, method in methods.items() if not method.inner},
        inner={name: method for name, method in methods.items() if method.inner},
        resources={resource.type: resource for resource in resources},
        needs=tuple(bridge.needs),
        exposed=bool(getattr(bridge, "__llmspell_exposed__", False)),
    )


def _resource(bridge: type[Bridge], resource: type[Resource]) -> ResourceDeclaration:
    # the bridge's name in front makes types unique, because bridge names are
    owner, dot, thing = resource.type.partition(".")
    if owner != bridge.name or not dot or not _NAME.fullmatch(thing):
        raise _fault(resource, f"its type {resource.type!r} must be '{bridge.name}.' and a snake_case name, such as '{bridge.name}.stream'")
    methods = _methods(resource, resource.type)
    if resource.iterate and resource.iterate not in methods:
        raise _fault(resource, f"iterate names {resource.iterate!r}, which is not one of its methods")
    return ResourceDeclaration(resource.type, methods, resource.iterate, _own_doc(resource), tuple(resource.lasting), resource.shows_text)


def own_names(interface: type) -> set[str]:
    """What the session reads and calls of every bridge or resource: names that no method for scripts can have."""
    return {name for name in vars(interface) if not name.startswith("_")}


def _own_doc(cls: type) -> str:
    doc = cls.__dict__.get("__doc__")
    if not doc:
        raise _fault(cls, "it has no docstring; scripts' help is made from it")
    return inspect.cleandoc(doc)


def _methods(cls: type, owner: str) -> Mapping[str, MethodDeclaration]:
    functions = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    methods = {
        name: _method(cls, owner, name, function) for name, function in functions.items() if hasattr(function, "__llmspell_method__")
    }
    for name in methods:
        if name in own_names(Bridge if issubclass(cls, Bridge) else Resource):
            raise _fault(cls, "its name is one that the session itself uses", name)
    names = [camel(name) for method in methods.values() for name in (method.name, *method.aliases)]
    if len(set(names)) < len(names):
        raise _fault(cls, "two of its methods have the same name in JavaScript")
    return methods


def _method(cls: type, owner: str, name: str, function: Any) -> MethodDeclaration:
    if not _NAME.fullmatch(name):
        raise _fault(cls, "its name is not a snake_case identifier", name)
    if not inspect.iscoroutinefunction(function):
        raise _fault(cls, "it must be an 'async def' that returns its answer", name)
    doc = inspect.cleandoc(function.__doc__ or "")
    if not doc:
        raise _fault(cls, "it has no docstring; scripts' help is made from it", name)
    hints = _hints(cls, name, function)
    parameters = _parameters(cls, name, function, hints, doc)
    returns = hints.get("return", Any)
    mark: Marked = function.__llmspell_method__
    return MethodDeclaration(
        label=f"{owner}.{name}",
        name=name,
        doc=doc,
        summary=doc.partition("\n")[0],
        parameters=parameters,
        returns=type_text(returns),
        returns_annotation=returns,
        several=is_several(returns),
        deprecated=mark.deprecated,
        since=mark.since,
        level=mark.level,
        replay=mark.replay,
        volatile=tuple(mark.volatile),
        inner=mark.inner,
        aliases=spellings_of(owner, name),
    )


def _hints(cls: type, name: str, function: types.FunctionType) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        hint = "; import what annotations name outside 'if TYPE_CHECKING'" if isinstance(error, NameError) else ""
        raise _fault(cls, f"its annotations cannot be read: {error}{hint}", name) from error


def _parameters(cls: type, name: str, function: types.FunctionType, hints: dict[str, Any], doc: str) -> tuple[Parameter, ...]:
    signature = list(inspect.signature(function).parameters.values())
    if len(signature) < 2 or (signature[1].name != "ctx" and hints.get(signature[1].name) is not Context):
        raise _fault(cls, "its first parameter after self must be 'ctx: Context'", name)
    return tuple(_parameter(cls, name, parameter, hints, doc) for parameter in signature[2:])


def _parameter(cls: type, name: str, parameter: inspect.Parameter, hints: dict[str, Any], doc: str) -> Parameter:
    variadic = parameter.kind is parameter.VAR_POSITIONAL
    if not variadic and parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise _fault(cls, f"parameter '{parameter}' is not positional, and scripts pass arguments by position", name)
    if parameter.name not in hints:
        raise _fault(cls, f"parameter '{parameter.name}' has no annotation", name)
    annotation = hints[parameter.name]
    required = parameter.default is parameter.empty and not variadic
    return Parameter(
        name=parameter.name,
        annotation=annotation,
        type_text=type_text(annotation, optional=not required and not variadic),
        required=required,
        default=None if required or variadic else parameter.default,
        doc=described(parameter.name, annotation, doc),
        kind=_kind(cls, name, parameter.name, annotation),
        variadic=variadic,
    )


def _kind(cls: type, name: str, parameter: str, annotation: Any) -> kinds.Type:
    try:
        kind = kind_of(annotation)
    except TypeError as error:
        raise _fault(cls, f"parameter '{parameter}': {error}", name) from error
    if strange := _unsupported(kind, set()):
        raise _fault(cls, f"parameter '{parameter}': {strange} is not a type that scripts can pass", name)
    return kind


def _unsupported(kind: kinds.Type, seen: set[type]) -> str:
    """The first part of a type that no script value can be, "" for none."""
    if host_type(kind) is not None or resource_class(kind) is not None:
        return ""
    match kind:
        case kinds.AnyType() | kinds.NoneType() | kinds.BoolType() | kinds.IntType() | kinds.FloatType():
            return ""
        case kinds.StrType() | kinds.BytesType() | kinds.LiteralType():
            return ""
        case kinds.NamedTupleType(cls=cls) if cls in (Callback, ResourceRef):
            return ""
        case kinds.StructType(tag=tag, array_like=array_like) if tag is not None or array_like:
            return kind.cls.__qualname__
        case kinds.StructType(cls=cls) | kinds.DataclassType(cls=cls) | kinds.TypedDictType(cls=cls) | kinds.NamedTupleType(cls=cls):
            if cls in seen:
                return ""
            seen.add(cls)
            parts = [part.type for part in kind.fields]
            if any(map(holds_resource, parts)):
                return "a resource inside an object"
        case (
            kinds.Metadata(type=inner)
            | kinds.ListType(item_type=inner)
            | kinds.SetType(item_type=inner)
            | kinds.FrozenSetType(item_type=inner)
        ):
            parts = [inner]
        case kinds.DictType(key_type=key, value_type=inner):
            if not isinstance(key, (kinds.StrType, kinds.AnyType, kinds.LiteralType)):
                return "an object with keys other than strings"
            if holds_resource(inner):
                return "a resource inside an object"
            parts = [inner]
        case kinds.UnionType(types=members):
            parts = list(members)
        case _:
            named: type | None = getattr(kind, "cls", None)
            return named.__qualname__ if named else type(kind).__name__.removesuffix("Type").lower()
    return next(filter(None, (_unsupported(part, seen) for part in parts)), "")


def _schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    schemas, definitions = schemas_of([parameter.annotation for parameter in parameters])
    for special, text in ((Callback, "a function of the script"), (ResourceRef, "a resource the host keeps")):
        if special.__name__ in definitions:  # their ids are no part of the interface
            definitions[special.__name__] = {"title": special.__name__, "description": text}
    properties = {}
    for parameter, schema in zip(parameters, schemas, strict=True):
        whole_schema = {"type": "array", "items": schema} if parameter.variadic else schema
        properties[parameter.name] = {**whole_schema, **_schema_extras(parameter)}
    required = [parameter.name for parameter in parameters if parameter.required]
    whole: dict[str, Any] = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {**whole, "$defs": definitions} if definitions else whole


def _schema_extras(parameter: Parameter) -> dict[str, Any]:
    extras: dict[str, Any] = {"description": parameter.doc} if parameter.doc else {}
    if not parameter.required and not parameter.variadic:
        extras["default"] = msgspec.to_builtins(to_plain(parameter.default))
    return extras


def is_several(returns: Any) -> bool:
    """Is it `tuple[A, B]`?  `tuple[A, ...]` is a list like any other."""
    return get_origin(returns) is tuple and Ellipsis not in get_args(returns)


def described(name: str, annotation: Any, doc: str) -> str:
    """What is said about a parameter or key: its `msgspec.Meta` description, else a docstring's `- name: text`.

    The text goes on in lines that are indented further than the dash.
    """
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
    found = re.search(rf"^([ \t]*)- {re.escape(name)}: +(\S.*(?:\n\1[ \t]+(?!- )\S.*)*)", doc, re.MULTILINE)
    return " ".join(found[2].split()) if found else ""


def _fault(cls: type, what: str, method: str = "") -> DeclarationFault:
    return DeclarationFault(cls, what, method)
