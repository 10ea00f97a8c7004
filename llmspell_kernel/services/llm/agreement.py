"""Whether answers say the same.  Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from .models import ChatOptions

MAX_ANSWERS = 50
_EDGES = " \t\r\n.,;:!?\"'`*_()[]"


class ConsensusOptions(ChatOptions, frozen=True, forbid_unknown_fields=True):
    """How to answer: all that `llm.chat` takes but the model, and

    - strategy: "majority" takes what most answers say, "judge" the one that a model chooses, "synthesize" what a model makes of them all
    - judge: the model that chooses or writes; else the first of the models
    """

    strategy: Literal["majority", "judge", "synthesize"] = "majority"
    judge: str | None = None


def votes_of(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`{text, count, models}` for each different answer, the most frequent first, and of as many the one that came first in the list.

    Answers are the same where they differ in case, white space, and marks around them alone.
    """
    groups: dict[str, dict[str, Any]] = {}
    for answer in answers:
        group = groups.setdefault(plain(answer["text"]), {"text": answer["text"], "count": 0, "models": []})
        group["count"] += 1
        group["models"].append(answer["model"])
    return sorted(groups.values(), key=lambda group: -group["count"])


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip(_EDGES).casefold()
