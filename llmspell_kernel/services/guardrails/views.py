"""What a guardrail looks at of a call: what is sent to a model, what it answers, what a tool is given or gives.

Rules
- Whatever of an argument is sent is looked at, unless it is named here: an option or a member that comes later is looked at too.
- Left out are: the name of the model, roles, kinds of parts and calls, ids of calls that look like ids, and what parts hold as base64.
- Numbers, names and bytes are looked at as well as texts; a yes or no is not.
- What a message or a part may not have is refused before it is sent (services.llm.messages, services.llm.content).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .texts import NO_FIXED, Change, Fixed, Walk, fixed_of, inside, is_bound, mapped, names_of, numbers_of, raw_of, texts_of, with_texts

_ID = re.compile(r"[A-Za-z0-9_.:|-]{1,128}")
"""Ids of calls are made by chance, as keys are, and a call and its result must keep the same one; an address or a sentence is none."""
_WORDS = "string number integer boolean object array null function json json_object json_schema text auto none required"
"""Of schemas and options, that say what something is."""
_KEYS = (
    "type function name description parameters strict json_schema schema properties required items additionalProperties enum const default"
    " examples title format pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems"
    " uniqueItems minProperties maxProperties anyOf oneOf allOf not if then else $ref $defs definitions $schema $id prefixItems contains"
    " patternProperties propertyNames dependentRequired dependentSchemas"
)
"""Of tools and schemas: a pattern that stands in one of these is no finding."""
_PART_KEYS = "type text cache_control ttl image_url url detail format input_audio data file file_data filename"
_SETTINGS = (
    "temperature max_tokens maxTokens top_p topP seed timeout_s timeoutS retries minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
    " minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains"
)
"""Of options and schemas, that are numbers: what is small there says how to answer, and is no word of anybody's."""
_WORDS_KNOWN, _KEYS_KNOWN = frozenset(_WORDS.split()), frozenset(_KEYS.split())
_PART_KEYS_KNOWN, _SETTINGS_KNOWN = frozenset(_PART_KEYS.split()), frozenset(_SETTINGS.split())


class View(NamedTuple):
    """`said` meets every check; `beside`, which describes tools or calls them, is only searched: it has no length or topic of an answer's.

    What is `fixed` is looked through, and nothing can take its place.  `runs` are places in `texts` of what is read as one text.
    """

    said: Any
    walk: Walk = mapped
    beside: Any = None
    walk_beside: Walk = mapped
    fixed: Fixed = NO_FIXED
    runs: Sequence[Sequence[int]] = ()

    @property
    def texts(self) -> list[str]:
        return texts_of(self.said, self.walk)

    @property
    def texts_beside(self) -> list[str]:
        return texts_of(self.beside, self.walk_beside)

    @property
    def is_bound(self) -> bool:
        return is_bound([self.said, self.beside])

    def with_texts(self, texts: list[str]) -> View:
        """With others for those of `texts` and then `texts_beside`."""
        count = len(self.texts)
        return self._replace(
            said=with_texts(self.said, texts[:count], self.walk), beside=with_texts(self.beside, texts[count:], self.walk_beside)
        )


def sent(prompt: Any, options: Sequence[Mapping[str, Any]]) -> View:
    """A prompt, and each table of options: `said` is the prompt and their `system`, `beside` has all the others but the model."""
    beside = [{key: value for key, value in one.items() if key not in ("model", "system")} for one in options]
    said = [prompt, *(one.get("system") for one in options)] if options else [prompt, None]
    names = [*_names_of_messages(prompt), *(name for one in beside for value in one.values() for name in _names(value))]
    numbers = [*numbers_of(said), *numbers_of(beside, _SETTINGS_KNOWN)]
    return View(said, _sent, beside, _described, Fixed(names, numbers, raw_of([said, beside])), _runs(prompt))


def answered(text: Any, tool_calls: Any = None) -> View:
    """An answer, and the tools that it calls."""
    if not isinstance(tool_calls, list) or not tool_calls:
        return View(text, fixed=fixed_of(text))
    fixed = Fixed([*names_of(text), *_names_in(tool_calls)], numbers_of([text, tool_calls]), raw_of([text, tool_calls]))
    return View(text, mapped, tool_calls, _tool_calls, fixed)


def exchanged(value: Any) -> View:
    """What a tool is given or gives, whole."""
    return View(value, fixed=fixed_of(value))


def _sent(said: Any, change: Change) -> Any:
    prompt, *systems = said
    entries = [_message(entry, change) for entry in prompt] if isinstance(prompt, (list, tuple)) else mapped(prompt, change)
    return [entries, *mapped(systems, change)]


def _message(entry: Any, change: Change) -> Any:
    if not isinstance(entry, dict):
        return mapped(entry, change)
    return {key: _of_message(key, value, change) for key, value in entry.items()}


def _of_message(key: str, value: Any, change: Change) -> Any:
    match key:
        case "role":
            return value
        case "tool_call_id":
            return value if _is_id(value) else mapped(value, change)
        case "tool_calls":
            return _tool_calls(value, change)
        case "content" if isinstance(value, (list, tuple)):
            return [_part(part, change) for part in value]
    return mapped(value, change)


def _part(part: Any, change: Change) -> Any:
    if not isinstance(part, dict):
        return mapped(part, change)
    return {key: value if key == "type" else _of_part(key, value, change) for key, value in part.items()}


def _of_part(key: str, value: Any, change: Change) -> Any:
    held = {"image_url": "url", "input_audio": "data", "file": "file_data"}.get(key)
    if held is None:
        return mapped(value, change)
    if isinstance(value, dict):
        return {name: item if name == held else mapped(item, change) for name, item in value.items()}
    return value if key == "image_url" else mapped(value, change)


def _tool_calls(calls: Any, change: Change) -> Any:
    """Arguments whole; the name of a tool is what it is found by, and among the names."""
    if not isinstance(calls, (list, tuple)):
        return mapped(calls, change)
    return [
        {key: value if _is_of_call(key, value) else _of_call(key, value, change) for key, value in call.items()}
        if isinstance(call, dict)
        else mapped(call, change)
        for call in calls
    ]


def _of_call(key: str, value: Any, change: Change) -> Any:
    if key == "function" and isinstance(value, dict):
        return {name: item if name == "name" and isinstance(item, str) else mapped(item, change) for name, item in value.items()}
    return mapped(value, change)


def _is_of_call(key: str, value: Any) -> bool:
    return (key == "id" and _is_id(value)) or (key == "type" and value == "function") or (key == "name" and isinstance(value, str))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _runs(prompt: Any) -> list[list[int]]:
    """Where the texts of the parts of each message stand: a model reads them as one."""
    runs: list[list[int]] = []
    at = 0
    for entry in prompt if isinstance(prompt, (list, tuple)) else ():
        texts, parts = texts_of(entry, _message), _part_texts(entry)
        run: list[int] = []
        for place, text in enumerate(texts, at):
            if len(run) < len(parts) and text is parts[len(run)]:
                run.append(place)
        at += len(texts)
        if len(run) > 1:
            runs.append(run)
    return runs


def _part_texts(entry: Any) -> list[str]:
    content = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(content, (list, tuple)):
        return []
    return [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _names_of_messages(prompt: Any) -> list[str]:
    """In whatever a message has: a table may be sent as it is, or written down as a text."""
    found: list[str] = []
    for entry in prompt if isinstance(prompt, (list, tuple)) else ():
        for key, value in entry.items() if isinstance(entry, dict) else ():
            found += _names_in(value) if key == "tool_calls" else [name for name in names_of(value) if name not in _PART_KEYS_KNOWN]
    return found


def _names_in(calls: Any) -> list[str]:
    """Of the tools that are called, and of their arguments; what else a call has for a name is none of those that it may have."""
    if not isinstance(calls, (list, tuple)):
        return []
    known = ("id", "type", "name", "arguments", "function")
    found: list[str] = []
    for call in calls:
        for one in (call, call.get("function")) if isinstance(call, dict) else ():
            if isinstance(one, dict):
                found += [one["name"]] if isinstance(one.get("name"), str) else []
                found += [str(key) for key in one if key not in known]
                found += [name for key, value in one.items() if key != "function" for name in names_of(value)]
    return found


def _described(value: Any, change: Change) -> Any:
    """Of tools, schemas and the like; a name that stands as a text is found by it, and among the names."""
    match value:
        case str():
            return value if value in _WORDS_KNOWN else change(value)
        case list() | tuple():
            return [_described(item, change) for item in value]
        case dict():
            return {key: item if key == "name" and isinstance(item, str) else _described(item, change) for key, item in value.items()}
    return value


def _names(value: Any) -> list[str]:
    found: list[str] = []
    for item in inside(value):
        if isinstance(item, dict):
            found += [str(key) for key in item if key not in _KEYS_KNOWN]
            found += [item["name"]] if isinstance(item.get("name"), str) else []
    return found
