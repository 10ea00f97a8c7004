"""What the tests of storage share: the tree of traps, and both ways to open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from llmspell_kernel.services.storage.opening import Opener

from .tree import OPENERS, Tree, with_tree


@pytest.fixture(params=["openat2", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param not in OPENERS:
        pytest.skip("this kernel has no openat2, or forbids it")
    return OPENERS[request.param]


@pytest.fixture
def tree() -> Iterator[Tree]:
    """In memory where the system has such a place: the cases order a thousand files to the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None) as folder:
        yield from with_tree(Path(folder))
