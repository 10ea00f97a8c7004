"""What one cell may show: a byte budget that rendering functions draw from."""

from __future__ import annotations

MAX_HTML_BYTES = 2_000_000
"""Of one output's HTML: JupyterLab stays usable with it, and a notebook of twenty such cells still loads."""
MAX_PLAIN_CHARS = 1_000_000
NOTICE_BYTES = 2_000
"""Kept back for the notices and closing tags of an output that was cut."""


class Budget:
    """Bytes left.  Once something did not fit, `full` stays true, so that what follows is not shown out of order."""

    def __init__(self, limit_bytes: int = MAX_HTML_BYTES - NOTICE_BYTES) -> None:
        self.left = limit_bytes
        self.full = False

    def take(self, text: str) -> bool:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if self.full or size > self.left:
            self.full = True
            return False
        self.left -= size
        return True


CUT_HTML = "<p><em>… not everything is shown: this output met its limit of 2 MB.</em></p>"
