"""Which files and keys scripts may keep: the table [files], and what a name may be.  Pure.

Rules
- A path is names joined by single slashes, counted from the scripts' folder.  It is read once, here, into its parts; who opens files gets the
  parts and never a path.
- Only names that mean the same on every file system are taken: Unicode's composed form (NFC), no control characters, no backslash, no dot or
  space at the end.
- Denied patterns are compared without regard to case, because some file systems have none; allowed ones as they are written.
- What llmspell itself reads its rules from can never be a script's file, whatever the user allows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from ..errors import DeniedError, LimitError, ScriptError
from .patterns import covers as covers_text

MiB = 1024 * 1024

PART_BYTES = 255
"""What the file systems of Linux and macOS take as one name."""
PATH_BYTES = 4096
OWN_NAMES = frozenset({".llmspell", "llmspell.toml"})
"""Of llmspell: its folder with the keys of scripts, and the file that says what scripts may do."""
TEMPORARY = ".llmspell-"
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""They show a name as another one, such as `exe.txt` for what ends in `txt.exe`."""
_UNWRITABLE = {"Cc": "a control character", "Cs": "a lone surrogate", "Zl": "a line separator", "Zp": "a paragraph separator"}
SHOWN_CHARS = 80


class FilePolicy(NamedTuple):
    root: str = "llmspell-files"
    """The folder of scripts' files, from the notebook's or project's folder on, or an absolute one; it is made when a script first writes."""
    read_only: bool = False
    """Scripts may read files and keys, and change none."""
    allow: tuple[str, ...] = ("*",)
    """Files they may use: patterns of a name (`*.txt`), or of a path where there is a slash (`notes/*`)."""
    deny: tuple[str, ...] = ()
    """Files and folders they may not; a deny wins over every allow."""
    hidden: bool = False
    """They may use names that begin with a dot."""
    max_file_bytes: int = 16 * MiB
    """How large one file may be."""
    max_total_bytes: int = 256 * MiB
    """How large all files together may be."""
    max_files: int = 10_000
    """How many files and folders there may be."""
    max_depth: int = 16
    """How many names a path may have."""
    max_listing: int = 10_000
    """How many names or keys one call may list."""
    max_key_bytes: int = 512
    """How long a key may be."""
    max_value_bytes: int = 1 * MiB
    """How large one kept value may be, as JSON."""
    max_keys: int = 100_000
    """How many keys there may be."""
    max_store_bytes: int = 64 * MiB
    """How large all keys and values together may be."""

    def file(self, path: str) -> tuple[str, ...]:
        """The parts of a file's path.  Raises ScriptError (code `bad_path`) and LimitError for what can be none, DeniedError by the rules."""
        parts = self._parts(path)
        self._check_rules(parts, path)
        if not _matches(parts, self.allow):
            raise DeniedError(
                f"the policy does not allow the file {shown(path)} (files.allow = {list(self.allow)})", capability="files.allow"
            )
        return parts

    def folder(self, path: str) -> tuple[str, ...]:
        """The parts of a folder's path; none for the scripts' folder itself, which is "" or "."."""
        if path in ("", "."):
            return ()
        parts = self._parts(path)
        self._check_rules(parts, path)
        return parts

    def lists(self, folder: Sequence[str], name: str, kind: Literal["file", "folder"]) -> bool:
        """Is a name found in a folder one that scripts may use?"""
        path = "/".join((*folder, name))
        try:
            self.file(path) if kind == "file" else self.folder(path)
        except (ScriptError, DeniedError, LimitError):
            return False
        return True

    def check_writable(self) -> None:
        """Raises DeniedError where scripts may change nothing."""
        if self.read_only:
            raise DeniedError("the policy lets scripts read only (files.read_only = true)", capability="files.read_only")

    def check_key(self, key: str) -> None:
        """Raises ScriptError (code `bad_key`) or LimitError for what can be no key."""
        if not key:
            raise ScriptError("the key is empty", code="bad_key")
        if fault := _unwritable(key):
            raise ScriptError(f"the key {shown(key)} holds {fault}", code="bad_key")
        if (size := len(key.encode())) > self.max_key_bytes:
            raise self.exceeded("max_key_bytes", size, f"the key {shown(key)} has {size} bytes")

    def clash(self, name: str, names: Iterable[str]) -> str:
        """The one among `names` that some file system takes for the same as `name`, though it is spelled otherwise; "" where there is none."""
        folded = fold(name)
        return next((other for other in names if other != name and fold(other) == folded), "")

    @property
    def temporary(self) -> str:
        """How the names of files begin that are still being written; no script's name does."""
        return TEMPORARY

    @staticmethod
    def called(name: str) -> str:
        """A file or a key in a message."""
        return shown(name)

    def exceeded(self, name: str, used: float, what: str) -> LimitError:
        """The error of a quota."""
        cap = getattr(self, name)
        return LimitError(f"{what}; the limit files.{name} is {cap:_}", limit=f"files.{name}", value=cap, used=used)

    def _parts(self, path: str) -> tuple[str, ...]:
        if not path:
            raise _bad_path(path, "is empty")
        if fault := _unwritable(path):
            raise _bad_path(path, f"holds {fault}")
        if (size := len(path.encode())) > PATH_BYTES:
            raise _bad_path(path, f"has {size} bytes; {PATH_BYTES} is the most")
        if path.startswith("/"):
            raise _bad_path(path, "is absolute; paths count from the scripts' folder, as in 'notes/today.txt'")
        parts = tuple(path.split("/"))
        for part in parts:
            if fault := _fault_of(part):
                raise _bad_path(path, fault)
        if len(parts) > self.max_depth:
            raise self.exceeded("max_depth", len(parts), f"the path {shown(path)} has {len(parts)} names")
        return parts

    def _check_rules(self, parts: tuple[str, ...], path: str) -> None:
        folded = tuple(fold(part) for part in parts)
        if own := OWN_NAMES.intersection(folded):
            raise DeniedError(f"{shown(path)}: '{min(own)}' is llmspell's own and never a script's", capability="files")
        if any(part.startswith(TEMPORARY) for part in folded):
            raise DeniedError(
                f"{shown(path)}: names that begin with '{TEMPORARY}' are those of files still being written", capability="files"
            )
        if not self.hidden and any(part.startswith(".") for part in parts):
            raise DeniedError(f"{shown(path)}: the policy allows no name that begins with a dot (files.hidden)", capability="files.hidden")
        for pattern in self.deny:
            if any(_denies(fold(pattern), folded[:end]) for end in range(1, len(folded) + 1)):
                raise DeniedError(f"the policy denies {shown(path)} (rule 'files.deny = {pattern}')", capability="files.deny")


TIGHTER: Mapping[str, str] = {
    "deny": "adds",
    "allow": "paths",
    "hidden": "lower",
    **{name: "lower" for name in FilePolicy._fields if name.startswith("max_")},
}


def fold(name: str) -> str:
    """The same text for all names that some file system takes for one: without regard to case, and (HFS+) without invisible characters."""
    if name.isascii():
        return name.lower()
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold())


def shown(text: str) -> str:
    """A script's name for a message: short, on one line, without what could steer a terminal."""
    clipped = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
    return f"'{clipped}'" if clipped.isprintable() else ascii(clipped)


def _bad_path(path: str, why: str) -> ScriptError:
    return ScriptError(f"the path {shown(path)} {why}", code="bad_path")


def _unwritable(text: str) -> str:
    """What kind of character a text holds that no name may; "" where there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        if kind := _UNWRITABLE.get(unicodedata.category(character)):
            return "a NUL character" if character == "\0" else kind
        if character in BIDI_CONTROLS:
            return "a character that turns the direction of text"
    return ""


def _fault_of(part: str) -> str:
    if part == "":
        return "has an empty name: no slash at the end, nor two together"
    if part in (".", ".."):
        return f"holds '{part}'; paths only lead down from the scripts' folder"
    if "\\" in part:
        return "holds a backslash; names are joined by '/'"
    if part[-1] in ". ":
        return "has a name that ends with a dot or a space, which some file systems drop"
    if part[0] == " ":
        return "has a name that begins with a space"
    if (size := len(part.encode())) > PART_BYTES:
        return f"has a name of {size} bytes; {PART_BYTES} is the most"
    if not unicodedata.is_normalized("NFC", part):
        return "has a name that is not in Unicode's composed form (NFC); normalize it"
    return ""


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    path = "/".join(parts)
    return any(fnmatchcase(path if "/" in pattern else parts[-1], pattern) for pattern in patterns)


def covers(ours: str, theirs: str) -> bool:
    """Is every file that `theirs` allows allowed by `ours`?  False where that cannot be told from the patterns."""
    if "/" in theirs and "/" not in ours and "[" not in theirs:
        return covers_text(ours, _last_name(theirs))
    return covers_text(ours, theirs)


def _last_name(pattern: str) -> str:
    """A pattern of all last names of the paths that one with a slash matches: its wildcards stand for slashes as well."""
    name = pattern.rpartition("/")[2]
    tail = name[max(name.rfind("*"), name.rfind("?")) + 1 :]
    return name if tail == name else f"*{tail}"


def _denies(pattern: str, parts: Sequence[str]) -> bool:
    """Of a name or a path that leads to it: what is denied of a folder is denied of all that lies in it."""
    return fnmatchcase("/".join(parts) if "/" in pattern else parts[-1], pattern.rstrip("/") or pattern)
