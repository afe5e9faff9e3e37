"""How an alert reads: the one place where its words, its Slack blocks and its plain text are made.

Every alert says the same things in the same order: what is wrong and with what, the error's own words, since when,
whether it heals by itself, who looks after it, and where to look. What comes from elsewhere is shown by
`foreign_text.shown`, and escaped for Slack, so that no name and no error can ping anybody or carry a secret.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from s3_assets.alerts.foreign_text import cut, shown
from s3_assets.alerts.problems import Severity
from s3_assets.alerts.reconcile import Message, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3_assets.alerts.groups import Group
    from s3_assets.alerts.problems import Problem

MOST_SECTION: Final = 3000
"""Characters in the text of a section, as Slack counts them: after escaping."""

MOST_FIELD: Final = 2000
"""Characters in a field of a section."""

MOST_LINE: Final = 900
"""Characters of a title and of each line under it, escaped: three of them are less than a section."""

MOST_BLOCKS: Final = 50
"""Blocks in a message."""

MOST_TEXT: Final = 4000
"""Characters of a message's plain text; Slack takes more, and asks for no more."""

WORDS_BYTES: Final = 700
"""Of one error's words."""

ERRORS_SHOWN: Final = 2
"""Different words in one message; the others are counted."""

_NAME_BYTES = 300
_HEALS_BYTES = 500
_MARKS = {Severity.ERROR: ":red_circle:", Severity.WARNING: ":large_yellow_circle:"}
_OVER_MARK = ":white_check_mark:"
_STYLING = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")
_MENTION = re.compile(r"<@[UW][A-Z0-9]{2,20}>|<!subteam\^S[A-Z0-9]{2,20}>")


@dataclass(frozen=True, slots=True)
class Composed:
    """A message as it is sent.

    Attributes:
        channel: Where.
        severity: How the log takes it; None for good news.
        plain: For a log: no markup, nothing escaped.
        text: The same for Slack, shown in notifications.
        blocks: What Slack shows in the channel.
    """

    channel: str
    severity: Severity | None
    plain: str
    text: str
    blocks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a message says, in order, as plain text; what is empty is left out."""

    mark: str
    title: str
    which: str
    news: str
    words: Sequence[str]
    facts: Sequence[tuple[str, str]]
    owner: str
    page: tuple[str, str]


def compose(message: Message, now: datetime, ui: str | None) -> Composed:
    """Put `message` into words.

    Args:
        message: What is to be said.
        now: Aware.
        ui: The address of Dagster's UI, for links; None where nobody said.
    """
    content = _wrong(message, message.group, now, ui) if message.group is not None else _over(message, now)
    plain = _plain(content)
    return Composed(
        channel=message.channel,
        severity=None if message.group is None else message.group.severity,
        plain=plain,
        text=fit(plain, MOST_TEXT),
        blocks=_blocks(content),
    )


# --- what is said ------------------------------------------------------------------------------------------


def _wrong(message: Message, group: Group, now: datetime, ui: str | None) -> _Content:
    first = group.problems[0]
    cause = f" ({shown(group.cause)})" if group.cause else ""
    since = group.since
    tries = max(problem.tries for problem in group.problems)
    facts = [("Since", f"{_time(since)} ({duration(now - since)})" if since is not None else "not known")]
    if tries > 1:
        facts.append(("Failed", f"{tries:,} times" if len(group.problems) == 1 else f"up to {tries:,} times"))
    facts.append(("Heals by itself", _heals(group)))
    return _Content(
        mark=_MARKS[group.severity],
        title=f"{cut(shown(group.subject), _NAME_BYTES)} {group.kind.wrong}{cut(cause, _NAME_BYTES)}",
        which=cut(shown(group.named()), 2 * _NAME_BYTES),
        news=_news(message, group),
        words=_words(group.problems),
        facts=facts,
        owner=group.owner,
        page=_page(first, ui),
    )


def _over(message: Message, now: datetime) -> _Content:
    was = message.was
    if was is None:
        raise ValueError("what is over was open")
    since = datetime.fromtimestamp(was.since, UTC)
    facts = [("Since", f"{_time(since)}, for {duration(now - since)}")]
    return _Content(_OVER_MARK, f"{was.over} {was.end}", was.which, "", (), facts, "", ("", ""))


def _news(message: Message, group: Group) -> str:
    """What is different from the last time."""
    was = message.was
    if was is None:
        return ""
    said = f"since this was said at {_time(datetime.fromtimestamp(was.last, UTC))}"
    parts = []
    if message.reason is Reason.CHANGED:
        if was.things.exact:
            parts.append(f"{len(group.problems) - was.things.count:,} more")
        else:
            parts.append(f"{len(group.problems):,} where there were {was.things.count:,}")
    if was.gone:
        parts.append(f"{was.gone:,} right again")
    return f"{', '.join(parts) or 'Nothing new'} {said}."


def _words(problems: Sequence[Problem]) -> list[str]:
    """The different words of a group's errors, the most frequent first."""
    counts = Counter(problem.words for problem in problems if problem.words)
    frequent = (text for text, _ in counts.most_common(ERRORS_SHOWN))
    words = list(dict.fromkeys(cut(shown(text.strip(), lines=True), WORDS_BYTES) for text in frequent))
    if len(counts) > ERRORS_SHOWN:
        words[-1] += f"\n(and {len(counts) - ERRORS_SHOWN:,} other messages)"
    return [text for text in words if text]


def _heals(group: Group) -> str:
    by_itself = sum(problem.by_itself for problem in group.problems)
    hints = list(dict.fromkeys(problem.heals for problem in group.problems if problem.heals))
    if by_itself == len(group.problems):
        answer = "yes"
    else:
        answer = "no" if not by_itself else f"{by_itself:,} of {len(group.problems):,}"
        hints = list(
            dict.fromkeys(problem.heals for problem in group.problems if problem.heals and not problem.by_itself)
        )
    return cut(shown(f"{answer}: {hints[0]}" if hints else answer), _HEALS_BYTES)


def _page(problem: Problem, ui: str | None) -> tuple[str, str]:
    if not problem.page:
        return ("", "")
    return (shown(problem.page_name), f"{ui.rstrip('/')}/{problem.page}" if ui else "")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(span: timedelta) -> str:
    """`3 d 4 h`, `2 h 5 min`, `40 min`, `less than a minute`."""
    minutes = max(int(span.total_seconds()) // 60, 0)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {rest} min"
    return f"{rest} min" if minutes > 0 else "less than a minute"


# --- how it is shown ---------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """`text` for Slack's mrkdwn: what begins a mention or a link is only text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fit(text: str, most: int) -> str:
    """`text`, escaped, in at most `most` characters; no escape is cut in two."""
    escaped = escape(text)
    if len(escaped) <= most:
        return escaped
    kept, length = [], 1
    for char in text:
        piece = escape(char)
        if length + len(piece) > most:
            break
        kept.append(piece)
        length += len(piece)
    return "".join(kept) + "…"


def _plain(content: _Content) -> str:
    lines = [content.title]
    lines += [line for line in (content.which, content.news) if line]
    lines += [f"  {line}" for words in content.words for line in words.split("\n")]
    lines += [f"{name}: {value}" for name, value in content.facts]
    if content.owner:
        lines.append(f"Owner: {content.owner}")
    name, address = content.page
    if name:
        lines.append(f"Look: {name} {address}".rstrip())
    return "\n".join(lines)


def _blocks(content: _Content) -> list[dict[str, Any]]:
    lines = [f"{content.mark} *{_unstyled(content.title, MOST_LINE)}*"]
    lines += [_unstyled(line, MOST_LINE) for line in (content.which, content.news) if line]
    blocks = [_section("\n".join(lines))]
    blocks += [_section(f"```{_in_code(words)}```") for words in content.words]
    fields = [f"*{name}*\n{_unstyled(value, MOST_FIELD - 100)}" for name, value in content.facts]
    if content.owner:
        fields.append(f"*Owner*\n{_owner(content.owner)}")
    name, address = content.page
    if name:
        label = _unstyled(name.replace("|", "/"), MOST_LINE)
        fields.append(f"*Look*\n<{escape(address).replace('|', '%7C')}|{label}>" if address else f"*Look*\n{label}")
    if content.mark == _OVER_MARK:
        return [*blocks, {"type": "context", "elements": [_mrkdwn(text.replace("\n", " ")) for text in fields]}]
    return [*blocks, {"type": "section", "fields": [_mrkdwn(text) for text in fields]}]


def _in_code(text: str) -> str:
    """Escaped, and without the sign that would end the block of code."""
    return fit(text.replace("`", "'"), MOST_SECTION - 6)


def _unstyled(text: str, most: int) -> str:
    """Escaped, at most `most` characters, and with no sign that would make it bold, struck or code.

    An underscore within a word styles nothing, and stays as it is: names are copied from here.
    """
    return fit(_STYLING.sub("\u200b\\g<0>", text), most)


def _owner(owner: str) -> str:
    return owner if _MENTION.fullmatch(owner) else _unstyled(owner, MOST_LINE)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
