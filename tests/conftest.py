"""For all tests: the settings of whoever runs them do not count."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_user_settings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
