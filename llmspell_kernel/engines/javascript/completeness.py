"""Is a cell complete?  Decided by the engine's own parser: an error at the end of the text is one that more text may mend."""

from __future__ import annotations

_OPEN_TO_THE_END = ("unexpected end of comment", "unexpected end of template", "Unexpected end of input")


def status(text: str, message: str, stack: str) -> dict[str, str | int]:
    """The answer to `is_complete` for code that the parser refused with this message and stack."""
    found: dict[str, str | int] = {"message": message, "line": _position(stack)[0]}
    if any(part in message for part in _OPEN_TO_THE_END) or _unclosed_template(text, message, stack) or _at_the_end(text, stack):
        return {"status": "incomplete", "indent": indent(text), **found}
    return {"status": "invalid", "indent": "", **found}


def indent(text: str) -> str:
    """The white space the next line should start with."""
    last = next((line for line in reversed(text.split("\n")) if line.strip()), "")
    deeper = "  " if last.rstrip().endswith(("{", "(", "[", "=>")) else ""
    return last[: len(last) - len(last.lstrip())] + deeper


def _position(stack: str) -> tuple[int, int]:
    """Line and byte column, from 1, of the first frame; (0, 0) where there is none."""
    head, _, column = stack.partition("\n")[0].rpartition(":")
    line = head.rpartition(":")[2]
    return (int(line), int(column)) if line.isdigit() and column.isdigit() else (0, 0)


def _before(text: str, stack: str) -> bytes | None:
    line, column = _position(stack)
    lines = text.encode("utf-8", "replace").split(b"\n")
    if not 1 <= line <= len(lines):
        return None
    return b"\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])


def _at_the_end(text: str, stack: str) -> bool:
    before = _before(text, stack)
    return before is not None and not text.encode("utf-8", "replace")[len(before) :].strip()


def _unclosed_template(text: str, message: str, stack: str) -> bool:
    """A string that never ends is incomplete if a backtick opened it: a quoted one cannot go on in the next line."""
    before = _before(text, stack)
    return "end of string" in message and before is not None and text.encode("utf-8", "replace")[len(before) :].startswith(b"`")
