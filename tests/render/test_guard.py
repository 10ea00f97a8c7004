"""The last look before a page: two types of data, our own markup, our own metadata, limited in size; everything that we render passes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmspell_kernel.render.budget import MAX_HTML_BYTES, MAX_PLAIN_CHARS
from llmspell_kernel.render.guard import HTML, LIVE_VIEW, MAX_METADATA_CHARS, PLAIN, WITHHELD, is_ours, published
from llmspell_kernel.render.markdown import markdown_html
from llmspell_kernel.render.shown import shown_bundle
from llmspell_kernel.shown import Data, Markdown, Progress, Table, Tree

from .page import HOSTILE

VIEW = {"model_id": "0123456789abcdef0123456789abcdef", "version_major": 2, "version_minor": 0}


@pytest.mark.parametrize(
    "kind",
    [
        *("application/javascript", "text/markdown", "image/svg+xml", "image/png", "application/json", "text/latex", "application/pdf"),
        *("application/vnd.plotly.v1+json", "application/vnd.jupyter.error", "Text/HTML", " text/html", "text/html;x", ""),
    ],
)
def test_a_type_that_is_not_on_the_list_is_dropped(kind: str) -> None:
    assert published({kind: "<b>x</b>", PLAIN: "x"}, {}).data == {PLAIN: "x"}


def test_what_loses_all_of_its_types_is_still_a_text() -> None:
    assert published({"application/javascript": "alert(1)"}, {}).data == {PLAIN: WITHHELD}


@pytest.mark.parametrize("value", [b"x", 1, None, ["x"], {"a": 1}])
def test_data_that_is_no_text_is_dropped(value: Any) -> None:
    assert published({HTML: value, PLAIN: "x"}, {}).data == {PLAIN: "x"}


def test_the_reference_to_a_live_view_passes() -> None:
    assert published({LIVE_VIEW: VIEW, PLAIN: "x"}, {}).data == {LIVE_VIEW: VIEW, PLAIN: "x"}


@pytest.mark.parametrize(
    "value", [{}, "x", {**VIEW, "model_id": "x"}, {**VIEW, "model_id": 1}, {**VIEW, "version_major": 3}, {**VIEW, "more": 1}, [VIEW], None]
)
def test_anything_else_of_that_type_does_not(value: Any) -> None:
    assert published({LIVE_VIEW: value, PLAIN: "x"}, {}).data == {PLAIN: "x"}


@pytest.mark.parametrize(
    "html",
    [
        *(
            "<script>x</script>",
            "<img src=x>",
            "<svg>",
            "<iframe></iframe>",
            "<style></style>",
            "<form></form>",
            "<input>",
            "<base href='x'>",
        ),
        *(
            "<b onclick='x'>",
            '<b onclick="x">',
            '<a href="javascript:x">',
            '<a href="data:x">',
            '<a href="//x">',
            '<a href="x">',
            "<a href=https://x>",
        ),
        *(
            '<b id="x">',
            '<b name="x">',
            '<b data-commandlinker-command="x">',
            '<b class="jp-Button">',
            '<a target="_top">',
            "<b title='x'>",
            '<b title="x">',
            '<b title="1 x">',
            '<b title="">',
        ),
        *('<b style="background:url(x)">', '<b style="position:fixed">', '<b style="width:expression(x)">', '<b style="color:\\75rl(x)">'),
        *(
            '<b style="background:image(x)">',
            '<b style="x&#117;rl(y)">',
            '<b style="@import">',
            "<B>",
            "<b",
            "<",
            "a<b",
            "</b x>",
            "<!-- x -->",
        ),
        *(
            "<?x?>",
            "<![CDATA[x]]>",
            "<!doctype html>",
            "<b/onclick=x>",
            "<b\tonclick=x>",
            '<a href="https://x"onclick="x">',
            "<p\n>",
            "< b>",
        ),
    ],
)
def test_html_of_other_elements_or_attributes_is_left_out(html: str) -> None:
    assert not is_ours(html)
    assert published({HTML: f"<p>ok</p>{html}", PLAIN: "x"}, {}).data == {PLAIN: "x"}


def test_html_and_text_over_the_limits_are_left_out_and_cut() -> None:
    data = published({HTML: "x" * (MAX_HTML_BYTES + 1), PLAIN: "y" * (MAX_PLAIN_CHARS + 5)}, {}).data
    assert set(data) == {PLAIN} and data[PLAIN].endswith("5 more characters not shown")
    assert not is_ours("é" * (MAX_HTML_BYTES // 2 + 1))


def test_metadata_are_ours_or_none() -> None:
    shown = published({PLAIN: "x"}, {"llmspell": {"usage": {}}, "trusted": True, "isolated": False, "collapsed": True})
    assert shown.metadata == {"llmspell": {"usage": {}}}
    assert published({PLAIN: "x"}, {"llmspell": "x"}).metadata == {}
    assert published({PLAIN: "x"}, {"llmspell": {"x": "y" * MAX_METADATA_CHARS}}).metadata == {}


FRAGMENTS = [
    *(
        "https://a.b",
        "HTTPS://A.B/",
        "hTTp://a.b:80/x",
        "MailTo:A@b.c",
        "JAVASCRIPT:x",
        "HTTPS:\\\\a.b",
        "https://[::1]/",
        "https://xn--a.b/",
    ),
    *("[x](", ")", "<", ">", "![", "](", "[x]", "[x]: ", "\n", "\n\n", " ", "&colon;", "%3A", "\\", '"', "'", "&quot;", "\u00a0", "\u2003"),
    *("```", "~~~ ", "|", "|:-:|", "- ", "9. ", "> ", "# ", "***", "a", "é", "\u202e", "\x00", "\ud800", "<b x=1>", "\t"),
]
texts = st.text(alphabet=st.sampled_from("ab <>&\"'`*_~[]()!#|-:\\/\n=.1+x;\u202e\x1b\x00é"), max_size=60)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(texts)
@example('```js" onclick=x\ncode\n```')
@example("~~~ <b>\ncode\n~~~")
@example("| a | b |\n|:-:|--:|\n| 1 | 2 |")
@example('7. seven\n8. eight\n\n- [x](https://a.b/?q="\'<>&x=1 "title")\n\n---\n\nline  \nbreak')
@example("[x](<https://a.b/c d>) <https://a.b/ü> <mailto:a@b.c>")
@example("0. zero\n\n- *a* **b** ~~c~~ `d`\n\n> e\n\n    f\n\n***")
def test_all_markdown_passes_once_it_is_rendered(text: str) -> None:
    assert is_ours(markdown_html(text)), markdown_html(text)


@settings(max_examples=1_500, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
@example("[x](HTTPS://EVIL.com)")
@example("<MAILTO:a@b.c>")
def test_all_markdown_with_addresses_passes_once_it_is_rendered(text: str) -> None:
    assert is_ours(markdown_html(text)), markdown_html(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_answer_passes_once_it_is_rendered(text: str) -> None:
    for written in (text, f"[x]({text})", f"<{text}>", f"[x][y]\n\n[y]: {text}", f"```{text}\nx\n```"):
        assert is_ours(markdown_html(written)), markdown_html(written)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(texts, st.floats(0, 100), st.floats())
@example("", 0, 1 / 3)
@example("", 0, -1.7976931348623157e308)
@example("", 0, 5e-324)
def test_everything_that_can_be_shown_passes(text: str, done: float, number: float) -> None:
    value = {text: [text, 1, None, {text: True}, number]}
    things = [
        Data(value, text),
        Data([{text: text, "n": number}], text),
        Data(text),
        Table([{text: text}], [text], text),
        Table([[text, number]], None, text),
    ]
    for thing in [
        *things,
        Tree(value, text, 9),
        Markdown(text),
        Progress(1, done, 100, text, text),
        Progress(1, done, None, text, text, True),
    ]:
        data = shown_bundle(thing)
        assert published(data, {}).data == data
