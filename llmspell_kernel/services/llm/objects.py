"""Answers that are to fit a JSON Schema: how a model is asked for one, how its text is read, and how it is told what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from llmspell_kernel.errors import ArgumentError

from .models import ChatOptions

MAX_REPAIRED_CHARS, MAX_REPAIRED_BRACKETS = 100_000, 500
"""Of an answer whose JSON is malformed: the time of the library that repairs it grows with the square of its open brackets (measured: 8 s for
5,000 times `{"`), and a script can have any text echoed."""


class ObjectOptions(ChatOptions, frozen=True, forbid_unknown_fields=True):
    """How to answer: all that `llm.chat` takes, and

    - attempts: how often the model is asked at the most, 1 to 10
    """

    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3


class Answer(NamedTuple):
    """`value` is meaningless where there are `problems`."""

    value: Any
    problems: list[str]


class ObjectRequest:
    """One schema and how it is asked for.  Raises ArgumentError for what is no schema."""

    def __init__(self, schema: dict[str, Any], options: ObjectOptions) -> None:
        from ..schema.short_form import document_of
        from ..schema.validation import Schema  # 150 ms

        if options.response_format is not None:
            raise ArgumentError("llm.object sets response_format from the schema; leave the option out, or use llm.chat")
        self._schema = Schema(document_of(schema))
        self._asked = options
        self.attempts = options.attempts

    def options(self, native: bool) -> ChatOptions:
        """`native`: can the model be held to the schema?  Else it is told it."""
        fields = {name: getattr(self._asked, name) for name in ChatOptions.__struct_fields__}
        if native:
            form = {"name": "answer", "schema": self._schema.document}
            return ChatOptions(**{**fields, "response_format": {"type": "json_schema", "json_schema": form}})
        told = f"Answer with one JSON value that fits this JSON Schema, and with nothing else:\n{json.dumps(self._schema.document)}"
        return ChatOptions(**{**fields, "system": f"{self._asked.system}\n\n{told}" if self._asked.system else told})

    def read(self, text: str) -> Answer:
        value = _value_of(text)
        if value is None and text.strip() != "null":
            return Answer(None, ["there is no JSON in it"])
        return Answer(value, [str(problem) for problem in self._schema.problems(value)])

    @staticmethod
    def again(messages: str | Sequence[dict[str, Any]], text: str, problems: Sequence[str]) -> list[dict[str, Any]]:
        """The conversation with the answer that does not fit, and what is wrong with it."""
        before = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        wrong = "\n".join(f"- {problem}" for problem in problems)
        said = f"That does not fit the schema:\n{wrong}\nAnswer again, with the whole JSON value and nothing else."
        return [*before, {"role": "assistant", "content": text or "(nothing)"}, {"role": "user", "content": said}]


def _value_of(text: str) -> Any:
    """The JSON value in a model's text, None where there is none."""
    for whole in (text, _between_brackets(text)):
        try:
            return msgspec.json.decode(whole)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    if len(text) > MAX_REPAIRED_CHARS or text.count("{") + text.count("[") > MAX_REPAIRED_BRACKETS:
        return None
    import json_repair  # only for what is broken

    try:
        value = json_repair.repair_json(text, return_objects=True)
    except (RecursionError, ValueError):  # nested beyond what it follows
        return None
    return None if value == "" else value


def _between_brackets(text: str) -> str:
    """Without what models write around a value: fences, and a word before and after it."""
    starts = [place for bracket in "{[" if (place := text.find(bracket)) >= 0]
    return text[min(starts) : max(text.rfind("}"), text.rfind("]")) + 1] if starts else ""
