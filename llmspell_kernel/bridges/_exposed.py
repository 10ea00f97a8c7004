"""Python functions and small objects as bridges: `llmspell.expose` makes a Bridge class from their annotations and docstrings.

Rules
- What is exposed goes the way of every bridge: grants, argument checks, sizes, journal.  Nothing but listed functions can be reached.
- A function that is not `async` runs in a thread, so that it holds up neither the kernel nor other calls.  A thread cannot be stopped: where
  the script gives up, the function runs to its end and its answer is dropped.
- Whatever a function raises becomes the script's error: also SystemExit and KeyboardInterrupt, which would end the event loop.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from llmspell_kernel.errors import BridgeError, ConfigError, SpellError

from ._bridge import Bridge, Context, method
from ._declaration import DeclarationFault, declare, own_names
from ._threads import in_thread

HOST = "host"
"""The bridge of exposed functions."""
_DOCS = {HOST: "Python functions that the notebook exposes."}


def exposed_functions(functions: Mapping[str, Callable[..., Any]]) -> type[Bridge]:
    """The bridge `host`, with a method for each function.  Raises ConfigError naming the function and what it lacks."""
    return _bridge(HOST, functions, _DOCS[HOST])


def exposed_object(thing: object, name: str = "") -> type[Bridge]:
    """A bridge with the public typed methods of an object; `name` is by default its class's, in snake case.  Raises ConfigError."""
    if isinstance(thing, type):
        raise ConfigError(f"expose: {thing.__name__} is a class; expose an object of it: llmspell.expose({thing.__name__}(...))")
    kind = type(thing)
    functions = {
        known: getattr(thing, known)
        for known in dir(kind)
        # read from the class: looking at a property would run it
        if not known.startswith("_") and _is_typed(inspect.getattr_static(kind, known))
    }
    if not functions:
        raise ConfigError(
            f"expose: a {kind.__name__} has no public method with annotations; write them, as in: def find(self, name: str) -> dict"
        )
    doc = inspect.cleandoc(kind.__dict__.get("__doc__") or "") or f"A Python {kind.__name__} that the notebook exposes."
    return _bridge(name or _snake(kind.__name__), functions, doc)


def _is_typed(found: Any) -> bool:
    """Has a method annotations for all that it takes, or at least for what it gives?  Others are not meant for scripts."""
    function = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
    if not inspect.isfunction(function):
        return False
    parameters = list(inspect.signature(function).parameters.values())[0 if isinstance(found, staticmethod) else 1 :]
    typed = all(parameter.annotation is not parameter.empty for parameter in parameters)
    return typed and (bool(parameters) or inspect.signature(function).return_annotation is not inspect.Signature.empty)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _bridge(name: str, functions: Mapping[str, Callable[..., Any]], doc: str) -> type[Bridge]:
    members: dict[str, Any] = {known: _method(name, known, function) for known, function in functions.items()}
    made = type(name, (Bridge,), {"__module__": __name__, "__doc__": doc, "__llmspell_exposed__": True, "name": name, **members})
    try:
        declare(made)
    except DeclarationFault as fault:
        what = fault.what
        if fault.method and "no annotation" in what:
            what += "; annotate it, as in: def lookup(city: str) -> dict"
        raise ConfigError(f"expose: {fault.method or name}: {what}") from None
    return made


def _method(owner: str, name: str, function: Callable[..., Any]) -> Any:
    if name in own_names(Bridge):
        raise ConfigError(
            f"expose: {owner}.{name}: '{name}' is a name that every bridge has for itself; rename it, or expose(..., name='...')"
        )
    call, hints, parameters = _caller(function), _hints(name, function), list(inspect.signature(function).parameters.values())

    async def exposed(self: Bridge, ctx: Context, *args: Any) -> Any:
        return await call(args)

    lead = [inspect.Parameter(known, inspect.Parameter.POSITIONAL_OR_KEYWORD) for known in ("self", "ctx")]
    exposed.__name__, exposed.__qualname__ = name, f"{owner}.{name}"
    exposed.__doc__ = inspect.getdoc(function) or f"Calls the Python function {name}."
    exposed.__annotations__ = {**hints, "ctx": Context}
    exposed.__signature__ = inspect.Signature([*lead, *parameters])  # type: ignore[attr-defined]
    return method(exposed)


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise ConfigError(f"expose: the annotations of {name} cannot be read: {type(error).__name__}: {error}") from error


def _caller(function: Callable[..., Any]) -> Callable[[tuple[Any, ...]], Any]:
    is_async = inspect.iscoroutinefunction(function)

    async def call(args: tuple[Any, ...]) -> Any:
        try:
            value = function(*args) if is_async else await in_thread(_in_thread, function, args)
            return await value if inspect.isawaitable(value) else value
        except SpellError:
            raise
        except OSError as error:
            if error.filename is None:
                raise
            raise BridgeError(f"{type(error).__name__}: {error.strerror}") from error  # a script need not know where our files are
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise BridgeError(f"{type(error).__name__}: {error}".rstrip(": ")) from error

    return call


def _in_thread(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return function(*args)
    except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        # a future cannot carry the first, and the others would end the loop that takes them
        raise BridgeError(f"{type(error).__name__}: {error}".rstrip(": ")) from error
