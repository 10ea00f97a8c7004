"""`spell/scripted`: answers, tool calls, delays and errors from a script; the model of all tests.

The script is a list of entries, given in Python by `Scripted.load` or as a JSON file named by the variable LLMSPELL_SCRIPT.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec

from llmspell_kernel.errors import BridgeError, ConfigError

from .models import AT_ONCE, Delta, Request, ToolCall, Usage, count_words, last_user_text, words_of
from .worst_case import FREE


class ScriptedError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str = "bridge"
    message: str = "scripted error"
    retryable: bool = False


class ScriptedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] | str = {}
    id: str = ""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer.  `chunks` instead of `text` says how it is cut; `delay_s` passes before each chunk; `error` comes after them.

    `match`: the entry waits for a prompt whose last user text contains this.  An entry is used once.
    """

    text: str = ""
    chunks: list[str] = []
    delay_s: float = 0.0
    tool_calls: list[ScriptedCall] = []
    error: ScriptedError | None = None
    usage: Usage | None = None
    finish_reason: str = ""
    match: str = ""


class Scripted:
    """The queue of entries; `seen` holds every request, for tests to look at."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._entries: list[Entry] = []
        self._given = 0
        self.seen: list[Request] = []
        self.facts = FREE
        """The prices that are expected of it; what an answer then costs, its entry's `usage` says."""

    def load(self, entries: Iterable[Mapping[str, Any] | Entry | str]) -> None:
        """Adds answers to the queue; a text is an answer with that text.  Raises ConfigError for a wrong entry."""
        self._entries.extend(_entry(entry) for entry in entries)

    async def prepare(self) -> None:
        if self._file:
            file, self._file = self._file, ""
            self.load(_read(file))

    def turn(self) -> AbstractAsyncContextManager[None]:
        return AT_ONCE

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.seen.append(request)
        entry = self._take(last_user_text(request.messages))
        chunks = entry.chunks or words_of(entry.text)
        asked = count_words(request.messages)
        for said, chunk in enumerate(chunks, 1):
            await asyncio.sleep(entry.delay_s)
            yield Delta(text=chunk, usage=Usage(asked, said, 0, 0.0))
        if entry.error:
            if not chunks:
                await asyncio.sleep(entry.delay_s)
            raise BridgeError(entry.error.message, retryable=entry.error.retryable, code=entry.error.code)
        calls = [
            ToolCall(call.id or f"call_{self._given}_{number}", call.name, call.arguments)
            for number, call in enumerate(entry.tool_calls, 1)
        ]
        usage = entry.usage or Usage(asked, len(chunks))
        if usage.cost_usd is None:
            usage = msgspec.structs.replace(usage, cost_usd=0.0)
        yield Delta(tool_calls=calls, finish_reason=entry.finish_reason or ("tool_calls" if calls else "stop"), usage=usage)

    def _take(self, text: str) -> Entry:
        for index, entry in enumerate(self._entries):
            if entry.match in text:
                self._given += 1
                return self._entries.pop(index)
        if self._entries:
            wanted = ", ".join(repr(entry.match) for entry in self._entries[:5])
            raise BridgeError(
                f"no answer left in the script of spell/scripted matches this prompt (waiting for: {wanted})", code="script_exhausted"
            )
        raise BridgeError(
            f"the script of spell/scripted is used up ({self._given} answers given); "
            "add entries to the file named by LLMSPELL_SCRIPT, or load more in Python",
            code="script_exhausted",
        )


def _entry(entry: Mapping[str, Any] | Entry | str) -> Entry:
    if isinstance(entry, Entry):
        return entry
    if isinstance(entry, str):
        return Entry(text=entry)
    try:
        return msgspec.convert(entry, Entry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a wrong entry for spell/scripted: {error}") from None


def _read(file: str) -> list[Entry]:
    path = Path(file)
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Entry])
    except OSError as error:
        raise ConfigError(f"LLMSPELL_SCRIPT names a file that cannot be read ({path.name}: {error.strerror})") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"LLMSPELL_SCRIPT ({path.name}) is not a JSON list of scripted answers: {error}") from None
