"""Journal events -> a terminal: a model's text as it arrives, and one line about each call that used a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..journal.events import AnyEvent, CallChunk, CallFailed, CallFinished, CallStarted, CallUsage
from ._terminal import Terminal

LLM = "llm"
STREAM = "stream"
"""`llm.stream` is over when the script has its stream: the text that comes later is the script's to print, and its usage comes last."""


@dataclass(slots=True)
class _Call:
    name: str
    text: list[str] = field(default_factory=list)
    usage: CallUsage | None = None
    duration_s: float | None = None
    """Set when the call has ended."""
    replayed: bool = False


class _Stream(NamedTuple):
    began_s: float
    replayed: bool = False


class ModelText:
    """A listener of the recorder.  Of several calls at once one is shown live; the others wait their turn, so that no two texts mix."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._calls: dict[int, _Call] = {}
        self._streams: dict[int, _Stream] = {}
        self._live: int | None = None

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case CallStarted(call=number, bridge=bridge, method=method, time=time) if bridge == LLM and method == STREAM:
                self._streams[number] = _Stream(time)
            case CallFinished(call=number, replayed=replayed) if number in self._streams:
                self._streams[number] = self._streams[number]._replace(replayed=replayed)
            case CallUsage(call=number, time=time) if number in self._streams:
                stream = self._streams.pop(number)
                self._terminal.note(summary(f"{LLM}.{STREAM}", event, time - stream.began_s, replayed=stream.replayed))
            case CallStarted(call=number, bridge=bridge, method=method) if bridge == LLM:
                self._calls[number] = _Call(f"{bridge}.{method}")
            case CallChunk(call=number, text=text) if number in self._calls:
                self._add(number, text)
            case CallUsage(call=number) if number in self._calls:
                self._calls[number].usage = event
            case CallFinished(call=number, duration_s=duration_s) | CallFailed(call=number, duration_s=duration_s) if number in self._calls:
                self._calls[number].duration_s = duration_s
                self._calls[number].replayed = isinstance(event, CallFinished) and event.replayed
                self._advance()

    def _add(self, number: int, text: str) -> None:
        call = self._calls[number]
        call.text.append(text)
        if self._live == number:
            self._terminal.model_text(text)
        else:
            self._advance()

    def _advance(self) -> None:
        """Ends the live call if it is over, and goes on with the oldest one that has something to show."""
        while True:
            if self._live is not None:
                if self._calls[self._live].duration_s is None:
                    return
                self._end(self._calls.pop(self._live))
            self._live = next((number for number, call in self._calls.items() if call.text or call.duration_s is not None), None)
            if self._live is None:
                return
            self._terminal.model_text("".join(self._calls[self._live].text))

    def _end(self, call: _Call) -> None:
        if call.text:
            self._terminal.end_model_text("".join(call.text))
        if call.usage is not None:
            self._terminal.note(summary(call.name, call.usage, call.duration_s, replayed=call.replayed))


def summary(name: str, usage: CallUsage, duration_s: float | None, *, replayed: bool = False) -> str:
    """`llm.chat spell/local 31 tokens $0.0000 0.8 s`; what a cassette answered took no time and cost nothing."""
    if replayed:
        return f"{name} {usage.model} {usage.input_tokens + usage.output_tokens} tokens replayed, nothing was sent"
    cost = "price unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    parts = [name, usage.model, f"{usage.input_tokens + usage.output_tokens} tokens", cost]
    if duration_s is not None:
        parts.append(f"{duration_s:.1f} s")
    return " ".join(part for part in parts if part)
