"""Our folder in a project: git leaves it out, whichever part of ours makes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_kernel.journal.private_folder import private_folder
from llmspell_kernel.own_folder import keep_out_of_git
from llmspell_kernel.services.storage.folders import closing, open_below


def by_journal(project: Path) -> None:
    with private_folder(project, (".llmspell", "journal")):
        pass


def by_storage(project: Path) -> None:
    with closing(open_below(project, (".llmspell",), mode=0o700)):
        pass


makers = pytest.mark.parametrize("make", [by_journal, by_storage])


@makers
def test_a_folder_that_we_make_is_left_out_of_repositories(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    assert (tmp_path / ".llmspell" / ".gitignore").read_text() == "*\n"
    assert [file.name for file in tmp_path.rglob(".gitignore")] == [".gitignore"]


@makers
def test_a_folder_that_is_there_stays_as_its_user_wants_it(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / ".llmspell").mkdir()
    make(tmp_path)
    assert not (tmp_path / ".llmspell" / ".gitignore").exists()


def test_what_has_the_name_already_is_neither_written_nor_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / ".gitignore").symlink_to(outside)
    folder = os.open(tmp_path, os.O_RDONLY)
    keep_out_of_git(".llmspell", folder)
    os.close(folder)
    assert not outside.exists()
