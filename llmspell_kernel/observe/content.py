"""What of an event is a prompt, an answer or anything else that may quote them, and whether the user wants it told.  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from ..journal.event_text import line_of
from ..journal.events import AnyEvent, CallChunk, CallDenied, CallFailed, Logged, Retried

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The variable of OpenTelemetry's own instrumentations: `true`, or one of `span_only`, `event_only`, `span_and_event`."""
NAME_CHARS = 200
CONTENT_CHARS = 32 * 1024
_FACTS = frozenset(
    {
        *("cell", "time", "engine", "state", "chunk", "function", "status", "duration_s", "script_time_s", "output_bytes"),
        *("call", "bridge", "method", "parent", "target", "replayed", "retryable", "cancelled", "capability", "allowed", "waited_s"),
        *("model", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "attempts", "finish_reason"),
        *("level", "resource", "type", "why", "reason", "cells", "seed"),
        *("attempt", "wait_s", "budget", "used", "limit"),
    }
)
"""Fields that are no content in any event; a field that is not named here is content."""
_MORE_FACTS: Mapping[type, Sequence[str]] = {CallFailed: ("code",), CallDenied: ("code",), Retried: ("code",), Logged: ("message",)}
"""What a script writes to its log, it writes to be read there.  The source of a cell is called `code` too."""


def in_spans(environ: Mapping[str, str]) -> bool:
    return environ.get(CAPTURE, "").strip().lower() in ("true", "span_only", "span_and_event")


def in_logs(environ: Mapping[str, str]) -> bool:
    return environ.get(CAPTURE, "").strip().lower() in ("true", "event_only", "span_and_event")


def whole_line(event: AnyEvent) -> str:
    """The event as one line of JSON, with everything that is in it."""
    return line_of(event).decode().rstrip("\n")


def fact_line(event: AnyEvent) -> str:
    """The event as one line of JSON, without content: of a piece of text there is its length."""
    facts: dict[str, Any] = {"event": type(event).__name__}
    for name in _facts_of(type(event)):
        value = getattr(event, name)
        facts[name] = cut(value, CONTENT_CHARS) if type(value) is str else value
    if isinstance(event, CallChunk):
        facts["chars"] = len(event.text)
    return msgspec.json.encode(facts).decode()


@cache
def _facts_of(kind: type[AnyEvent]) -> list[str]:
    return [name for name in kind.__struct_fields__ if name in _FACTS or name in _MORE_FACTS.get(kind, ())]


def cut(text: str, chars: int = NAME_CHARS) -> str:
    """The text, short, and in valid Unicode: a script's may hold lone surrogates."""
    return text[:chars].encode("utf-8", "replace").decode()


def input_messages(arguments: Sequence[Any]) -> str:
    """The question of a call, as the GenAI conventions write messages; "" where it has none."""
    match arguments[:1]:
        case [str(text)]:
            return _messages([("user", text)])
        case [list(messages)]:
            said = [message for message in messages if isinstance(message, dict)]
            return _messages([(str(message.get("role", "")), message.get("content", "")) for message in said])
    return ""


def output_messages(text: str, finish_reason: str) -> str:
    return _messages([("assistant", text)], {"finish_reason": finish_reason} if finish_reason else {})


def _messages(said: Sequence[tuple[str, Any]], more: Mapping[str, str] | None = None) -> str:
    """JSON that is cut stays JSON: each text is cut by itself, and messages beyond the room are left out."""
    room, out = CONTENT_CHARS, []
    for role, content in said:
        text = cut(content if isinstance(content, str) else repr(content)[:CONTENT_CHARS], room)
        room -= len(text)
        out.append({"role": cut(role), "parts": [{"type": "text", "content": text}], **(more or {})})
        if room <= 0:
            break
    return json.dumps(out, ensure_ascii=False)
