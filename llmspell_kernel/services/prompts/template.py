"""A text or messages with places to fill, `{{name}}` and `{{name|what stands there without a value}}`, and nothing more.

Rules
- A value is put in as text, once: what looks like a place inside of it stays as it is.  A user's words can so not ask for other values.
- What is not of the form of a place, such as the braces of code, is text.
- Everything is counted before it is put together: a short template can name a long value many times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError, nearest

MAX_RENDERED_CHARS = 4_000_000
"""Of all that one rendering gives: as long as the longest answer of a model."""
MAX_TEMPLATE_CHARS = 1_000_000
MAX_PLACES = 10_000
MAX_VALUES = 1_000
MAX_EXAMPLES = 200
MAX_NAME_CHARS = 100

# The parts of it cannot stand for one another, so that it never goes back: the time grows with the text and not faster.
_PLACE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]{0,99})[ \t]*(?:\|([^{}]*))?\}\}")

Message = dict[str, Any]
Prompt = str | list[Message]


class Example(NamedTuple):
    """What a user might say, as a text or as the values of the template, and what the model is to answer."""

    user: str | Mapping[str, Any]
    assistant: str

    @property
    def chars(self) -> int:
        """Of its texts; what is given as values is counted as it is put in."""
        given = {"": self.user} if isinstance(self.user, str) else texts_of(self.user)
        return len(self.assistant) + sum(len(name) + len(text) for name, text in given.items())


@dataclass(frozen=True, slots=True)
class Template:
    """`source` is a text, or messages in the form of `llm.chat`.  Made by `template_of`."""

    source: Prompt
    defaults: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    name: str = ""
    version: str = ""

    def variables(self) -> list[str]:
        """The names of the places that are to be filled, in their order."""
        return list(dict.fromkeys(place for text in self._texts() for place in _places(text)))

    def partial(self, values: Mapping[str, Any]) -> Template:
        """The same with some values given.  Raises ArgumentError for one that is no text."""
        return replace(self, defaults={**self.defaults, **texts_of(values)})

    def render(self, values: Mapping[str, Any]) -> Prompt:
        """The text, or the messages.  Raises ScriptError `missing_variables` naming every one, LimitError where it would be too long."""
        given = {**self.defaults, **texts_of(values)}
        missing = [name for text in self._texts() for name in _unfilled(text, given)]
        if missing:
            raise _missing(list(dict.fromkeys(missing)), values, self.name)
        filling = _Filling(given)
        rendered = self._filled(filling)
        if not self.examples:
            return rendered
        messages = [{"role": "user", "content": rendered}] if isinstance(rendered, str) else rendered
        shown = [message for example in self.examples for message in self._shown(example, given, filling)]
        return [*messages[:-1], *shown, messages[-1]]

    def _texts(self) -> Iterator[str]:
        if isinstance(self.source, str):
            yield self.source
            return
        for message in self.source:
            yield from (text for _, text in _texts_in(message))

    def _filled(self, filling: _Filling) -> Prompt:
        if isinstance(self.source, str):
            return filling.text(self.source)
        return [_with_texts(message, filling) for message in self.source]

    def _shown(self, example: Example, given: Mapping[str, str], filling: _Filling) -> list[Message]:
        return [
            {"role": "user", "content": self._said(example.user, given, filling)},
            {"role": "assistant", "content": filling.counted(example.assistant)},
        ]

    def _said(self, user: str | Mapping[str, Any], given: Mapping[str, str], filling: _Filling) -> Any:
        """The last message with the example's own values, and those of the call where it has none."""
        if isinstance(user, str):
            return filling.counted(user)
        alike = filling.with_values({**given, **texts_of(user)})
        if isinstance(self.source, str):
            return alike.text(self.source)
        return _with_texts(self.source[-1], alike).get("content")


def template_of(
    source: Any,
    defaults: Mapping[str, Any],
    examples: Sequence[Mapping[str, Any]],
    name: str = "",
    version: str = "",
) -> Template:
    """Checked.  Raises ArgumentError that says what is wrong, LimitError for one that is too large."""
    if not isinstance(source, str):
        _check_messages(source)
    template = Template(source, texts_of(defaults), [_example(entry, at) for at, entry in enumerate(examples, 1)], name, version)
    if len(template.examples) > MAX_EXAMPLES:
        raise _too_much("examples", len(template.examples), MAX_EXAMPLES)
    _check_size(template)
    return template


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Each value as it is put in: a text as it is, a number or a truth value as scripts write it, a table as JSON; nothing is left out."""
    if len(values) > MAX_VALUES:
        raise _too_much("values", len(values), MAX_VALUES)
    return {name: _text(name, value) for name, value in values.items() if value is not None}


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float, list, dict)):
        try:
            return msgspec.json.encode(value).decode()
        except (TypeError, ValueError, RecursionError):
            pass
    raise ArgumentError(f"the value of '{name[:MAX_NAME_CHARS]}' must be a text, a number, a truth value or a table of those")


class _Filling:
    """Puts values in, and counts what comes of it."""

    def __init__(self, values: Mapping[str, str], count: list[int] | None = None) -> None:
        self._values = values
        self._chars = [0] if count is None else count

    def with_values(self, values: Mapping[str, str]) -> _Filling:
        """Other values, and the same count."""
        return _Filling(values, self._chars)

    def counted(self, text: str) -> str:
        self._count(len(text))
        return text

    def text(self, source: str) -> str:
        self._count(len(source))
        pieces, end = [], 0
        for place in _PLACE.finditer(source):
            value = self._values.get(place[1])
            value = (place[2] or "") if value is None else value
            self._count(len(value))
            pieces += [source[end : place.start()], value]
            end = place.end()
        return "".join([*pieces, source[end:]])

    def _count(self, chars: int) -> None:
        self._chars[0] += chars
        if self._chars[0] > MAX_RENDERED_CHARS:
            raise LimitError(
                f"the prompt would have more than {MAX_RENDERED_CHARS:,} characters with these values; give shorter ones",
                limit="prompt_chars",
                value=MAX_RENDERED_CHARS,
            )


def _places(text: str) -> Iterator[str]:
    return (place[1] for place in _PLACE.finditer(text))


def _unfilled(text: str, given: Mapping[str, str]) -> Iterator[str]:
    return (place[1] for place in _PLACE.finditer(text) if place[2] is None and place[1] not in given)


def _texts_in(message: Message) -> Iterator[tuple[int, str]]:
    """The texts of a message that may hold places, with the number of their part, -1 for the content itself."""
    content = message.get("content")
    if isinstance(content, str):
        yield -1, content
    for at, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield at, part["text"]


def _with_texts(message: Message, filling: _Filling) -> Message:
    filled = dict(message)
    for at, text in _texts_in(message):
        if at < 0:
            filled["content"] = filling.text(text)
        else:
            parts = list(filled["content"])
            parts[at] = {**parts[at], "text": filling.text(text)}
            filled["content"] = parts
    return filled


def _check_messages(source: Any) -> None:
    if not isinstance(source, list) or not source:
        raise ArgumentError("a template is a text, or a list of messages {role, content} that is not empty")
    for number, message in enumerate(source, 1):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ArgumentError(f"message {number} of the template must be a table {{role, content}}")


def _example(entry: Mapping[str, Any], number: int) -> Example:
    for key in entry:
        if key not in Example._fields:
            raise ArgumentError(f"example {number} has an unknown key '{key[:40]}'{nearest(key[:40], Example._fields)}")
    user, assistant = entry.get("user"), entry.get("assistant")
    if not isinstance(user, (str, dict)) or not isinstance(assistant, str):
        raise ArgumentError(f"example {number} must be {{user, assistant}}: `user` a text or values of the template, `assistant` a text")
    return Example(user, assistant)


def _check_size(template: Template) -> None:
    chars = sum(map(len, template._texts())) + sum(map(len, template.defaults.values()))
    chars += sum(example.chars for example in template.examples)
    if chars > MAX_TEMPLATE_CHARS:
        raise _too_much("characters", chars, MAX_TEMPLATE_CHARS)
    places = sum(1 for text in template._texts() for _ in _places(text))
    if places > MAX_PLACES:
        raise _too_much("places to fill", places, MAX_PLACES)


def _too_much(what: str, count: int, most: int) -> LimitError:
    return LimitError(f"the template has {count:,} {what}, at most {most:,} are taken", limit="template", value=most, used=count)


def _missing(names: Sequence[str], values: Mapping[str, Any], template: str) -> ScriptError:
    """Says every name that has no value, and next to which given one it may have been misspelled."""
    given = [name[:MAX_NAME_CHARS] for name in values][:200]
    of = f" of the prompt '{template}'" if template else ""
    told = ", ".join(f"'{name}'" for name in names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    hints = []
    for name in names[:20]:
        hint = nearest(name, given) if given else ""
        if hint.startswith("; did you mean"):
            hints.append(f"for '{name}' there is {hint.removeprefix('; did you mean ').removesuffix('?')}")
    close = f"; {', '.join(hints)}" if hints else f"; given: {', '.join(given[:12])}" if given else "; no values were given"
    return ScriptError(f"no value for {told}{of}{close}", code="missing_variables")
