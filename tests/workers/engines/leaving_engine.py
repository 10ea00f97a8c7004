"""An engine that thinks it may end the process."""

import sys
from typing import Any


def create_engine(stop: Any, emit: Any) -> Any:
    sys.exit(0)
