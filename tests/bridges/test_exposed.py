"""Bridges made from Python functions and objects: what they take, what they refuse, and how they fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from llmspell_kernel.bridges._bridge import Bridge
from llmspell_kernel.bridges._catalogue import signature
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._exposed import exposed_functions, exposed_object
from llmspell_kernel.errors import ArgumentError, BridgeError, ConfigError
from llmspell_kernel.testing.context import FakeContext


def lookup(city: str, days: int = 1, *more: float) -> dict[str, Any]:
    return {"city": city, "days": days, "more": list(more)}


async def later(text: str) -> str:
    """Gives it back.

    - text: anything
    """
    await asyncio.sleep(0)
    return text


def called(bridge: type[Bridge], name: str, *args: Any) -> Any:
    """As the session does it: bound, then called."""

    async def call() -> Any:
        async with asyncio.timeout(10):
            return await getattr(bridge(), name)(FakeContext(), *declare(bridge).methods[name].bind(args))

    return asyncio.run(call())


def exposing(function: Callable[..., Any]) -> type[Bridge]:
    return exposed_functions({"f": function})


def test_a_function_becomes_a_method_of_the_bridge_host() -> None:
    host = exposed_functions({"lookup": lookup, "later": later})
    assert signature(declare(host), "lookup", "snake") == "host.lookup(city: string, days?: integer, ...more: number) -> object"
    assert called(host, "lookup", "Oslo", None, 1.5, 2) == {"city": "Oslo", "days": 1, "more": [1.5, 2]}
    assert called(host, "later", "x") == "x"
    with pytest.raises(ArgumentError, match=r"host\.lookup: argument 1 \(city\) must be a string, not a number"):
        called(host, "lookup", 1)


def test_help_comes_from_the_docstring_or_without_one_from_the_name() -> None:
    methods = declare(exposed_functions({"lookup": lookup, "later": later})).methods
    assert methods["later"].summary == "Gives it back." and methods["later"].parameters[0].doc == "anything"
    assert methods["lookup"].doc == "Calls the Python function lookup."


def test_a_plain_function_runs_in_a_thread_of_its_own_and_an_async_one_on_the_loop() -> None:
    def where() -> str:
        return threading.current_thread().name

    async def here() -> str:
        return threading.current_thread().name

    assert called(exposing(where), "f") != threading.current_thread().name
    assert called(exposing(here), "f") == threading.current_thread().name


def test_two_plain_functions_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=5)

    def meet() -> int:
        return meeting.wait()

    async def both() -> list[int]:
        bridge: Any = exposing(meet)()
        return await asyncio.gather(bridge.f(FakeContext()), bridge.f(FakeContext()))

    assert sorted(asyncio.run(both())) == [0, 1]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration("x"), GeneratorExit()])
@pytest.mark.parametrize("is_async", [True, False])
def test_what_would_end_the_event_loop_is_an_error_of_the_call(error: BaseException, is_async: bool) -> None:
    def plain() -> None:
        raise error

    async def on_the_loop() -> None:
        raise error

    # Python itself makes a RuntimeError of a StopIteration out of a coroutine
    kind = RuntimeError if is_async and isinstance(error, StopIteration) else BridgeError
    with pytest.raises(kind, match="StopIteration" if kind is RuntimeError else type(error).__name__):
        called(exposing(on_the_loop if is_async else plain), "f")


def test_an_error_about_a_file_tells_no_path() -> None:
    def read() -> str:
        with open("/a/secret/place"):
            return ""

    with pytest.raises(BridgeError) as caught:
        called(exposing(read), "f")
    assert caught.value.message == "FileNotFoundError: No such file or directory"


def test_another_error_keeps_its_type_and_text() -> None:
    def fail() -> None:
        raise ValueError("out of range")

    with pytest.raises(ValueError, match="out of range"):
        called(exposing(fail), "f")


def no_annotation(city) -> dict:
    return {}


def by_keyword(*, city: str) -> dict:
    return {}


def of_a_complex_number(city: complex) -> dict:
    return {}


def of_nothing_known(city: Nowhere) -> dict:  # noqa: F821
    return {}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_annotation, r"expose: f: parameter 'city' has no annotation; annotate it, as in: def lookup\(city: str\) -> dict"),
        (by_keyword, "not positional"),
        (of_a_complex_number, "complex is not a type that scripts can pass"),
        (of_nothing_known, "the annotations of f cannot be read: NameError"),
    ],
)
def test_a_function_that_scripts_cannot_call_is_refused_with_the_reason(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        exposing(function)
    assert "report it to its author" not in caught.value.message


@pytest.mark.parametrize("name", ["lookUp", "<lambda>", "open", "configure", "name", "_x"])
def test_a_name_that_scripts_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expose"):
        exposed_functions({name: lookup})


class CustomerFile:
    """Customers by name."""

    limit = 3

    def find(self, name: str) -> str:
        """One customer."""
        return f"{name}, {self.limit}"

    @staticmethod
    def edition() -> str:
        return "1"

    async def later(self, name: str) -> str:
        return name

    def untyped(self, name):
        return name

    def reset(self):
        raise AssertionError

    def _hidden(self, name: str) -> str:
        return name

    @property
    def dangerous(self) -> str:
        raise AssertionError("a property was read")


def test_an_object_gives_its_public_typed_methods_and_nothing_else() -> None:
    bridge = exposed_object(CustomerFile())
    declared = declare(bridge)
    assert (declared.name, declared.doc) == ("customer_file", "Customers by name.")
    assert sorted(declared.methods) == ["edition", "find", "later"]
    assert called(bridge, "find", "Ann") == "Ann, 3"
    assert (called(bridge, "edition"), called(bridge, "later", "x")) == ("1", "x")
    assert declare(exposed_object(CustomerFile(), "crm")).name == "crm"


@pytest.mark.parametrize(
    ("thing", "words"), [(CustomerFile, "is a class; expose an object of it"), (3.5, "no public method"), ([], "list")]
)
def test_what_has_nothing_to_expose_is_refused(thing: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        exposed_object(thing)
