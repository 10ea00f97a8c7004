"""Which files and keys scripts may keep: the table [files]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class FilePolicy(NamedTuple):
    root: str = "llmspell-files"
    """The folder of scripts' files, from the notebook's or project's folder on; it is made when a script first writes there."""
    read_only: bool = False
    """May scripts read files, and write none?"""


TIGHTER: Mapping[str, str] = {}
