"""What the system says of a file, as a script is told it."""

from __future__ import annotations

import errno

import pytest

from llmspell_kernel.services.storage.faults import error_of, told_to_scripts

TOLD = {
    errno.ENOENT: "ScriptError not_found", errno.ENOTDIR: "ScriptError not_a_folder", errno.EISDIR: "ScriptError is_a_folder",
    errno.ENOTEMPTY: "ScriptError not_empty", errno.EEXIST: "ScriptError not_empty", errno.ENAMETOOLONG: "ScriptError bad_path",
    errno.EINVAL: "ScriptError bad_path", errno.EILSEQ: "ScriptError bad_path", errno.ELOOP: "DeniedError denied",
    errno.EMLINK: "DeniedError denied", errno.EXDEV: "DeniedError denied", errno.EBUSY: "DeniedError denied",
    errno.ENXIO: "DeniedError denied", errno.ENODEV: "DeniedError denied", errno.ENOSPC: "BridgeError disk_full",
    errno.EDQUOT: "BridgeError disk_full", errno.EFBIG: "BridgeError disk_full", errno.EACCES: "BridgeError read_only",
    errno.EPERM: "BridgeError read_only", errno.EROFS: "BridgeError read_only", errno.EIO: "BridgeError disk",
    errno.ENOMEM: "BridgeError disk", errno.ESTALE: "BridgeError disk",
}  # fmt: skip
PASSING = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}


@pytest.mark.parametrize("number", TOLD, ids=errno.errorcode.get)
def test_each_fault_is_told_by_its_kind_with_the_scripts_name_and_without_our_path(number: int) -> None:
    error = error_of(OSError(number, "text", "/home/user/llmspell-files/a"), "file 'a'")
    assert f"{type(error).__name__} {error.code}" == TOLD[number]
    assert "file 'a'" in error.message and "/home" not in error.message
    assert error.retryable is (number in PASSING)


@pytest.mark.parametrize("number", PASSING, ids=errno.errorcode.get)
def test_what_is_scarce_now_may_be_there_later(number: int) -> None:
    assert error_of(OSError(number, "text"), "file 'a'").retryable


def test_an_error_without_a_number_is_an_error_of_the_disk() -> None:
    assert error_of(OSError("text"), "file 'a'").code == "disk"


def test_other_exceptions_are_not_taken_for_faults_of_files() -> None:
    with pytest.raises(KeyError), told_to_scripts("file 'a'"):
        raise KeyError("a")
