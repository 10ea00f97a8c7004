"""JavaScript behind the engine interface: one runtime a state, steps made by pumping promise jobs, reports read as JSON.

Rules
- Whatever a script does, `start` and `resume` return a step: a stop, a full memory and a broken report are faults, never exceptions.
- A cell ends when its promise is settled, no job is left and no effect or invocation is open; a rejection nobody handled is then its error.
- After a stop nothing of the cell goes on: its jobs are discarded, answers to its effects find no one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import ConfigError, ScriptError, ValueCrossingError
from ...protocol.steps import Answer, Effect, Failed, Fault, Finished, Invocation, Place, QueryKind, Returned, Step, Suspended
from .._engine import Emit, Options, StopFlag
from .completeness import status
from .native import EngineFailure, JSValue, Realm, Stopped, load_library, self_test
from .rewrite import MAX_SOURCE_BYTES, is_module, rewrite
from .sources import Sources

STOPPED = Fault(code="interrupted", message="stopped")
NOTHING_LEFT = Fault(code="script", name="Error", message="nothing left to wait for: the cell awaits a promise that nothing can settle")

_NONE = msgspec.Raw(b"")  # msgspec takes no `Raw | None`
_here = Path(__file__).parent


class _Fault(msgspec.Struct, frozen=True):
    """An error as the prelude describes it; `stack` is the engine's text, `effect` the id of the effect whose failure it is (0 = none)."""

    code: str
    name: str
    message: str
    stack: str
    retryable: bool
    effect: int = 0


class _Returned(msgspec.Struct, frozen=True):
    id: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    fault: _Fault | None = None


class _Outcome(msgspec.Struct, frozen=True):
    values: msgspec.Raw = _NONE
    fault: _Fault | None = None


class _Report(msgspec.Struct, frozen=True):
    open: int
    printed: list[tuple[int, str]] = []
    effects: list[Effect] = []
    returned: list[_Returned] = []
    outcome: _Outcome | None = None


class _Reply(msgspec.Struct, frozen=True):
    value: msgspec.Raw = _NONE
    fault: _Fault | None = None


_decode_report = msgspec.json.Decoder(_Report).decode
_decode_printed = msgspec.json.Decoder(list[tuple[int, str]]).decode
_decode_fault = msgspec.json.Decoder(_Fault).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_encode = msgspec.json.Encoder().encode


class JavaScriptEngine:
    def __init__(self, stop: StopFlag, emit: Emit) -> None:
        self._stop = stop
        self._emit = emit
        self._library = _tested_library()
        version = self._library.JS_GetVersion().decode()
        self.facts: Mapping[str, str | bool] = {
            "language_version": "ES2025",
            "library": f"quickjs-ng {version}",
            "soft_interrupt": True,
            "native_eval": True,
            "columns": True,
        }
        self._parts = [(name, (_here / name).read_text("utf-8")) for name in ("prelude.js", "values.js", "inspect.js")]
        self._libraries = [(path.name, path.read_text("utf-8")) for path in sorted((_here / "stdlib").glob("*.js"))]

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> JavaScriptState:
        realm = Realm(self._library, options.memory_bytes, self._stop.address)
        return JavaScriptState(realm, self._emit, options, catalogue, self._parts, self._libraries)


def create_engine(stop: StopFlag, emit: Emit) -> JavaScriptEngine:
    return JavaScriptEngine(stop, emit)


class JavaScriptState:
    def __init__(
        self,
        realm: Realm,
        emit: Emit,
        options: Options,
        catalogue: Mapping[str, Any],
        parts: Sequence[tuple[str, str]],
        libraries: Sequence[tuple[str, str]],
    ) -> None:
        self._realm = realm
        self._emit = emit
        self._sources = Sources()
        self._passed_on: dict[int, list[Place]] = {}
        """Where a function of the script failed that the host had called, by the effect through which the error came back."""
        realm.enter()
        with realm.undisturbed():
            prelude, values, inspect = (realm.load(source, f"llmspell:{name}") for name, source in parts)
            select = realm.apply(prelude, values, inspect, _settings(options, catalogue))
            self._hooks = {name: realm.keep(realm.apply(select, name)) for name in _HOOKS}
            realm.release(select)
            for name, source in libraries:
                realm.load(source, f"llmspell:{name}")

    # -- steps --------------------------------------------------------------------------------------------------------------------------------

    def start(self, code: str, chunk: str) -> Step:
        return self._step(lambda: self._begin(code, chunk))

    def call(self, function: str, args: msgspec.Raw, chunk: str) -> Step:
        return self._step(lambda: self._begin_call(function, bytes(args).decode()))

    def resume(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> Step:
        return self._step(lambda: self._answer(answers, invocations))

    def close(self) -> None:
        self._realm.close()

    def _step(self, action: Callable[[], Step | None]) -> Step:
        self._realm.enter()
        try:
            return action() or self._advance()
        except Stopped:
            return self._abandon(STOPPED)
        except EngineFailure as error:
            return self._abandon(Fault(code="limit", name="InternalError", message=f"the engine met its limit: {error}"))

    def _begin(self, code: str, chunk: str) -> Step | None:
        source = code.encode("utf-8", "surrogatepass")
        if len(source) > MAX_SOURCE_BYTES:
            return _too_long(len(source))
        try:
            code.encode()
        except UnicodeEncodeError:
            return Failed(Fault(code="script", name="SyntaxError", message="the source holds a lone surrogate, which is not valid Unicode"))
        self._call("begin")
        self._passed_on.clear()
        rewritten = rewrite(source)
        self._sources.add(chunk, rewritten)
        ok, value = self._realm.evaluate(rewritten.code, chunk)
        try:
            if not ok:
                return Failed(self._not_started(self._describe(value), rewritten.code))
            self._call("watch", value)
        finally:
            self._realm.release(value)
        return None

    def _begin_call(self, function: str, args: str) -> None:
        self._call("begin")
        self._passed_on.clear()
        self._call("call", function, args)

    def _not_started(self, described: _Fault, code: bytes) -> Fault:
        fault = self._fault(described)
        if fault.name == "SyntaxError" and is_module(code):
            message = "a cell is not a module: it can neither import nor export; what a script can use is there as a global"
            return Fault(code=fault.code, name=fault.name, message=message, frames=fault.frames)
        return fault

    def _answer(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> None:
        for answer in answers:
            if answer.fault is not None and answer.fault.frames:
                self._passed_on[answer.id] = answer.fault.frames
        text = _encode((answers, invocations))
        self._call("resume", text.decode(), "1" if b'"$"' in text else "0")

    def _advance(self) -> Step:
        """Runs what can run, and says what the cell came to."""
        thrown = self._pump()
        report: _Report = self._read(_decode_report, self._call("take"))
        self._print(report.printed)
        if report.open or report.returned:
            if thrown is not None:
                # an uncaught error of a job: told now, as nothing later would carry it
                return self._abandon(thrown)
            return Suspended(effects=report.effects, returned=[self._returned(item) for item in report.returned])
        rejected = self._realm.first_rejection()
        if report.outcome is None and thrown is None:
            return self._abandon(NOTHING_LEFT if rejected is None else self._fault(self._describe(rejected)))
        if report.outcome is not None and report.outcome.fault is not None:
            return self._abandon(self._fault(report.outcome.fault))
        if thrown is None and rejected is not None:
            thrown = self._fault(self._describe(rejected))
        if thrown is not None or report.outcome is None or not bytes(report.outcome.values):
            return self._abandon(thrown or NOTHING_LEFT)
        return Finished(report.outcome.values)

    def _pump(self) -> Fault | None:
        """Runs all jobs; the first error that one of them threw (queueMicrotask)."""
        first: Fault | None = None
        while (error := self._realm.pump()) is not None:
            try:
                first = first or self._fault(self._describe(error))
            finally:
                self._realm.release(error)
        return first

    def _abandon(self, fault: Fault) -> Failed:
        """Ends the cell with a fault: nothing of it goes on."""
        if fault.code == "limit":
            self._realm.relieve()
        self._realm.discard_jobs()
        try:
            with self._realm.undisturbed():
                printed = self._call("abandon")
            self._print(self._read(_decode_printed, printed))
        except EngineFailure as error:
            return Failed(
                Fault(code=fault.code, name=fault.name, message=f"{fault.message} (what it printed is lost: {error})", frames=fault.frames)
            )
        if fault.code == "limit":
            self._realm.collect_garbage()
        return Failed(fault)

    # -- questions ----------------------------------------------------------------------------------------------------------------------------

    def query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        self._realm.enter()
        if kind == "is_complete":
            return _encode(self._is_complete(text))
        arguments = (text, value.decode("utf-8", "replace")) if kind == "set" else (text,)
        try:
            reply: _Reply = self._read(_decode_reply, self._call(kind, *arguments))
        except Stopped:
            raise ScriptError("stopped", code="interrupted") from None
        except (EngineFailure, UnicodeEncodeError) as error:
            raise ScriptError(f"the engine could not answer: {error}") from None
        if bytes(reply.value):
            return bytes(reply.value)
        fault = reply.fault
        if fault is not None and fault.code == "value":
            raise ValueCrossingError(fault.message)
        raise ScriptError(fault.message if fault else "no answer", name=fault.name if fault else "")

    def _is_complete(self, text: str) -> dict[str, str]:
        code = text.encode("utf-8", "replace")
        if len(code) > MAX_SOURCE_BYTES:
            return {"status": "invalid", "indent": ""}
        error = self._realm.compiles(rewrite(code).code)
        if error is None:
            return {"status": "complete", "indent": ""}
        try:
            fault = self._describe(error)
        finally:
            self._realm.release(error)
        return status(text, fault.message, fault.stack)

    # -- between here and the prelude ---------------------------------------------------------------------------------------------------------

    def _call(self, hook: str, *arguments: str | JSValue) -> bytes:
        return self._realm.call(self._hooks[hook], *arguments)

    def _read(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise EngineFailure(f"a report that cannot be read ({error})") from None

    def _describe(self, thrown: JSValue) -> _Fault:
        fault: _Fault = self._read(_decode_fault, self._call("describe", thrown))
        return fault

    def _fault(self, fault: _Fault) -> Fault:
        frames = self._passed_on.get(fault.effect, []) + self._sources.frames(fault.stack)
        return Fault(code=fault.code, message=fault.message, name=fault.name, frames=frames, retryable=fault.retryable)

    def _returned(self, item: _Returned) -> Returned:
        return Returned(id=item.id, value=item.value, fault=self._fault(item.fault) if item.fault else None)

    def _print(self, printed: Sequence[tuple[int, str]]) -> None:
        for stream, text in printed:
            self._emit(stream, text.encode())


_HOOKS = ("begin", "call", "watch", "describe", "resume", "take", "abandon", "members", "get", "set")


def _tested_library() -> ctypes.CDLL:
    """Raises ConfigError for a library this engine cannot use, such as the archived `quickjs` in place of quickjs-ng."""
    mend = "run: pip uninstall -y quickjs; pip install --force-reinstall 'quickjs-ng>=0.17,<0.18'"
    try:
        library = load_library()
    except (OSError, AttributeError) as error:
        raise ConfigError(f"the JavaScript library lacks what this engine needs ({error}); {mend}") from None
    if not self_test(library):
        raise ConfigError(f"the JavaScript library does not pass its self-test; {mend}")
    return library


def _settings(options: Options, catalogue: Mapping[str, Any]) -> str:
    """What the prelude is told, as JSON."""
    seed = options.seed & 0xFFFF_FFFF_FFFF_FFFF
    settings = {
        "seed": [seed & 0xFFFF_FFFF, seed >> 32],
        "max_value_bytes": options.max_value_bytes,
        "memory_bytes": options.memory_bytes,
        "bridges": catalogue.get("bridges", {}),
        "resources": catalogue.get("resources", {}),
        "loops": catalogue.get("loops", {}),
    }
    return _encode(settings).decode()


def _too_long(size: int) -> Failed:
    message = f"the cell is {size} bytes long, over the limit of {MAX_SOURCE_BYTES} bytes; move data to a file or a Python variable"
    return Failed(Fault(code="limit", name="SyntaxError", message=message))
