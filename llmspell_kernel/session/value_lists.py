"""Lists of values that cross one by one, such as arguments and results: each may be nested as deep as a value alone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..errors import ValueCrossingError
from ..host_types._crossing import written as written_value
from ..values import Value, check_items, loads
from .met_limits import met

_items: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def read_values(written: bytes | msgspec.Raw, what: str, *, empty_as_object: bool = True) -> list[Value]:
    """The values of a JSON array that an untrusted worker sent.  Raises ValueCrossingError; `what` names the whole."""
    check_items(written)
    try:
        items = _items.decode(written)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueCrossingError(f"{what} are not a list of values: {error}") from None
    return [loads(item, empty_as_object=empty_as_object) for item in items]


def check_size(written: bytes | msgspec.Raw, what: str, limit: int) -> None:
    """Raises LimitError where a written form is over the policy's size of one value."""
    if len(written) > limit:
        message = f"{what}: {len(written)} bytes, the limit of one value is {limit} bytes; pass less, or in parts"
        raise met("value_bytes", limit, len(written), message=message)


def write_values(values: Iterable[Value]) -> msgspec.Raw:
    texts = (written_value(value, f"argument {position}")[1] for position, value in enumerate(values, 1))
    return msgspec.Raw(b"[" + b",".join(texts) + b"]")
