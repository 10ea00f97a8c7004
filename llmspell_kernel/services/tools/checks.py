"""What goes into a tool and what comes out of it, against its schemas: in a thread, as a schema may ask for seconds of work.

Rules
- Arguments and results are data of at most MAX_BYTES as JSON: no function, and nothing that the host keeps, goes through a tool.
- Lua's `{}` is an array where the schema says so, and defaults are filled in before anything is checked.
- Each place that does not fit is told, as far as `services.schema.validation` tells them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError
from llmspell_kernel.values import Callback, ResourceRef, Value, first_reference, kinds_in

from .tool import ToolSpec

if TYPE_CHECKING:
    from llmspell_kernel.services.schema.validation import Problem, Schema
    from llmspell_kernel.services.schema.weight import Weight

MAX_BYTES = 1_000_000
"""Of arguments, and of a result; a model would read some hundred thousand tokens of it."""


LIGHT_BYTES = 4_000
"""A check of so much takes a fraction of a millisecond, which handing it to a thread does too."""

T = TypeVar("T")


class Fitted(NamedTuple):
    """The value with its defaults, and what is wrong with it."""

    value: Any
    problems: list[Problem]


class Checks:
    """The schemas of one tool, compiled when first used."""

    def __init__(self, spec: ToolSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()  # its schemas are made once, and one check of it works at a time
        self._parameters: Schema | None = None
        self._returns: Schema | None = None
        self._weight: Weight | None = None

    def check_schemas(self) -> None:
        """Raises ArgumentError that says which of them is none."""
        from llmspell_kernel.services.schema.weight import Weight

        with self._lock:
            self._parameters = self._named("parameters", self._spec.parameters)
            self._returns = None if self._spec.returns is None else self._named("returns", self._spec.returns)
            self._weight = Weight(self._spec.parameters, self._spec.returns)

    async def apart(self, check: Callable[[Any], T], value: Any) -> T:
        """`arguments` or `result` of a value: in a thread, but where that is sure to take longer than the check itself."""
        if self._parameters is None:
            await asyncio.to_thread(self.check_schemas)
        if self._is_little(value) and not self._lock.locked():
            return check(value)
        return await asyncio.to_thread(check, value)

    def _is_little(self, value: Any) -> bool:
        return self._weight is not None and self._weight.is_little(value) and len(msgspec.json.encode(value)) <= LIGHT_BYTES

    def _named(self, name: str, schema: dict[str, Any]) -> Schema:
        try:
            return _compiled(schema)
        except ArgumentError as error:
            raise ArgumentError(f"the tool '{self._spec.name}': {name}: {error.message}") from None

    def arguments(self, given: Mapping[str, Value]) -> Fitted:
        """Raises ScriptError for what is no data, LimitError for what is too large or asks for too much work."""
        _refuse_other_than_data(given, f"the arguments of the tool '{self._spec.name}'")
        with self._lock:
            self._parameters = self._parameters or _compiled(self._spec.parameters)
            return _fitted(given, self._spec.parameters, self._parameters)

    def result(self, value: Value) -> Value:
        """The result as its callers get it.  Raises ScriptError with the code invalid_result, naming every failing path, and LimitError."""
        what = f"the result of the tool '{self._spec.name}'"
        _refuse_other_than_data(value, what)
        if self._spec.returns is None:
            return value
        with self._lock:
            self._returns = self._returns or _compiled(self._spec.returns)
            fitted = _fitted(value, self._spec.returns, self._returns)
        if fitted.problems:
            raise ScriptError(f"{what} does not fit what it says that it returns: {told(fitted.problems)}", code="invalid_result")
        return fitted.value


def told(problems: list[Problem]) -> str:
    return "; ".join(map(str, problems))


def refused(name: str, problems: list[Problem]) -> ScriptError:
    """The error of arguments that do not fit, for a script or a model that can mend them."""
    return ScriptError(f"the arguments do not fit the tool '{name}': {told(problems)}", code="invalid_arguments")


def _compiled(schema: dict[str, Any]) -> Schema:
    from llmspell_kernel.services.schema.validation import Schema  # 150 ms, which a kernel that needs it not does without

    return Schema(schema)


def _fitted(value: Any, schema: dict[str, Any], compiled: Schema) -> Fitted:
    from llmspell_kernel.services.schema.defaults import filled

    completed = with_arrays(filled(value, schema), schema)
    return Fitted(completed, compiled.problems(completed))


def with_arrays(value: Any, schema: Any) -> Any:
    """A copy with an empty list in place of each empty object that is to be an array, at any depth of `properties` and `items`."""
    if not isinstance(schema, Mapping):
        return value
    if value == {} and isinstance(value, dict):
        return [] if schema.get("type") == "array" else value
    if isinstance(value, dict):
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        known = properties if isinstance(properties, Mapping) else {}
        return {key: with_arrays(item, known.get(key, others)) for key, item in value.items()}
    if isinstance(value, list):
        return [with_arrays(item, schema.get("items")) for item in value]
    return value


def _refuse_other_than_data(value: Any, what: str) -> None:
    kinds = kinds_in(value)
    if kinds is None:
        raise LimitError(f"{what} are nested too deep" if what.startswith("the arg") else f"{what} is nested too deep", limit="value_depth")
    if kinds & {Callback, ResourceRef}:
        path, found = first_reference(value, "$") or ("$", value)
        told = f"a {found.type}" if isinstance(found, ResourceRef) else "a function"
        raise ScriptError(f"{what}: {path} is {told}; tools take and give data alone", code="value")
    if (size := len(msgspec.json.encode(value))) > MAX_BYTES:
        raise LimitError(f"{what}: {size:,} bytes as JSON, the limit is {MAX_BYTES:,}", limit="tool_bytes", value=MAX_BYTES, used=size)
