"""What the system says of a file, as errors that a script can use: its own name for the file, and none of our paths."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from llmspell_kernel.errors import BridgeError, DeniedError, ScriptError, SpellError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHUT = {errno.EACCES, errno.EPERM, errno.EROFS}
_SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def told_to_scripts(what: str) -> Iterator[None]:
    """Raises what the system refuses as a SpellError; `what` names the file as the script does."""
    try:
        yield
    except OSError as error:
        raise error_of(error, what) from error


def error_of(error: OSError, what: str) -> SpellError:
    """Whose fault it is: the script's (no such file), the policy's (a link), or the outside world's (a full disk)."""
    match error.errno:
        case errno.ENOENT:
            return ScriptError(f"there is no {what}", code="not_found")
        case errno.ENOTDIR:
            return ScriptError(f"{what}: a part of its path is not a folder", code="not_a_folder")
        case errno.EISDIR:
            return is_a_folder(what)
        case errno.ENOTEMPTY | errno.EEXIST:
            return ScriptError(f"{what} is a folder that is not empty; remove what lies in it first", code="not_empty")
        case errno.ELOOP | errno.EMLINK:  # EMLINK is what FreeBSD says of a link
            return no_plain_file(what, "leads through a symbolic link")
        case errno.EXDEV:
            return no_plain_file(what, "leads to another file system")
        case errno.EBUSY:
            return no_plain_file(what, "is a mount")
        case errno.ENXIO | errno.ENODEV:  # what opening a socket, or a device that is not there, says
            return no_plain_file(what, "is a socket or a device")
        case errno.ENAMETOOLONG:
            return ScriptError(f"{what}: a name is longer than the file system takes", code="bad_path")
        case errno.EILSEQ | errno.EINVAL:
            return ScriptError(f"{what}: the file system takes no such name", code="bad_path")
        case code if code in _FULL:
            return BridgeError(f"{what} could not be written: {os.strerror(code)}; what was there before is unchanged", code="disk_full")
        case code if code in _SHUT:
            return BridgeError(f"{what}: {os.strerror(code)}; the folder or the file is closed to this user", code="read_only")
    code = error.errno or 0
    return BridgeError(f"{what}: {os.strerror(code)}", code="disk", retryable=code in _SCARCE)


def is_a_folder(what: str) -> ScriptError:
    return ScriptError(f"{what} is a folder", code="is_a_folder")


def no_plain_file(what: str, why: str) -> DeniedError:
    return DeniedError(f"{what} {why}; scripts use plain files and folders only", capability="files")


def kind_of(mode: int) -> str:
    """Of what is neither a file nor a folder."""
    return f"is {_KINDS.get(stat.S_IFMT(mode), 'something else')}"
