"""An engine whose facts are no facts."""

from typing import Any


class Factless:
    facts: Any = {"language_version": object()}


def create_engine(stop: Any, emit: Any) -> Any:
    return Factless()
