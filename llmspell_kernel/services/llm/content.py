"""Parts of a message that are no text.

Rules
- A part brings its content with it, as a `data:` URL.  Some of the libraries behind a model open what a URL or a path names, on this machine and
  past the network policy: a script that wants a picture of the web asks for it with `http.get` and sends what came.
- Kinds and keys are listed; what is not listed is refused, so that a newer library finds nothing to act on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError, nearest

_DATA = re.compile(r"data:[a-z]+/[a-zA-Z0-9.+-]+;base64,[A-Za-z0-9+/=_-]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,200}(/[A-Za-z0-9.+-]{1,100})?")  # also image/png


def part_of(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The part, checked.  Raises ArgumentError naming what is wrong."""
    kind = part.get("type")
    check = _KINDS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise ArgumentError(f"{where} has a part of the unknown type {str(kind)[:40]!r}{nearest(str(kind), list(_KINDS))}")
    return check(part, where)


def _text(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = _keys(part, ("type", "text", "cache_control"), where)
    if not isinstance(found.get("text"), str):
        raise ArgumentError(f"a part of {where} has the type text and needs a text")
    return found


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = _keys(part, ("type", "image_url", "cache_control"), where)
    image = found.get("image_url")
    image = _keys(image if isinstance(image, Mapping) else {"url": image}, ("url", "detail", "format"), where)
    _check(
        image.get("url"), _DATA, f"the image_url of {where} must be a data: URL (data:image/png;base64,...); get a picture with http.get"
    )
    _check_words(image, ("detail", "format"), where)
    return {**found, "image_url": image}


def _audio(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = _keys(part, ("type", "input_audio"), where)
    audio = found.get("input_audio")
    audio = _keys(audio if isinstance(audio, Mapping) else {}, ("data", "format"), where)
    _check(audio.get("data"), _BASE64, f"the input_audio of {where} must have data in base64")
    _check_words(audio, ("format",), where)
    return {**found, "input_audio": audio}


def _file(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = _keys(part, ("type", "file"), where)
    file = found.get("file")
    file = _keys(file if isinstance(file, Mapping) else {}, ("file_data", "filename", "format"), where)
    _check(file.get("file_data"), _DATA, f"the file of {where} must have file_data as a data: URL (data:application/pdf;base64,...)")
    _check_words(file, ("filename", "format"), where)
    return {**found, "file": file}


_KINDS: Mapping[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def _keys(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> dict[str, Any]:
    for key in found:
        if key not in known:
            raise ArgumentError(f"a part of {where} has an unknown key '{str(key)[:40]}'{nearest(str(key), known)}")
    return dict(found)


def _check(value: Any, form: re.Pattern[str], told: str) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ArgumentError(told)


def _check_words(found: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name in found:
            _check(found[name], _WORD, f"the {name} of a part of {where} must be a short text of letters and digits")
