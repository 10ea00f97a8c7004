"""What the tests of storage share: the tree of traps, and both ways to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.services.storage.opening import Opener

from .tree import OPENERS, Tree, quick_folder, with_tree


@pytest.fixture(params=["openat2", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param not in OPENERS:
        pytest.skip("this kernel has no openat2, or forbids it")
    return OPENERS[request.param]


@pytest.fixture
def tree() -> Iterator[Tree]:
    with quick_folder() as folder:
        yield from with_tree(folder)


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder for tests that order a thousand files to the disk."""
    with quick_folder() as folder:
        yield folder
