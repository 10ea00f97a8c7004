"""What the tests of bridges share: a context that records."""

import pytest

from llmspell_kernel.testing.context import FakeContext


@pytest.fixture
def context() -> FakeContext:
    return FakeContext()
