"""What is published: data by MIME type, and the metadata beside it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Bundle(NamedTuple):
    """Numbers that differ from run to run stand in `metadata` only, which notebook tests do not compare."""

    data: dict[str, Any]
    metadata: dict[str, Any]
