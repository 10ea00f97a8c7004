"""One Lua state behind the engine interface: conversion of answers, and the memory rule around every touch from the host side.

Rules
- lupa aborts the process when the *host side* meets the memory limit, so the limit is lifted around every call from here and set again only
  while the script runs (`_running`).  A script that fills its memory gets Lua's own error.
- No Python object enters Lua: tables are built from JSON data only, and what JSON lacks is made by functions of the prelude.
- `latin-1` is a byte channel: a Python string here holds the UTF-8 bytes of the text, one per character.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from lupa import lua54

from ...errors import ScriptError, ValueCrossingError
from ...protocol.steps import Allowance, Answer, Failed, Fault, Invocation, QueryKind, Step
from ...values import MAX_ITEMS
from .._engine import Emit, Options, StopFlag
from .._full import memory_full
from .._source import MAX_SOURCE_BYTES, too_long

HOOK_COUNT = 1_000
"""Instructions between two looks at the stop flag and the budget, which is counted in these steps; a hook doubles the time of tight loops
whatever the number, and this one adds 3 % to ten times as many."""
RESERVE_PART = 64
"""This part of a state's memory is kept back, and given out to the cells of a full state, so that one of them can empty it."""
HEADROOM_BYTES = 32 * 1024
"""What a cell that empties a full state needs to begin and to report."""
QUESTION_BYTES = 4 * 1024 * 1024
"""What the answer to a question of the host may take in a full state, beyond its limit."""

PRELUDE: Mapping[str, Sequence[str]] = {
    "output": ["settings"],
    "frames": [],
    "stop": ["settings", "output", "frames"],
    "living": ["stop"],
    "clock": ["stop"],
    "sealed": [],
    "nearest": [],
    "faults": ["sealed", "frames", "settings"],
    "values": ["settings", "sealed", "faults"],
    "effects": ["stop", "values"],
    "tasks": ["stop", "living", "frames", "faults", "effects"],
    "gates": ["faults", "tasks"],
    "coroutines": ["stop", "living", "frames", "tasks"],
    "bridges": ["sealed", "nearest", "values", "tasks"],
    "libraries": ["sealed", "clock"],
    "environment": ["settings", "output", "stop", "sealed", "faults", "values", "coroutines", "libraries"],
    "library": ["values", "libraries", "environment"],
    "handles": ["sealed", "bridges", "tasks", "gates", "library"],
    "cells": ["faults", "environment"],
    "steps": ["output", "stop", "frames", "faults", "values", "effects", "tasks", "cells"],
    "inside": [
        *("settings", "frames", "sealed", "nearest", "faults", "values", "stop", "living", "clock", "effects", "tasks", "gates"),
        *("bridges", "libraries", "environment", "library", "handles", "cells", "steps"),
    ],
}
"""The files of prelude/ in the order they are loaded, each with the tables of earlier ones that it is given."""

COMPILE = "function(source, chunk) return string.dump(assert(load(source, '=' .. chunk, 't')), true) end"
"""Our own scripts as bytecode without names and lines: a state opens in a third of the time and takes three quarters of the memory."""
BOOT = "function(code, chunk, ...) return assert(load(code, chunk, 'b'))(...) end"
SCRUB = "function() local globals, next = _G, next; for name in next, globals do globals[name] = nil end end"

_here = Path(__file__).parent
_step_decoder: msgspec.json.Decoder[Step] = msgspec.json.Decoder(Step)


class LuaEngine:
    def __init__(self, stop: StopFlag) -> None:
        self._stop = stop
        compiled = _compiler()
        self._prelude = {name: compiled(_here / "prelude" / f"{name}.lua") for name in PRELUDE}
        self._libraries = [(path.parent.name, path.stem, compiled(path)) for path in sorted((_here / "stdlib").glob("*/*.lua"))]
        version = ".".join(map(str, lua54.LUA_VERSION))
        self.facts: Mapping[str, str | bool] = {"language_version": version, "soft_interrupt": True, "columns": False}

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> LuaState:
        return LuaState(self._stop, options, catalogue, self._prelude, self._libraries)


def create_engine(stop: StopFlag, emit: Emit) -> LuaEngine:
    """`emit` is not used: a Lua script prints through its own buffered stdout, live, in the same record format."""
    return LuaEngine(stop)


class LuaState:
    def __init__(
        self,
        stop: StopFlag,
        options: Options,
        catalogue: Mapping[str, Any],
        prelude: Mapping[str, str],
        libraries: Sequence[tuple[str, str, str]],
    ) -> None:
        self._memory_bytes = self._limit_bytes = options.memory_bytes
        self._lua = lua54.LuaRuntime(
            register_eval=False, register_builtins=False, encoding="latin-1", unpack_returned_tuples=True, max_memory=options.memory_bytes
        )
        self._lua.set_max_memory(0)
        self._bare_bytes = self._lua.get_memory_used(total=True)  # lupa's limit is about what comes on top
        self._lua.eval("math.randomseed")(options.seed)
        self._inside = self._boot(prelude, stop, options)
        self._inside.tell_time(options.time_s)
        self._answer, self._go_on = self._inside.answer, self._inside.go_on
        self._answer_question = self._inside.answer_question
        self._declare(catalogue)
        self._add_libraries(libraries)

    def _boot(self, prelude: Mapping[str, str], stop: StopFlag, options: Options) -> Any:
        """Loads the prelude, then takes Lua's own globals away: scripts get the environment that was built from them."""
        boot, scrub = self._lua.eval(BOOT), self._lua.eval(SCRUB)
        facts = {
            "stop_variable": stop.variable,
            "hook_count": HOOK_COUNT,
            "state": options.state,
            "max_value_bytes": options.max_value_bytes,
            "max_value_items": MAX_ITEMS,
            "memory_bytes": options.memory_bytes,
            "memory_full": _bytes(memory_full(options.memory_bytes)),
            "entropy": options.entropy,
            "preset": _bytes(options.preset),
            "removed": _bytes(" ".join(options.removed)),
        }
        tables = {"settings": self._lua.table_from(facts)}
        for name, source in prelude.items():
            tables[name] = boot(source, f"prelude/{name}", *(tables[needed] for needed in PRELUDE[name]))
        scrub()
        return tables["inside"]

    def _declare(self, catalogue: Mapping[str, Any]) -> None:
        """What the host offers: the names in a catalogue, as words between blanks."""
        aliases = {
            owner: _words(f"{alias}={name}" for alias, name in names.items()) for owner, names in catalogue.get("aliases", {}).items()
        }
        for owner, names in catalogue.get("several", {}).items():
            self._inside.several(owner, _words(names))
        for kind, resource in catalogue.get("resources", {}).items():
            self._inside.resource_type(kind, _words(resource["methods"]), resource.get("iterate", ""), aliases.get(kind, ""))
        for name, methods in catalogue.get("bridges", {}).items():
            self._inside.add_bridge(name, _words(methods), aliases.get(name, ""))

    def _add_libraries(self, libraries: Sequence[tuple[str, str, str]]) -> None:
        """The files stdlib/FOLDER/NAME.lua: the folder says what NAME is for scripts (see stdlib/README.md)."""
        library = self._inside.library
        for folder, name, code in libraries:
            library["code"](name, code)
            if folder != "parts":
                library[folder](name)

    def allow(self, allowance: Allowance) -> None:
        self._inside.allow(allowance.instructions, allowance.calls_in_flight, allowance.call_bytes, allowance.tasks)

    def tell_time(self, time_s: float) -> None:
        self._inside.tell_time(time_s)

    def start(self, code: str, chunk: str) -> Step:
        # compiled outside the limit: it is our text here, and a state that is full must still take the cell that empties it
        source = _bytes(code)
        if len(source) > MAX_SOURCE_BYTES:
            fault = too_long(len(source))
            refused: str = self._inside.refuse_cell(fault.code, fault.message, fault.name)
            return _step_decoder.decode(refused.encode("latin-1"))
        problem = self._inside.prepare(source, _bytes(chunk))
        self._limit_bytes = self._limit_now()
        return self._running() if problem is None else _step_decoder.decode(problem.encode("latin-1"))

    def call(self, function: str, args: msgspec.Raw, chunk: str, callback: int = 0) -> Step:
        arguments = [self._build(item) for item in json.loads(bytes(args).decode("latin-1"))]
        problem = self._inside.prepare_call(_bytes(function), callback, *arguments)
        self._limit_bytes = self._limit_now()
        return self._running() if problem is None else _step_decoder.decode(problem.encode("latin-1"))

    def resume(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> Step:
        for answer in answers:
            if answer.fault is None:
                self._answer(answer.id, self._to_lua(bytes(answer.value)))
            else:
                fault = answer.fault
                places = [part for place in fault.frames for part in (_bytes(place.chunk), place.line, _bytes(place.function))]
                self._inside.refuse(answer.id, _bytes(fault.code), _bytes(fault.message), _bytes(fault.name), fault.retryable, *places)
        for invocation in invocations:
            # one by one: an argument of null is nil, only inside a list it is the placeholder
            arguments = [self._build(item) for item in json.loads(bytes(invocation.args).decode("latin-1"))]
            self._inside.invoke(invocation.id, invocation.callback, *arguments)
        return self._running()

    def query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        name = _bytes(text)
        if kind == "members":
            return str(self._asked("members", name)).encode("latin-1")
        if kind == "is_complete":
            if len(name) > MAX_SOURCE_BYTES:
                return json.dumps({"status": "invalid", "indent": ""}).encode()
            return json.dumps(_completeness(self._asked("completeness", name))).encode()
        if kind == "set":
            self._inside.set(name, self._to_lua(value))
            return b"null"
        if kind == "declare":
            change = json.loads(value)
            for gone in change.get("remove", []):
                self._inside.remove_bridge(gone)
            self._declare(change.get("add", {}))
            return b"null"
        found = self._asked("get", name)
        if isinstance(found, tuple):
            raise ValueCrossingError(found[1].encode("latin-1").decode("utf-8", "replace"))
        return str(found).encode("latin-1")

    def _asked(self, question: str, about: str) -> Any:
        """The prelude's answer.  Also a full state can make a small one; a large one has what the state has left."""
        self._inside.ask(question, about)
        self._lua.set_max_memory(max(self._memory_bytes, self._used_bytes() + QUESTION_BYTES))
        try:
            found, problem = self._answer_question(), ""
        except (lua54.LuaError, MemoryError, RecursionError) as error:
            found, problem = None, "too little memory is left" if isinstance(error, MemoryError) else str(error)
        self._lua.set_max_memory(0)
        if problem:
            raise ScriptError(f"the state could not answer: {problem}")
        return found

    def close(self) -> None:
        self._lua = self._inside = None

    def _limit_now(self) -> int:
        kept_back = self._memory_bytes // RESERVE_PART
        return min(self._memory_bytes, max(self._memory_bytes - kept_back, self._used_bytes() + HEADROOM_BYTES))

    def _used_bytes(self) -> int:
        used: int = self._lua.get_memory_used(total=True) - self._bare_bytes
        return used

    def _running(self) -> Step:
        """Runs what can run.  No argument is passed under the limit: lupa aborts where pushing one meets it."""
        self._lua.set_max_memory(self._limit_bytes)
        try:
            text = self._go_on()
        except (lua54.LuaError, MemoryError, RecursionError) as error:
            self._lua.set_max_memory(0)
            return self._broken(error)
        self._lua.set_max_memory(0)
        return _step_decoder.decode(text.encode("latin-1"))

    def _broken(self, error: BaseException) -> Step:
        """The prelude itself failed: out of memory at the border, or a fault of ours that must not pass for the script's."""
        self._inside.abandon()
        if isinstance(error, MemoryError):
            return Failed(Fault("limit", memory_full(self._memory_bytes), limit="memory_bytes"))
        if "stack overflow" in str(error):  # the prelude's, right behind a script that had none left either
            return Failed(Fault("limit", "the script's calls are nested too deep: a function calls itself without end"))
        raise ScriptError(f"the Lua prelude failed: {error}") from error

    def _to_lua(self, written: bytes) -> Any:
        value = json.loads(written.decode("latin-1"))
        if not isinstance(value, (list, dict)):
            return value
        if b'"$"' in written or b"null" in written or b"[]" in written or b"{}" in written:
            return self._build(value)
        return self._lua.table_from(value, recursive=True)

    def _build(self, value: Any) -> Any:
        """A table from data that needs more than JSON's words: tags, nulls inside lists, empty lists and objects."""
        prepared = self._prepared(value)
        return self._lua.table_from(prepared, recursive=True) if isinstance(prepared, (list, dict)) else prepared

    def _prepared(self, value: Any) -> Any:
        """The same data, changed in place, with Lua's own things where JSON has no word: one table is then made of it all at once."""
        kind = type(value)
        if kind is list:
            if not value:
                return self._inside.empty_array()
            for index, item in enumerate(value):
                if item is None:
                    value[index] = self._inside.null
                elif type(item) is list or type(item) is dict:
                    value[index] = self._prepared(item)
        elif kind is dict:
            if not value:
                return self._inside.empty_object()
            if "$" in value:
                return self._tagged(value["$"])
            for key, item in value.items():
                if type(item) is list or type(item) is dict:
                    value[key] = self._prepared(item)
        return value

    def _tagged(self, tag: list[Any]) -> Any:
        match tag:
            case ["b", text]:
                return b64decode(text).decode("latin-1")
            case ["i", text]:
                return int(text)
            case ["n", text]:
                return float(text)
            case ["f", number]:
                return self._inside.callback(number)
            case ["r", number, kind]:
                return self._inside.resource(number, kind)
            case ["o", inner]:
                return self._lua.table_from({key: self._build(item) for key, item in inner.items() if item is not None})
            case ["x", text]:
                return text
            case ["e"]:
                return self._lua.table_from({})
            case _:
                raise ValueCrossingError(f"a value tagged {tag[0]!r} has no Lua form")


def _completeness(found: Any) -> dict[str, Any]:
    """The answer to `is_complete`: from the status alone, or the status and the parser's complaint, `cell:3: what is wrong`."""
    if isinstance(found, str):
        return {"status": found, "indent": ""}
    status, problem = found
    _, line, message = problem.encode("latin-1").decode("utf-8", "replace").split(":", 2)
    return {"status": status, "indent": "  " if status == "incomplete" else "", "message": message.strip(), "line": int(line)}


def _words(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "


def _bytes(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _compiler() -> Callable[[Path], str]:
    compile_text = lua54.LuaRuntime(register_eval=False, register_builtins=False, encoding="latin-1").eval(COMPILE)
    return lambda path: str(compile_text(path.read_text("latin-1"), f"{path.parent.name}/{path.stem}"))
