"""What bytes a message may bring along: their media type, told from their first bytes and never from what somebody says of them alone."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from llmspell_kernel.errors import ArgumentError, LimitError

MAX_BYTES = 8_000_000
"""Of one picture or file: in base64 it is a third more, and messages cross into scripts."""
_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TYPE = re.compile(r"[a-z]{1,40}/[a-zA-Z0-9.+-]{1,80}")
_DATA_URL = re.compile(r"data:([a-z]+/[a-zA-Z0-9.+-]+);base64,(.*)", re.DOTALL)
Detail = Literal["low", "high", "auto"]


class PictureSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a picture comes from: one of the first three.

    - url: an address that http.get may ask, or a data: URL
    - file: a file of storage
    - data: bytes, or their base64
    - detail: how closely the model looks: "low", "high" or "auto"
    """

    url: str | None = None
    file: str | None = None
    data: bytes | None = None
    detail: Detail | None = None


class FileSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a file comes from: one of the first three.

    - url: an address that http.get may ask, or a data: URL
    - file: a file of storage
    - data: bytes, or their base64
    - filename: what the model is told that it is called
    - media_type: such as application/pdf, where its first bytes do not tell
    """

    url: str | None = None
    file: str | None = None
    data: bytes | None = None
    filename: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    media_type: str | None = None


def image_type(data: bytes) -> str:
    """Raises ArgumentError for what is no picture that models take."""
    for beginning, name in _IMAGES:
        if data.startswith(beginning):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise ArgumentError("these bytes are no picture that models take: PNG, JPEG, GIF or WebP")


def file_type(data: bytes, said: str | None) -> str:
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    if said is None:
        try:
            data.decode()
        except UnicodeDecodeError:
            raise ArgumentError("say the media_type of the file, such as application/msword: its first bytes do not tell") from None
        return "text/plain"
    if not _TYPE.fullmatch(said):
        raise ArgumentError("media_type must be one such as application/pdf")
    return said


def image_part(data: bytes, detail: str | None) -> dict[str, Any]:
    """A part of a message, as the chat form has it."""
    shown = {"url": _data_url(data, image_type(data))}
    return {"type": "image_url", "image_url": {**shown, **({} if detail is None else {"detail": detail})}}


def file_part(data: bytes, said: str | None, filename: str | None) -> dict[str, Any]:
    told: Mapping[str, str] = {} if filename is None else {"filename": filename}
    return {"type": "file", "file": {"file_data": _data_url(data, file_type(data, said)), **told}}


def bytes_of(data: bytes) -> bytes:
    """Those that were given, or what their base64 is: a script has often no other form of them.  Raises ArgumentError."""
    if len(data) > 2 * MAX_BYTES:
        raise _too_large(len(data))
    try:
        data.decode("ascii")
        text = b"".join(data.split())
        decoded = base64.b64decode(text, validate=True)
    except (UnicodeDecodeError, binascii.Error, ValueError):
        decoded = data
    return checked(decoded or data)


def data_url_bytes(url: str) -> bytes:
    """Raises ArgumentError for a data: URL that is none."""
    found = _DATA_URL.fullmatch(url) if len(url) <= 2 * MAX_BYTES else None
    try:
        if found is not None:
            return checked(base64.b64decode(found[2], validate=True))
    except (binascii.Error, ValueError):
        pass
    raise ArgumentError(f"a data: URL must be data:image/png;base64,... of at most {MAX_BYTES:,} bytes")


def checked(data: bytes) -> bytes:
    if not data:
        raise ArgumentError("there are no bytes in it")
    if len(data) > MAX_BYTES:
        raise _too_large(len(data))
    return data


def _too_large(size: int) -> LimitError:
    return LimitError(
        f"{size:,} bytes are more than the {MAX_BYTES:,} that a message brings along", limit="part_bytes", value=MAX_BYTES, used=size
    )


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
