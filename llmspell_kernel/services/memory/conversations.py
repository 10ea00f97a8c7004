"""Conversations by name: their messages, what of them fits, their summaries, and what is found in them.

Rules
- A message that was added is on the disk; adding several adds all or none.
- They have the quotas of kept values (files.max_keys, max_value_bytes, max_store_bytes), apart from those of the scripts' own.
- Messages are numbered from 1 in the order in which they came, whichever kernel they came from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, ScriptError
from llmspell_kernel.services.llm.estimate import BYTES_A_TOKEN, MESSAGE_TOKENS, tokens_of
from llmspell_kernel.services.storage.keys import KeyStore

from .word_search import WordIndex

if TYPE_CHECKING:
    from llmspell_kernel.policy.files import FilePolicy

SPACE = "memory"
MOST_NAME_CHARS = 100
AT_ONCE = 500
"""Messages that are read together."""
MOST_INDEXES = 8
"""Conversations whose words are kept in memory; of the others they are read again."""
ROLES = ("user", "assistant", "system", "tool")
SUMMARY = "Summary of the conversation so far: "


class Message(NamedTuple):
    number: int
    role: str
    text: str

    @property
    def tokens(self) -> int:
        return MESSAGE_TOKENS + tokens_of(self.text)

    @property
    def prompt(self) -> dict[str, str]:
        """As a model is told it."""
        return {"role": self.role, "content": self.text}


class Summary(NamedTuple):
    """`through` is the number of the last message that it tells of."""

    text: str
    through: int


class _Indexed(NamedTuple):
    words: WordIndex
    last: int
    size: int
    ends: tuple[Message, ...]
    """The first and the last, by which another kernel's clearing is seen."""


class Conversations:
    """`folder` is the session's; `rules` gives the policy that holds now.  All methods block; one thread at a time."""

    def __init__(self, folder: Path, rules: Callable[[], FilePolicy]) -> None:
        self._keys = KeyStore(folder, rules, space=SPACE)
        self._indexes: OrderedDict[str, _Indexed] = OrderedDict()

    def add(self, name: str, messages: Sequence[tuple[str, str]]) -> int:
        """The number of the last one.  Raises ScriptError and ArgumentError for what is no message, and as KeyStore.set."""
        for role, text in messages:
            if role not in ROLES:
                raise ArgumentError(f"the role is {role!r:.40}; it must be one of {', '.join(ROLES)}")
            if not text:
                raise ArgumentError("the text of a message is empty")
        return self._keys.add(_prefix(name), [{"role": role, "text": text} for role, text in messages])

    def count(self, name: str) -> int:
        return self._keys.count(_prefix(name))

    def names(self) -> dict[str, int]:
        """How many messages each conversation has."""
        return self._keys.counts("m/")

    def newest(self, name: str, most: int) -> list[Message]:
        return [_message(*found) for found in self._keys.values(_prefix(name), most=most, newest=True)]

    def summary(self, name: str) -> Summary:
        match self._keys.get(_summary_key(name)):
            case None:
                return Summary("", 0)
            case {"text": str(text), "through": int(through)}:
                return Summary(text, through)
        raise ScriptError(f"the summary of '{name}' is none; clear the conversation", code="damaged")

    def keep_summary(self, name: str, text: str, through: int) -> None:
        self._keys.set(_summary_key(name), {"text": text, "through": through})

    def fitting(self, name: str, max_tokens: int) -> tuple[Summary, list[Message], int]:
        """The summary, the newest messages after it that fit beside it, and how many after it do not.

        One that does not even fit alone keeps its end.
        """
        summary = self.summary(name)
        taken = MESSAGE_TOKENS + tokens_of(SUMMARY + summary.text) if summary.text else 0
        return summary, *self._newest(_prefix(name), summary.through, max_tokens - taken)

    def older(self, name: str, max_tokens: int, most_tokens: int) -> tuple[Summary, list[Message]]:
        """The summary, and of the messages after it that are not among the newest `max_tokens` the first `most_tokens`."""
        summary = self.summary(name)
        kept, left_out = self._newest(_prefix(name), summary.through, max_tokens)
        if not left_out:
            return summary, []
        before = kept[0].number if kept else 10**10
        found: list[Message] = []
        left = most_tokens
        for message in (_message(*value) for value in self._keys.values(_prefix(name), after=summary.through, before=before, most=AT_ONCE)):
            if message.tokens > left:
                found += [] if found else [_end_of(message, left)]
                break
            left -= message.tokens
            found.append(message)
        return summary, found

    def search(self, name: str, query: str, most: int) -> list[tuple[Message, float]]:
        """By words, the likeliest first."""
        indexed = self._index(name)
        prefix = _prefix(name)
        found: list[tuple[Message, float]] = []
        for hit in indexed.words.find(query, most):
            for kept in self._keys.values(prefix, after=hit.number - 1, before=hit.number + 1, most=1):
                found.append((_message(*kept), hit.score))
        return found

    def copy(self, name: str, new: str) -> int:
        """Raises ScriptError where there is a conversation of the new name already."""
        if self.count(new):
            raise ScriptError(f"there is a conversation '{new}' already; clear it first, or choose another name", code="exists")
        messages = self._all(name)
        self._keys.clear(_prefix(new))
        if messages:
            self._keys.add(_prefix(new), [{"role": message.role, "text": message.text} for message in messages])
            summary = self.summary(name)
            through = sum(message.number <= summary.through for message in messages)
            if summary.text:
                self.keep_summary(new, summary.text, through)
        return len(messages)

    def clear(self, name: str) -> int:
        """Forgets its messages and its summary; how many messages were they?"""
        self._forget_index(name)
        self._keys.delete(_summary_key(name))
        return self._keys.clear(_prefix(name))

    def take_warnings(self) -> list[str]:
        return self._keys.take_warnings()

    def close(self) -> None:
        for name in tuple(self._indexes):
            self._forget_index(name)
        self._keys.close()

    def _newest(self, prefix: str, after: int, tokens: int) -> tuple[list[Message], int]:
        """Those that fit, and how many there are between them and `after`, counted up to a thousand."""
        found: list[Message] = []
        before = 10**10
        while batch := self._keys.values(prefix, after=after, before=before, most=AT_ONCE, newest=True):
            for message in reversed([_message(*kept) for kept in batch]):
                if message.tokens > tokens:
                    if not found and tokens > MESSAGE_TOKENS:
                        found.append(_end_of(message, tokens))
                    first = found[-1].number if found else 10**10
                    return found[::-1], len(self._keys.values(prefix, after=after, before=first, most=1_000))
                tokens -= message.tokens
                found.append(message)
            before = batch[0][0]
        return found[::-1], 0

    def _all(self, name: str, after: int = 0) -> list[Message]:
        prefix = _prefix(name)
        found: list[Message] = []
        while batch := self._keys.values(prefix, after=after, most=AT_ONCE):
            found += [_message(*kept) for kept in batch]
            after = batch[-1][0]
        return found

    def _index(self, name: str) -> _Indexed:
        """With all that was added since it was last used."""
        known = self._indexes.get(name)
        if known is not None and not self._is_same(name, known):
            self._forget_index(name)
            known = None
        index = known.words if known is not None else WordIndex()
        new = self._all(name, known.last if known is not None else 0)
        index.add((message.number, message.text) for message in new)
        ends = (known.ends[0] if known is not None else new[0], new[-1]) if new else known.ends if known is not None else ()
        last = new[-1].number if new else known.last if known is not None else 0
        indexed = _Indexed(index, last, (known.size if known is not None else 0) + len(new), ends)
        if indexed.size:
            self._indexes[name] = indexed
            self._indexes.move_to_end(name)
        while len(self._indexes) > MOST_INDEXES:
            self._forget_index(next(iter(self._indexes)))
        return indexed

    def _is_same(self, name: str, known: _Indexed) -> bool:
        prefix = _prefix(name)
        ends = [self._keys.values(prefix, after=end.number - 1, before=end.number + 1, most=1) for end in known.ends]
        return [[_message(*found) for found in end] for end in ends] == [[end] for end in known.ends]

    def _forget_index(self, name: str) -> None:
        if (known := self._indexes.pop(name, None)) is not None:
            known.words.close()


def _prefix(name: str) -> str:
    return f"m/{_checked(name)}/"


def _summary_key(name: str) -> str:
    return f"s/{_checked(name)}"


def _checked(name: str) -> str:
    if not name or len(name) > MOST_NAME_CHARS or "/" in name or not name.isprintable():
        raise ScriptError(f"the name {name!r:.60} must be 1 to {MOST_NAME_CHARS} printable characters without a slash", code="bad_name")
    return name


def _message(number: int, kept: Any) -> Message:
    """Raises ScriptError for what a stranger's database has in place of one."""
    match kept:
        case {"role": str(role), "text": str(text)}:
            return Message(number, role, text)
    raise ScriptError(f"message {number} is none; clear the conversation", code="damaged")


def _end_of(message: Message, tokens: int) -> Message:
    end = message.text.encode()[-max(0, (tokens - MESSAGE_TOKENS) * BYTES_A_TOKEN - 3) :].decode("utf-8", "ignore")
    return message._replace(text=f"…{end}")
