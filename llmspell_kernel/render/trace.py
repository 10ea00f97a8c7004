"""One cell's calls as its final output: the answers, a collapsible trace, and usage in the metadata.

The saved notebook keeps this.  Styles are inline and colours inherited or half transparent, so that it reads in light and dark themes and
survives the sanitizer of an untrusted notebook.  The data holds nothing that differs between two runs with the same answers, such as times
and ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..journal.events import AnyEvent, CallUsage
from .budget import CUT_HTML, MAX_PLAIN_CHARS, Budget
from .bundle import Bundle
from .calls import ARGUMENT_CHARS, ICONS, MESSAGE_CHARS, Call, Gathered, Status, gather
from .pretty import inline, pretty
from .text import cap_text, clean, clean_capped, clean_clipped, clip, escape, plural

BOX = "border:1px solid rgba(127,127,127,.4);border-radius:4px;padding:6px 10px;margin:2px 0"
_BADGE = "border:1px solid rgba(127,127,127,.4);border-radius:8px;padding:0 6px;font-size:85%;white-space:nowrap"
_FAINT = "opacity:.75;font-size:85%"
_BAD = "border-left:3px solid rgba(220,53,69,.85);padding-left:8px"
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0 4px"
PROMPT_CHARS = 60
MODEL_CHARS = 200
CUT_ANSWER_CHARS = 20_000
OPEN_ANSWERS = 6
"""More answers than this are folded, each to one line."""
LISTED_ANSWERS = 20
"""Of more, those without a problem are folded to one line together."""
MAX_TRACED = 500


def final_bundle(events: Sequence[AnyEvent], *, always: bool = False) -> Bundle | None:
    """The box of one cell, or None when no call streamed text or used a model.

    `always` makes a box of whatever calls there are, for a cell that has already shown something live.
    """
    return gathered_bundle(gather(events), always=always)


def gathered_bundle(gathered: Gathered, *, always: bool = False) -> Bundle | None:
    calls = list(gathered.calls.values())
    if not (any(call.is_answer for call in calls) or (always and calls)):
        return None
    answers = [call for root in gathered.roots for call in _outermost_answers(root)]
    budget = Budget()
    body = _answers_html(answers, budget) + _trace_html(gathered, set(answers), budget)
    cut = CUT_HTML if budget.full else ""
    html = f'<div class="mathjax_ignore" style="{BOX}">{body}{cut}</div>'
    return Bundle({"text/html": html, "text/plain": _plain(answers, calls)}, {"llmspell": _facts(gathered)})


def call_title(call: Call) -> str:
    """`llm.chat "Name a colour"`: which of several calls this is."""
    prompt = next((argument for argument in call.arguments if isinstance(argument, str)), None)
    if prompt is None:
        return clean(call.name)
    return f'{clean(call.name)} "{clip(" ".join(clean(prompt[: PROMPT_CHARS * 4]).split()), PROMPT_CHARS)}"'


def usage_text(*calls: Call) -> str:
    """`12 → 34 tokens · $0.0012`, as far as known; calls that ended without telling their usage say nothing."""
    usages = [usage for call in calls for usage in call.usage]
    used_in, used_out = (sum(getattr(usage, name) for usage in usages) for name in ("input_tokens", "output_tokens"))
    parts = [f"{used_in:,} → {used_out:,} tokens"] if used_in or used_out else []
    cost = _sum_cost(usages)
    if cost is not None and usages:
        parts.append(money(cost))
    return " · ".join(parts)


def money(usd: float) -> str:
    return f"${usd:.4f}" if usd >= 0.0001 or usd == 0 else f"${usd:.6f}"


def _sum_cost(usages: Iterable[CallUsage]) -> float | None:
    """The sum, or None as soon as one price is not known."""
    costs = [usage.cost_usd for usage in usages]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 10) if len(known) == len(costs) else None


def _outermost_answers(call: Call) -> list[Call]:
    """Answers inside an answer's own work (an agent's) are shown in the trace only."""
    if call.is_answer:
        return [call]
    return [answer for child in call.children for answer in _outermost_answers(child)]


def _badge(status: Status, count: int = 1) -> str:
    return f'<span style="{_BADGE}">{ICONS[status]} {f"{count:,} " if count > 1 else ""}{status}</span>'


def _heading(call: Call) -> str:
    facts = " · ".join(part for part in (escape(call.model), usage_text(call)) if part)
    return f'<b>{escape(call_title(call))}</b> <span style="{_FAINT}">{facts}</span> {_badge(call.status)}'


def _answers_html(answers: Sequence[Call], budget: Budget) -> str:
    if len(answers) <= LISTED_ANSWERS:
        return _listed_html(answers, budget, folded=len(answers) > OPEN_ANSWERS)
    problems, others = [call for call in answers if call.has_problem], [call for call in answers if not call.has_problem]
    listed = _listed_html(problems, budget, folded=True)
    start, end = f'<details><summary>{_sum_heading(others)}</summary><div style="margin-left:14px">', "</div></details>"
    if not others or not budget.take(start + end):
        return listed
    return listed + start + _listed_html(others, budget, folded=True) + end


def _sum_heading(calls: Sequence[Call]) -> str:
    """`40 answers`, by whom, what they used together, and how many ended how."""
    names, models = {call.name for call in calls}, {call.model for call in calls}
    name = escape(clean(names.pop())) if len(names) == 1 else ""
    model = escape(models.pop()) if len(models) == 1 else f"{len(models):,} models"
    facts = " · ".join(part for part in (name, model, usage_text(*calls)) if part)
    badges = " ".join(_badge(status, count) for status, count in Counter(call.status for call in calls).items())
    return f'<b>{plural(len(calls), "answer")}</b> <span style="{_FAINT}">{facts}</span> {badges}'


def _listed_html(answers: Sequence[Call], budget: Budget, *, folded: bool) -> str:
    out = []
    for call in answers:
        start, end = f"<div>{_heading(call)}", "</div>"
        if folded:
            start, end = f"<details{' open' if call.has_problem else ''}><summary>{_heading(call)}</summary>", "</details>"
        if not budget.take(start + end):
            break
        out.append(start + _answer_html(call, budget) + _problem_html(call, budget) + end)
    return "".join(out)


def _answer_html(call: Call, budget: Budget) -> str:
    text = call.answer
    if budget.full or not text:
        return ""
    from .markdown import markdown_html  # 13 ms that a kernel without an answer need not pay

    html = markdown_html(text, more=call.cut_chars)
    if len(html) > budget.left // 2:  # leave room for the calls after it
        html = f'<pre style="{_PRE}">{escape(clean_capped(text, CUT_ANSWER_CHARS, more=call.cut_chars))}</pre>'
    return html if budget.take(html) else ""


def _problem_html(call: Call, budget: Budget) -> str:
    if not call.has_problem or not call.message:
        return ""
    code = f"{escape(call.code)}: " if call.code not in ("", call.status) else ""
    message = escape(clean_capped(call.message, MESSAGE_CHARS))
    html = f'<div style="{_BAD}"><b>{ICONS[call.status]} {call.status}</b> {code}{message}</div>'
    return html if budget.take(html) else ""


def _trace_html(gathered: Gathered, shown_above: set[Call], budget: Budget) -> str:
    roots = gathered.roots
    is_open = any(_worth_opening(call) for root in roots for call in root.family())
    replayed = _replayed([call for root in roots for call in _outermost_answers(root)])
    summary = f'<summary style="{_FAINT}">Trace: {plural(gathered.count, "call")}{replayed}</summary>'
    opening = f'<details{" open" if is_open else ""} style="margin-top:4px">{summary}'
    if not budget.take(opening):
        return ""
    return f"{opening}{_nodes_html(roots, shown_above, budget, gathered)}</details>"


def _replayed(answers: Sequence[Call]) -> str:
    """What a replay says of itself: nothing of it was sent to a model."""
    count = sum(call.replayed for call in answers)
    if not count:
        return ""
    return " · replayed, nothing was sent" if count == len(answers) else f" · {count} of {plural(len(answers), 'answer')} replayed"


def _is_passed_on(call: Call) -> bool:
    """Did it fail as a call within it did?  Then the words stand there, and are not said twice."""
    return call.has_problem and any(child.has_problem and child.message == call.message for child in call.children)


def _worth_opening(call: Call) -> bool:
    return call.has_problem and call.stream is None


def _is_quiet(call: Call) -> bool:
    """Nothing in it to look at: only its name and how often it was called are listed."""
    return not any(part.is_answer or part.approved or _worth_opening(part) for part in call.family())


def _nodes_html(calls: Sequence[Call], shown_above: set[Call], budget: Budget, whole: Gathered | None = None) -> str:
    """`whole`, for the outermost calls, tells of those that are only counted."""
    loud = [call for call in calls if not _is_quiet(call)]
    out = []
    for call in loud[:MAX_TRACED]:
        if budget.full:
            break
        out.append(_node_html(call, shown_above, budget))
    hidden = max(0, len(loud) - MAX_TRACED) + (whole.left_out if whole else 0)
    if hidden and not budget.full:
        out.append(f"<div><em>… {plural(hidden, 'more call')} not shown</em></div>")
    out.append(_quiet_html([call for call in calls if _is_quiet(call)], budget, whole.counted if whole else Counter()))
    return "".join(out)


def _node_html(call: Call, shown_above: set[Call], budget: Budget) -> str:
    is_open = any(_worth_opening(part) for part in call.family())
    consent = "allowed by you" if call.approved else ""
    facts = " · ".join(part for part in (escape(call.model), usage_text(call), consent) if part)
    head = f'{ICONS[call.status]} <b>{escape(call.name)}</b> {call.status} <span style="{_FAINT}">{facts}</span>'
    arguments = escape(cap_text("\n".join(pretty(argument, limit=ARGUMENT_CHARS) for argument in call.arguments), ARGUMENT_CHARS))
    opening = f'<details{" open" if is_open else ""} style="margin-left:14px"><summary>{head}</summary>' + (
        f'<pre style="{_PRE}">{arguments}</pre>' if arguments else ""
    )
    if not budget.take(opening + "</details>"):
        return ""
    inside = "" if call in shown_above else _answer_html(call, budget) + ("" if _is_passed_on(call) else _problem_html(call, budget))
    return f"{opening}{inside}{_nodes_html(call.children, shown_above, budget)}</details>"


def _quiet_html(calls: Sequence[Call], budget: Budget, counted: Counter[tuple[str, bool]]) -> str:
    """How often a stream was read depends on how its text was cut, so methods of a stream are listed without a count."""
    counts = counted + Counter((part.name, part.stream is not None) for call in calls for part in call.family())
    listed = [name if count == 1 or of_stream else f"{name} × {count:,}" for (name, of_stream), count in counts.items()]
    if not listed:
        return ""
    html = f'<div style="margin-left:14px;{_FAINT}">{escape(clip("also called: " + ", ".join(listed), ARGUMENT_CHARS))}</div>'
    return html if budget.take(html) else ""


def _plain(answers: Sequence[Call], calls: Sequence[Call]) -> str:
    parts, room = [], MAX_PLAIN_CHARS
    for call in answers:
        if call.answer and room >= 0:
            parts.append(clean_capped(call.answer, MAX_PLAIN_CHARS, colour=True, more=call.cut_chars))
            room -= len(call.answer)
    problems = [_problem_line(call) for call in calls if _worth_opening(call) and not _is_passed_on(call)][:MAX_TRACED]
    if problems:
        parts.append("\n".join(problems))
    return cap_text("\n\n".join(parts), MAX_PLAIN_CHARS)


def _problem_line(call: Call) -> str:
    message = " ".join(clean(call.message).split())
    return f"{ICONS[call.status]} {clean(call.name)} {call.status}" + (f": {clip(message, 500)}" if message else "")


def _facts(gathered: Gathered) -> dict[str, Any]:
    used = [call for call in gathered.calls.values() if call.usage]
    usages = [usage for call in used for usage in call.usage] + gathered.left_out_usage
    facts: dict[str, Any] = {
        "usage": {
            "input_tokens": sum(usage.input_tokens for usage in usages),
            "output_tokens": sum(usage.output_tokens for usage in usages),
            "cost_usd": _sum_cost(usages),
            "calls": len(used) + gathered.left_out_users,
        }
    }
    facts["models"] = sorted({clean_clipped(usage.model, MODEL_CHARS) for usage in usages if usage.model})
    if gathered.cell_duration_s is not None:
        facts["duration_s"] = gathered.cell_duration_s
    timed = [call for call in gathered.calls.values() if call.is_answer or call.has_problem]
    facts["calls"] = [
        {"call": call.call, "name": inline(call.name, 200)[1:-1], "status": call.status, "duration_s": call.duration_s}
        for call in timed[:MAX_TRACED]
    ]
    return facts
