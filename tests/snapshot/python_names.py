"""Python's public names, with their parameters, defaults and annotations as they are written."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, ForwardRef, get_overloads

import msgspec

PACKAGE = "llmspell_kernel"
MODULES = ("engines", "journal.events", "policy.decide", "policy.limits", "protocol.steps", "session.sink", "shown", "values")
"""Beside the package itself, what its public names take and give, and what a bridge or an engine imports."""
RESULT = ("Output", "Printed", "Metrics", "Usage", "Tokens")
"""What an ExecutionResult is made of."""
FAKES = ("context", "fake_worker", "openai_server")
NOTEBOOK = ("entrance.Entrance", "notebook.Notebook", "states.States", "states.ScriptStateHandle", "states.WaitingHandle")
"""`llmspell` in a notebook, and what it gives."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _Written:
    """An annotation or a default as the source has it: `inspect` shows what it does not know by its repr."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def python_names() -> dict[str, Any]:
    package = import_module(PACKAGE)
    found = {PACKAGE: {name: described(getattr(package, name)) for name in package.__all__ if name != "__version__"}}
    for name in [*MODULES, *(f"testing.{fake}" for fake in FAKES)]:
        found[f"{PACKAGE}.{name}"] = _module(import_module(f"{PACKAGE}.{name}"))
    found[f"{PACKAGE}.session.result"] = {name: described(getattr(import_module(f"{PACKAGE}.session.result"), name)) for name in RESULT}
    for name in NOTEBOOK:
        module, _, cls = name.partition(".")
        found[f"{PACKAGE}.kernel.{name}"] = _class(getattr(import_module(f"{PACKAGE}.kernel.{module}"), cls))
    return found


def _module(module: ModuleType) -> dict[str, Any]:
    listed = getattr(module, "__all__", None)
    names = listed or [name for name, value in vars(module).items() if not name.startswith("_") and _is_own(value, module)]
    return {name: described(getattr(module, name)) for name in names}


def _is_own(value: Any, module: ModuleType) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__


def described(value: Any) -> Any:
    """A class as a table of its members, anything else as one text."""
    if inspect.isclass(value):
        return _class(value)
    if inspect.isfunction(value):
        return "; ".join(dict.fromkeys(_call(each) for each in [*get_overloads(value), value]))
    return _plain(repr(value))


def _class(cls: type) -> dict[str, str]:
    fields = dict(_fields(cls))
    members = {name: text for name, value in vars(cls).items() if name not in fields and (text := _member(name, value))}
    made = {"()": _call(cls.__init__)} if _is_constructed(cls) else {}
    given = {name: "set by the object itself" for name in _assigned(cls) if name not in fields and name not in members}
    return {"is a": ", ".join(base.__name__ for base in cls.__bases__), **made, **fields, **members, **given}


def _is_constructed(cls: type) -> bool:
    return "__init__" in vars(cls) and not _is_record(cls) and not getattr(cls, "_is_protocol", False)


def _is_record(cls: type) -> bool:
    return any(hasattr(cls, mark) for mark in ("__struct_fields__", "__dataclass_fields__", "_field_defaults"))


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    defaults = _defaults(cls)
    for name, annotation in inspect.get_annotations(cls).items():
        if not name.startswith("_"):
            given = f" = {defaults[name]}" if name in defaults else ""
            yield name, f"{_annotation(annotation)}{given}"


def _defaults(cls: type) -> Mapping[str, str]:
    if hasattr(cls, "__struct_fields__"):
        signature = inspect.signature(cls).parameters
        return {name: _plain(_shown(one.default)) for name, one in signature.items() if one.default is not one.empty}
    if hasattr(cls, "_field_defaults"):
        return {name: _plain(repr(value)) for name, value in cls._field_defaults.items()}
    known = {name: value for name, value in vars(cls).items() if not inspect.ismemberdescriptor(value)}
    parameters = inspect.signature(cls).parameters if hasattr(cls, "__dataclass_fields__") else {}
    known |= {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    return {name: _plain(repr(value)) for name, value in known.items()}


def _shown(value: Any) -> str:
    return f"Raw({bytes(value)!r})" if isinstance(value, msgspec.Raw) else repr(value)


def _member(name: str, value: Any) -> str:
    if name.startswith("_"):
        return ""
    if isinstance(value, (classmethod, staticmethod)):
        return f"{type(value).__name__} {_call(value.__func__)}"
    if isinstance(value, property):
        return f"property -> {_annotation(inspect.get_annotations(value.fget).get('return', '')) if value.fget else ''}"
    if hasattr(value, "func") and hasattr(value, "attrname"):  # functools.cached_property
        return f"property -> {_annotation(inspect.get_annotations(value.func).get('return', ''))}"
    if inspect.isfunction(value):
        return "; ".join(dict.fromkeys(_call(each) for each in [*get_overloads(value), value]))
    return "" if inspect.isdatadescriptor(value) else _plain(repr(value))


def _assigned(cls: type) -> list[str]:
    """The attributes that `__init__` sets, as no annotation of the class names them."""
    own = vars(cls).get("__init__")
    if not inspect.isfunction(own) or _is_record(cls):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(own)))
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    names = [node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"]
    return sorted({name for name in names if not name.startswith("_")})


def _call(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [
        one.replace(
            annotation=one.annotation if one.annotation is one.empty else _Written(_annotation(one.annotation)),
            default=one.default if one.default is one.empty else _Written(_shown(one.default)),
        )
        for name, one in signature.parameters.items()
        if name != "self"
    ]
    returned = signature.return_annotation
    given = returned if returned is inspect.Signature.empty else _Written(_annotation(returned))
    text = str(signature.replace(parameters=parameters, return_annotation=given))
    return _plain(f"async {text}" if inspect.iscoroutinefunction(function) else text)


def _annotation(annotation: Any) -> str:
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    return inspect.formatannotation(annotation)


def _plain(text: str) -> str:
    return _ADDRESS.sub("", text)
