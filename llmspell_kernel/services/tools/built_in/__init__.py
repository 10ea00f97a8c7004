"""Tools that come with the package, one file a tool or a family of them.

A tool computes, and reaches the world by the bridges it asks, so the policy of whoever called it holds.  To add one: a file with a BuiltIn, and
its name here.  Every kernel imports this package, so what is heavy is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..tool import BuiltIn
from .calculate import CALCULATE
from .csv_read import CSV_READ
from .files import FILE_LIST, FILE_READ, FILE_WRITE
from .json_query import JSON_QUERY
from .moments import DATETIME
from .text_diff import TEXT_DIFF
from .web import HTTP_REQUEST, WEB_FETCH

BUILT_INS: Sequence[BuiltIn] = (
    WEB_FETCH,
    HTTP_REQUEST,
    FILE_READ,
    FILE_WRITE,
    FILE_LIST,
    CALCULATE,
    DATETIME,
    JSON_QUERY,
    TEXT_DIFF,
    CSV_READ,
)
