"""The files of scripts: read, written, listed and removed below one folder that nothing leads out of.

Rules
- The folder is held by its descriptor.  A script's path is checked by the policy, which gives its parts; only those are opened, each time anew
  (opening.py), and what was opened is looked at again: a plain file with one name, on the folder's own device.
- A change is made whole or not at all (whole_files.py), by one thread of one kernel at a time, within the quotas.
- What a script is told names the file as the script does; none of our paths, and nothing of what lies outside.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmspell_kernel.errors import BridgeError, ScriptError

from .contents import Contents
from .faults import error_of, is_a_folder, kind_of, no_plain_file, told_to_scripts
from .folders import closing, open_root
from .locks import held
from .opening import READ_FILE, READ_FOLDER, Opener, best_opener, is_possible
from .whole_files import GivenUp, read_all, replace

if TYPE_CHECKING:
    from llmspell_kernel.policy.files import FilePolicy

WAIT_S = 10.0
"""For another kernel that is writing."""


class FileInfo(NamedTuple):
    """A file or a folder: its name, its size (0 for a folder), and when it was changed, in seconds since 1970."""

    name: str
    kind: Literal["file", "folder"]
    size_bytes: int
    modified_s: float


def never() -> bool:
    return False


class Jail:
    """`folder` is the session's; `rules` gives the policy that holds now.  All methods block, and may be called in any thread."""

    def __init__(self, folder: Path, rules: Callable[[], FilePolicy], *, opener: Opener | None = None, wait_s: float = WAIT_S) -> None:
        self._folder = folder
        self._rules = rules
        self._open = opener or best_opener()
        self._wait_s = wait_s
        self._holding = threading.Lock()
        self._changing = threading.Lock()
        self._root: int | None = None
        self._root_name = ""
        self._closed = False
        self._contents = Contents()

    def read(self, path: str) -> bytes:
        """The whole file.  Raises ScriptError (codes `not_found`, `is_a_folder`, `bad_path`), DeniedError, LimitError, BridgeError."""
        rules = self._rules()
        parts, what = rules.file(path), _file(rules, path)
        with told_to_scripts(what), self._held(rules) as root, self._opened(root, parts, READ_FILE) as descriptor:
            return _read(rules, root, descriptor, what)

    def write(self, path: str, data: bytes, *, append: bool = False, given_up: Callable[[], bool] = never) -> None:
        """Puts a file in place of what was there, or `data` at its end; folders on the way are made.

        Where `given_up` says so in the meantime, nothing is changed.  Raises what `read` does; the old file is then as it was.
        """
        rules = self._rules()
        rules.check_writable()
        parts, what = rules.file(path), _file(rules, path)
        _check_size(rules, len(data), what)
        with told_to_scripts(what), self._change(rules) as root, suppress(GivenUp):
            self._write(rules, root, parts, what, data, append=append, given_up=given_up)

    def remove(self, path: str) -> bool:
        """Removes a file or an empty folder; was there one?"""
        rules = self._rules()
        rules.check_writable()
        parts, what = rules.folder(path), _file(rules, path)
        if not parts:
            raise ScriptError("the scripts' folder itself is not removed", code="bad_path")
        try:
            with told_to_scripts(what), self._change(rules, make=False) as root, self._opened(root, parts[:-1], READ_FOLDER) as parent:
                status = self._looked_at(rules, root, parent, path, parts, what)
                (os.rmdir if _is_folder(status) else os.unlink)(parts[-1], dir_fd=parent)
                os.fsync(parent)
                self._contents.changed(entries=-1, size_bytes=-_size(status))
        except ScriptError as error:
            if error.code == "not_found":
                return False
            raise
        return True

    def info(self, path: str) -> FileInfo:
        """Raises ScriptError (code `not_found`) where there is none."""
        rules = self._rules()
        parts, what = rules.folder(path), _file(rules, path)
        with told_to_scripts(what), self._held(rules) as root:
            if not parts:
                return _info("", os.fstat(root))
            with self._opened(root, parts[:-1], READ_FOLDER) as parent:
                status = self._looked_at(rules, root, parent, path, parts, what)
                _check_one_name(status, what)
                return _info(parts[-1], status)

    def exists(self, path: str) -> bool:
        """Is there a file or a folder that scripts may use?"""
        try:
            self.info(path)
        except ScriptError as error:
            if error.code in ("not_found", "not_a_folder"):
                return False
            raise
        return True

    def list(self, path: str = "") -> list[FileInfo]:
        """What scripts may use in a folder, sorted by name.  Raises LimitError where that is too much to list."""
        rules = self._rules()
        parts = rules.folder(path)
        try:
            what = f"folder {rules.called(path)}"
            with told_to_scripts(what), self._held(rules) as root, self._opened(root, parts, READ_FOLDER) as folder:
                return sorted(_listed(rules, root, folder, parts), key=lambda found: found.name)
        except ScriptError as error:
            if error.code == "not_found" and not parts:
                return []  # no script has written anything yet
            raise

    def close(self) -> None:
        """Lets go of the folder for ever; what runs at the moment has its own hold of it."""
        with self._holding:
            self._closed = True
            self._let_go()

    def _write(
        self,
        rules: FilePolicy,
        root: int,
        parts: Sequence[str],
        what: str,
        data: bytes,
        *,
        append: bool,
        given_up: Callable[[], bool],
    ) -> None:
        with ExitStack() as stack:
            parent, missing = self._deepest(stack, root, parts[:-1])
            old = None if missing else _status(parent, parts[-1])
            if old is not None:
                _check_replaceable(root, old, what)
                if append:
                    data = self._content(rules, root, parent, parts[-1], what) + data
                    _check_size(rules, len(data), what)
            else:
                _check_clash(rules, parent, missing[0] if missing else parts[-1], what)
            entries, size = len(missing) + (old is None), len(data) - (0 if old is None else old.st_size)
            self._contents.check(root, rules, entries=entries, size_bytes=size)
            try:
                for part in missing:
                    with suppress(FileExistsError):  # the user has made it meanwhile
                        os.mkdir(part, dir_fd=parent)
                    os.fsync(parent)
                    parent = stack.enter_context(closing(self._open(parent, (part,), READ_FOLDER)))
                mode = None if old is None else old.st_mode
                replace(parent, parts[-1], data, rules.temporary, old_mode=mode, given_up=given_up)
            except BaseException:
                self._contents.forget()
                raise
            self._contents.changed(entries=entries, size_bytes=size)

    def _deepest(self, stack: ExitStack, root: int, parts: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The deepest folder of a way that is there, and what is missing below it."""
        for end in range(len(parts), 0, -1):
            with suppress(FileNotFoundError):
                return stack.enter_context(self._opened(root, parts[:end], READ_FOLDER)), parts[end:]
        return stack.enter_context(self._opened(root, (), READ_FOLDER)), parts

    def _content(self, rules: FilePolicy, root: int, parent: int, name: str, what: str) -> bytes:
        with self._opened(parent, (name,), READ_FILE) as descriptor:
            return _read(rules, root, descriptor, what)

    def _looked_at(self, rules: FilePolicy, root: int, parent: int, path: str, parts: Sequence[str], what: str) -> os.stat_result:
        """The status of what scripts may use under that name; FileNotFoundError where there is nothing."""
        status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        if not _is_folder(status):
            _check_replaceable(root, status, what)
            rules.file(path)
        return status

    @contextmanager
    def _opened(self, folder: int, parts: Sequence[str], flags: int) -> Iterator[int]:
        with closing(self._open(folder, parts, flags)) as descriptor:
            yield descriptor

    @contextmanager
    def _change(self, rules: FilePolicy, *, make: bool = True) -> Iterator[int]:
        """Alone among the threads of this kernel, and among kernels."""
        with self._changing, self._held(rules, make=make) as root, held(root, "the scripts' folder", self._wait_s):
            yield root

    @contextmanager
    def _held(self, rules: FilePolicy, *, make: bool = False) -> Iterator[int]:
        """The folder by a descriptor of the caller's own, which stays good whatever another thread does."""
        with self._holding:
            if self._closed:
                raise BridgeError("the session has ended", code="closed")
            if self._root is not None and (self._root_name != rules.root or os.fstat(self._root).st_nlink == 0):
                self._let_go()  # the user has named another, or removed it
            if self._root is None:
                if not is_possible():
                    raise BridgeError("files of scripts need Linux or macOS; values are kept by storage.set everywhere", code="unavailable")
                self._root, self._root_name = self._take(rules, make), rules.root
                self._contents.forget()
            mine = os.dup(self._root)
        with closing(mine):
            yield mine

    def _take(self, rules: FilePolicy, make: bool) -> int:
        try:
            return open_root(self._folder, rules.root, make=make)
        except FileNotFoundError:
            raise  # nothing is there, so whatever was asked for is not
        except OSError as error:
            raise error_of(error, f"scripts' folder {rules.called(rules.root)} (files.root)") from error

    def _let_go(self) -> None:
        if self._root is not None:
            os.close(self._root)
            self._root = None


def _file(rules: FilePolicy, path: str) -> str:
    return f"file {rules.called(path)}"


def _read(rules: FilePolicy, root: int, descriptor: int, what: str) -> bytes:
    status = os.fstat(descriptor)
    if _is_folder(status):
        raise is_a_folder(what)
    _check_replaceable(root, status, what)
    _check_one_name(status, what)
    _check_size(rules, status.st_size, what)
    data = read_all(descriptor, rules.max_file_bytes)
    _check_size(rules, len(data), what)  # it may have grown
    return data


def _check_replaceable(root: int, status: os.stat_result, what: str) -> None:
    """A plain file of this file system.  One with several names may be replaced, as that leaves the others alone."""
    if _is_folder(status):
        raise is_a_folder(what)
    if not stat.S_ISREG(status.st_mode):
        raise no_plain_file(what, kind_of(status.st_mode))
    if status.st_dev != os.fstat(root).st_dev:
        raise no_plain_file(what, "lies on another file system")


def _check_one_name(status: os.stat_result, what: str) -> None:
    """One that has none any more was replaced since it was opened, and is nobody else's."""
    if not _is_folder(status) and status.st_nlink > 1:
        raise no_plain_file(what, "has more than one name (a hard link)")


def _check_size(rules: FilePolicy, size: int, what: str) -> None:
    if size > rules.max_file_bytes:
        raise rules.exceeded("max_file_bytes", size, f"{what} would have {size} bytes")


def _check_clash(rules: FilePolicy, folder: int, name: str, what: str) -> None:
    with os.scandir(folder) as entries:
        other = rules.clash(name, (entry.name for entry in entries))
    if other:
        raise ScriptError(
            f"{what}: there is {rules.called(other)} already, which some file systems take for the same name as {rules.called(name)}",
            code="name_clash",
        )


def _status(folder: int, name: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return None


def _listed(rules: FilePolicy, root: int, folder: int, parts: Sequence[str]) -> Iterator[FileInfo]:
    device, count = os.fstat(root).st_dev, 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # gone since
                status = entry.stat(follow_symlinks=False)
                if not _is_usable(status, device) or not rules.lists(parts, entry.name, "folder" if _is_folder(status) else "file"):
                    continue
                count += 1
                if count > rules.max_listing:
                    raise rules.exceeded("max_listing", count, f"the folder {rules.called('/'.join(parts))} holds more than can be listed")
                yield _info(entry.name, status)


def _is_usable(status: os.stat_result, device: int) -> bool:
    return status.st_dev == device and (_is_folder(status) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1))


def _info(name: str, status: os.stat_result) -> FileInfo:
    return FileInfo(name, "folder" if _is_folder(status) else "file", _size(status), status.st_mtime)


def _is_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def _size(status: os.stat_result) -> int:
    return 0 if _is_folder(status) else status.st_size
