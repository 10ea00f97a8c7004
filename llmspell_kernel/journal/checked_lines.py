"""Lines of JSON that end with a checksum of themselves: what was damaged or edited is found, and never taken for something else.  Pure."""

from __future__ import annotations

import hashlib

from ..errors import LoadError

MAX_BYTES = 256 * 1024 * 1024
MAX_LINES = 200_000
SUM_CHARS = 16
_SUM = b',"sum":"'
_SUM_BYTES = len(_SUM) + SUM_CHARS + len(b'"}')


def with_sum(text: bytes) -> bytes:
    """A line; `text` is an object of JSON that is not empty."""
    return text[:-1] + _SUM + _sum(text) + b'"}\n'


def read_lines(data: bytes, name: str) -> list[bytes]:
    """The objects, without their checksums.  A last line without its end is left out: whoever wrote it was killed, and told nobody of it.

    Raises LoadError naming the file, and the line that is damaged.
    """
    if len(data) > MAX_BYTES:
        raise LoadError(f"is larger than {MAX_BYTES // (1024 * 1024)} MiB: is it the right file?", file=name)
    lines = data.split(b"\n")[:-1]
    if not lines:
        raise LoadError("has no whole line: it is empty, or was never written", file=name)
    if len(lines) > MAX_LINES:
        raise LoadError(f"has more than {MAX_LINES:,} lines", file=name)
    return [_checked(line, number, name) for number, line in enumerate(lines, 1)]


def _sum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:SUM_CHARS].encode()


def _checked(line: bytes, number: int, name: str) -> bytes:
    text = line[:-_SUM_BYTES] + b"}"
    if line[-_SUM_BYTES:] != _SUM + _sum(text) + b'"}':
        raise LoadError("does not have the checksum it was written with: it was edited or damaged; make it anew", file=name, line=number)
    return text
