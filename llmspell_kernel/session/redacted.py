"""Secrets taken out of what leaves a session by another way than its journal: output, shown things, errors.

Rules
- Every sink that a session writes to is behind a `RedactedSink`; every error that it gives or raises went through `redact_error`.
- Text is redacted per stream, as one text over all its pieces.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ..errors import Frame
from ..protocol.steps import Fault
from ..redaction import Redactor, StreamRedactor
from ..shown import Progress, Shown
from .sink import Sink

E = TypeVar("E", bound=BaseException)
MAX_CAUSES = 20


class RedactedSink:
    """A sink that shows what another one may show."""

    def __init__(self, sink: Sink, redactor: Redactor) -> None:
        self._sink = sink
        self._redactor = redactor
        self._streams: dict[str, StreamRedactor] = {}

    def write(self, stream: str, text: str) -> None:
        if not self._redactor.active:
            return self._sink.write(stream, text)
        redacted = self._streams.get(stream)
        if redacted is None:
            redacted = self._streams[stream] = self._redactor.stream()
        if shown := redacted.feed(text):
            self._sink.write(stream, shown)

    def show(self, shown: Shown, null: str) -> int:
        if not isinstance(shown, Progress):  # a bar has its place already, and changes there
            self.flush()
        return self._sink.show(redacted_shown(shown, self._redactor), null)

    def clear(self) -> None:
        self.flush()
        self._sink.clear()

    def flush(self) -> None:
        """Shows what was held back: something else comes after it, or nothing any more."""
        for name, stream in self._streams.items():
            if rest := stream.flush():
                self._sink.write(name, rest)


def redacted_shown(shown: Shown, redactor: Redactor) -> Shown:
    """The same kind of thing, without secrets in any of its fields."""
    if not redactor.active:
        return shown
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return msgspec.structs.replace(shown, **{name: redactor.redact_value(value) for name, value in fields.items()})


def redacted_fault(fault: Fault, redactor: Redactor) -> Fault:
    """What a script is told of an error."""
    if not redactor.active:
        return fault
    return msgspec.structs.replace(fault, message=redactor.redact(fault.message), capability=redactor.redact(fault.capability))


def redact_error(error: E, redactor: Redactor) -> E:
    """The same error, its texts and those of its causes changed in place: whoever shows it later shows no secret."""
    if not redactor.active:
        return error
    waiting: list[BaseException] = [error]
    known: set[int] = set()
    while waiting and len(known) < MAX_CAUSES:
        part = waiting.pop()
        if id(part) in known:
            continue
        known.add(id(part))
        part.args = tuple(_redacted(value, redactor) for value in part.args)
        for name, value in list(vars(part).items()):
            if (shown := _redacted(value, redactor)) is not value:
                vars(part)[name] = shown
        waiting += [cause for cause in (part.__cause__, part.__context__) if cause is not None]
    return error


def _redacted(value: Any, redactor: Redactor) -> Any:
    """Of texts, and of the places that errors name."""
    match value:
        case str():
            return redactor.redact(value)
        case list() | tuple() if value and all(isinstance(part, (str, Frame)) for part in value):
            return type(value)(
                part._replace(chunk=redactor.redact(part.chunk), function=redactor.redact(part.function))
                if isinstance(part, Frame)
                else redactor.redact(part)
                for part in value
            )
    return value
