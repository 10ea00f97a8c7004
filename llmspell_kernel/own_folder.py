"""The folder `.llmspell` that we make in a project: what lies in it is of one machine and one user, and goes into no repository."""

from __future__ import annotations

import os
from contextlib import suppress

OWN_FOLDER = ".llmspell"


def leave_out_of_git(folder: int) -> None:
    """Gives the folder a .gitignore that leaves out all of it; one that is there, or a link of that name, is the user's doing.  Raises OSError."""
    with suppress(FileExistsError):
        file = os.open(".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            os.write(file, b"*\n")
        finally:
            os.close(file)


def keep_out_of_git(name: str, folder: int) -> None:
    """Called once the folder `name`, open as the descriptor `folder`, was made; does something where it is our own."""
    if name == OWN_FOLDER:
        with suppress(OSError):  # a journal or a database is not to fail for this courtesy
            leave_out_of_git(folder)
