"""Queries and bodies of requests, from a script's values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.values import EmptyTable

from .options import Parameter, RequestOptions

FORM = "application/x-www-form-urlencoded"


def query_of(parameters: Mapping[str, Parameter | list[Parameter]] | None, option: str = "query") -> str:
    """The parameters as a URL and a form have them.  Raises ArgumentError for a text that is not Unicode."""
    pairs = [(name, _text(item)) for name, value in (parameters or {}).items() for item in (value if isinstance(value, list) else [value])]
    try:
        return urlencode(pairs)
    except UnicodeEncodeError:
        raise ArgumentError(f"{option} holds a lone surrogate, which is not valid Unicode") from None


def body_of(options: RequestOptions) -> tuple[bytes | None, str]:
    """(body, its content type), None for no body.  Raises ArgumentError for two bodies and for values that JSON has no words for."""
    given = [name for name in ("json", "form", "body") if getattr(options, name) is not None]
    match given:
        case []:
            return None, ""
        case ["json"]:
            return _json(options.json), "application/json"
        case ["form"]:
            return query_of(options.form, "form").encode("ascii"), FORM
        case ["body"]:
            return _plain(options.body)
    raise ArgumentError(f"a request has one body, not {len(given)}: leave out all but one of {', '.join(given)}")


def _plain(body: bytes | None) -> tuple[bytes, str]:
    """A text has become its UTF-8 on the way here."""
    body = body or b""
    try:
        body.decode()
    except UnicodeDecodeError:
        return body, "application/octet-stream"
    return body, "text/plain; charset=utf-8"


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(_checked(value, "json"))
    except (UnicodeEncodeError, msgspec.MsgspecError):
        raise ArgumentError("json holds a text or a number that JSON has no words for") from None


def _checked(value: Any, path: str) -> Any:
    """The value, which came over the border and so is not too deep; functions, bytes and what the host keeps are no JSON."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and value - value == 0:  # finite
        return value
    if isinstance(value, EmptyTable):
        return {}
    if type(value) is list:
        return [_checked(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if type(value) is dict:
        return {key: _checked(item, f"{path}.{key}") for key, item in value.items()}
    kind = {bytes: "bytes", float: "a number that is not finite"}.get(type(value), "a function or a thing that the host keeps")
    raise ArgumentError(f"{path} is {kind}, which JSON has no words for")


def _text(value: Parameter) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value)
