"""Values against a JSON Schema (draft 2020-12), by the library jsonschema.

Rules: schema and value come from scripts, models and tools, and none of them is trusted.
- Nothing is fetched: a `$ref` leads to a place in the same document.
- A `$schema` may stand anywhere and changes nothing: all is read as draft 2020-12, by our own class.  The library would go on from there with its
  own one, which counts nothing and matches patterns without an end.
- Schemas that name each other can multiply the work without end, so it is counted: at most MAX_STEPS keywords are applied, within TIME_S.
- That counts for the check of the schema itself too: it is a value like another, and the standard's own schema is what it is held against.
- A pattern is compiled where `patterns` counts what it becomes, and one that backtracks is stopped with the rest.
- At most MAX_PROBLEMS are told, each cut to a line's length, and nothing longer is written on the way to them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from heapq import nsmallest
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from llmspell_kernel.errors import ArgumentError, LimitError

from ..patterns import compiled
from .keywords import QUOTING
from .quoting import clipped, quoted
from .sizes import check_size, text_bytes

MAX_STEPS = 200_000
MAX_OWN_STEPS = 300_000
"""For the check of a schema itself: some 2,000 parts of it."""
TIME_S = 2.0
MAX_SCHEMA_TEXT = 200_000
MAX_PROBLEMS = 20
UNCOUNTED = ("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef")
"""Keywords whose work the library does out of our sight."""

Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class Problem(NamedTuple):
    """What does not fit, and where: `$.items[2].name`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Schema:
    """One schema, checked when it is made.  Raises ArgumentError that says where it is none."""

    def __init__(self, document: Mapping[str, Any] | bool) -> None:
        if text_bytes(document) > MAX_SCHEMA_TEXT:
            raise ArgumentError(f"the schema has more than {MAX_SCHEMA_TEXT:,} bytes as JSON")
        _refuse_uncounted(document)
        _refuse_misfit(document)
        self.document = document
        self._validator: Any = _COUNTING(document, registry=Registry())

    def problems(self, value: Any) -> list[Problem]:
        """Every place of a plain value that does not fit, MAX_PROBLEMS at the most; none where it fits.

        Raises LimitError where the schema asks for more work than is given, ArgumentError where it names what it does not have.
        """
        check_size(text_bytes(value))  # messages of the library quote it
        _WORK.begin(MAX_STEPS)
        found: list[Problem] = []
        try:
            for error in self._validator.iter_errors(value):
                found.append(Problem(_path(error), clipped(error.message)))
                if len(found) == MAX_PROBLEMS:
                    break
        except Unresolvable as error:
            raise ArgumentError(f"the schema has a $ref that leads nowhere in it: {clipped(str(error.ref))}; nothing is fetched") from None
        except RecursionError:
            raise ArgumentError("the schema refers to itself without end, or the value is nested too deep for it") from None
        except (AttributeError, TypeError, ValueError) as error:  # what is in `const` or `enum` was not checked to be one
            raise ArgumentError("the schema has a $ref that leads to no schema; let it lead into $defs") from error
        return sorted(found)  # a script's tables have no order, and the next run is to say the same


class _Work(threading.local):
    """Counts what one check costs, which runs in one thread from its beginning to its end."""

    def __init__(self) -> None:
        self._steps = 0
        self._ends = 0.0
        self._most = 0

    def begin(self, most: int) -> None:
        self._steps, self._ends, self._most = 0, time.monotonic() + TIME_S, most

    def spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > self._most or time.monotonic() > self._ends:
            raise LimitError(
                f"the schema asks for more than {MAX_STEPS:,} steps or {TIME_S:.0f} s on this value", limit="schema_steps", value=MAX_STEPS
            )

    @property
    def left_s(self) -> float:
        return max(0.001, self._ends - time.monotonic())


_WORK = _Work()


def _counted(name: str, check: Check) -> Check:
    weighs = name in ("patternProperties", "additionalProperties", "uniqueItems")

    def weighed(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _WORK.spend(1 + _size(argument) * (_size(instance) if weighs else 1))
        for error in check(validator, argument, instance, schema) or ():
            error.message = clipped(error.message)
            yield error

    return weighed


def _pattern(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    _WORK.spend(1)
    if isinstance(instance, str) and not _finds(argument, instance):
        yield ValidationError(f"{quoted(instance)} does not match {quoted(argument)}")


def _pattern_properties(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for key, value in instance.items():
        for text, inner in argument.items():
            _WORK.spend(1)
            if _finds(text, key):
                yield from validator.descend(value, inner, path=key, schema_path=text)


def _additional_properties(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known, texts = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        _WORK.spend(1 + len(texts))
        if key in known or any(_finds(text, key) for text in texts):
            continue
        if argument is False:
            _WORK.spend(len(known))
            told = ", ".join(nsmallest(MAX_PROBLEMS, known)) or "it has none"
            yield ValidationError(f"{quoted(key)} is not one of its properties: {told}")
        else:
            yield from validator.descend(value, argument, path=key)


def _finds(pattern: str, text: str) -> bool:
    try:
        return compiled(pattern).search(text, timeout=_WORK.left_s, concurrent=True) is not None
    except TimeoutError:
        raise LimitError(
            f"the pattern {quoted(pattern)} of the schema backtracks for longer than {TIME_S:.0f} s",
            limit="schema_seconds",
            value=TIME_S,
        ) from None


def _unique(validator: Any, argument: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """The library compares each item with each other one."""
    if argument and isinstance(instance, list):
        seen: dict[bytes, int] = {}
        for place, item in enumerate(instance):
            other = seen.setdefault(msgspec.json.encode(_same_numbers(item), order="sorted"), place)
            if other != place:
                yield ValidationError(f"items {other + 1} and {place + 1} are the same")
                return


def _same_numbers(value: Any) -> Any:
    """1 and 1.0 are one number to JSON Schema."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_same_numbers(item) for item in value]
        case dict():
            return {key: _same_numbers(item) for key, item in value.items()}
    return value


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 1


def _refuse_uncounted(document: Any) -> None:
    match document:
        case dict():
            for key, value in document.items():
                if key in UNCOUNTED:
                    raise ArgumentError(
                        f"the schema's keyword {key} is not supported; say it with properties, items and additionalProperties"
                    )
                _refuse_uncounted(value)
        case list():
            for item in document:
                _refuse_uncounted(item)


def _refuse_misfit(document: Any) -> None:
    _WORK.begin(MAX_OWN_STEPS)
    try:
        for error in _STANDARD.iter_errors(document):
            told = error.cause.message if isinstance(error.cause, ArgumentError) else error.message
            raise ArgumentError(f"this is no JSON Schema: {_path(error)}: {clipped(told)}")
    except LimitError:
        raise ArgumentError(
            f"the schema is too large: to check it takes more than {MAX_OWN_STEPS:,} steps or {TIME_S:.0f} s, as some 2,000 parts do; say less"
        ) from None
    except RecursionError:
        raise ArgumentError("the schema is nested too deep") from None


def _path(error: ValidationError) -> str:
    parts = [f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{json.dumps(part)}]" for part in error.absolute_path]
    return clipped("$" + "".join(parts))


_OWN: Mapping[str, Check] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _counted("uniqueItems", _unique),
}
_COUNTING = validators.extend(
    Draft202012Validator,
    {name: _OWN.get(name) or _counted(name, QUOTING.get(name, check)) for name, check in Draft202012Validator.VALIDATORS.items()},
)
"""Draft 2020-12, with every keyword counted.  One class for all schemas: to make it takes as long as many checks."""


def _evolved(validator: Any, *, schema: Any, **changes: Any) -> Any:
    """As the library's own, which takes another class where a part of the schema has a `$schema`."""
    return _COUNTING(
        schema,
        format_checker=validator.format_checker,
        registry=validator._registry,
        _resolver=changes.get("_resolver", validator._resolver),
    )


_COUNTING.evolve = _evolved
_LIBRARY_DESCEND = _COUNTING.descend


def _descend(validator: Any, instance: Any, schema: Any, path: Any = None, **places: Any) -> Iterator[ValidationError]:
    """As the library's own, which quotes the whole value where the schema is `false`."""
    _WORK.spend(0)  # there may be no keyword in it, and many items to hold against it
    if schema is False:
        yield ValidationError(
            f"False schema does not allow {quoted(instance)}",
            path=() if path is None else (path,),
            validator=None,
            validator_value=None,
            instance=instance,
            schema=schema,
        )
    elif schema is not True:
        yield from _LIBRARY_DESCEND(validator, instance, schema, path, **places)


_COUNTING.descend = _descend


def _is_pattern(value: object) -> bool:
    if isinstance(value, str):
        compiled(value)
    return True


def _is_uri_reference(value: object) -> bool:
    if isinstance(value, str):
        urlsplit(value)
    return True


_FORMATS = FormatChecker(formats=())
"""Of the standard's schema for schemas.  The library's own checker has patterns compiled by `re`, and looks at addresses where a package is there."""
_FORMATS.checks("regex", raises=ArgumentError)(_is_pattern)
_FORMATS.checks("uri-reference", raises=ValueError)(_is_uri_reference)
_STANDARD: Any = _COUNTING(Draft202012Validator.META_SCHEMA, registry=Registry(), format_checker=_FORMATS)
