"""What runs in a process of its own, by page_text: a page on its input, the readable text as JSON on its output.

A page is a stranger's text, and what reads it is a large library over C code and many patterns: here it has a memory, a time, no environment
and an end.  This file imports nothing of ours.
"""

import json
import resource
import sys

MEMORY_BYTES = 1024 * 1024 * 1024
CPU_S = 15
TITLE_CHARS = 300


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    asked = json.loads(sys.stdin.buffer.readline())
    page = sys.stdin.buffer.read().decode("utf-8", "replace")
    sys.path[:] = asked["path"]
    json.dump(readable(page, asked["max_chars"]), sys.stdout)


def readable(page: str, max_chars: int) -> dict[str, object]:
    import trafilatura

    tree = trafilatura.load_html(page)
    if tree is None:
        return {"title": "", "text": "", "truncated": False}
    title = " ".join((tree.findtext(".//title") or "").split())[:TITLE_CHARS]
    found = trafilatura.bare_extraction(tree, include_comments=False)
    text = getattr(found, "text", "") or trafilatura.baseline(tree)[1] or ""
    return {"title": title, "text": text[:max_chars], "truncated": len(text) > max_chars}


if __name__ == "__main__":
    main()
