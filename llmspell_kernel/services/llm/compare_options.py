"""What a script may say of a comparison."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .batches import Concurrency

Times = Annotated[int, msgspec.Meta(ge=1, le=100)]


class CompareOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is compared: every prompt with every model, every value of the parameters, and every case.

    - prompts: a text with places such as {{city}}, or a list of texts, of lists of messages, and of tables {name, text}, {name, messages} or
      {template, version}, which names one that prompt.template keeps
    - models: names of models; else the session's
    - cases: tables of values for the places of the prompts
    - params: options of llm.chat; where one has a list, each of its values is tried
    - checks: functions, and tables of equals, contains, regex, schema, max_cost (US dollars), max_latency (ms), fn, or judge and criterion
    - repeat: how often each is asked, 1 to 100
    - repeats: the same, as repeat is a word of Lua's own
    - concurrency: how many are asked at once, 1 to 200
    """

    prompts: str | list[Any]
    models: str | list[str] | None = None
    cases: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    checks: list[Any] = []
    repeat: Times | None = None
    repeats: Times | None = None
    concurrency: Concurrency = 8
