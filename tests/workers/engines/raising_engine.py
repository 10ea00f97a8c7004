"""An engine whose self-test does not pass."""

from typing import Any

from llmspell_kernel.errors import ConfigError


def create_engine(stop: Any, emit: Any) -> Any:
    raise ConfigError("the self-test did not pass")
