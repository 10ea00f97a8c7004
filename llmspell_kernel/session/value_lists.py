"""Lists of values that cross one by one, such as arguments and results: each may be nested as deep as a value alone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..errors import ValueCrossingError
from ..host_types._crossing import written as written_value
from ..values import OBJECT_BYTES, Value, check_items, counted_bytes, loads
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


def read_arguments(written: bytes | msgspec.Raw, limit: int) -> list[Value]:
    """Those of a call.  Raises ValueCrossingError, and LimitError where they are over the policy's size of one value."""
    check_size(written, "the arguments", limit)
    return read_values(written, "the arguments", empty_as_object=False)


def read_results(written: bytes | msgspec.Raw, limit: int) -> list[Value]:
    """Those of a cell; as `read_arguments`."""
    check_size(written, "the results", limit)
    return read_values(written, "the results")


def read_value(written: bytes | msgspec.Raw, what: str, limit: int, empty_as_object: bool) -> Value:
    """One alone; as `read_arguments`."""
    check_size(written, what, limit)
    return loads(written, empty_as_object=empty_as_object)


def check_size(written: bytes | msgspec.Raw, what: str, limit: int) -> None:
    """Raises LimitError where a written form is over the policy's size of one value, before anything is made of it."""
    if len(written) * OBJECT_BYTES <= limit or (counted := counted_bytes(written, limit)) <= limit:
        return
    size = f"{len(written)} bytes"
    if counted > len(written):  # the whole count is not known
        size = f"{size} that hold so many objects, lists and strings that they count as more than {limit}"
    message = f"{what}: {size}, the limit of one value is {limit} bytes; pass less, or in parts"
    raise met("value_bytes", limit, counted, message=message)


def write_values(values: Iterable[Value]) -> msgspec.Raw:
    texts = (written_value(value, f"argument {position}")[1] for position, value in enumerate(values, 1))
    return msgspec.Raw(b"[" + b",".join(texts) + b"]")
