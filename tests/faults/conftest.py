"""One kernel a file: starting one costs more than most tests."""

from __future__ import annotations

import pytest

from .kernels import ENGINES, Kernel


@pytest.fixture(scope="module")
def kernel():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMSPELL_MODEL", "spell/echo")
        patch.setenv("LLMSPELL_DISPLAY", "static")
        started = Kernel()
        yield started
        started.close()


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param
