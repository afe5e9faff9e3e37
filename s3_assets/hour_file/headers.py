r"""Whether a source's first line is a header, judged from the source's own bytes alone.

A line of data that is taken for a header is a row lost in silence, and junk that is taken for one (an error page,
"no rows selected") becomes the columns of an hour. So a line is a header only if it can be one; where there is doubt,
it is none, and the message names the setting that says otherwise. The other way round, a header of a real producer
that is turned away costs somebody's time: each rule here was tried on some thousands of published CSV files.

Rules are small and independent: `_RULES` need the line alone, `_DOUBTS` give way where the rows below leave no
doubt. Text is latin-1 throughout: one character for each byte, whatever the encoding; so `\s` and `strip()` are only
used where they mean ASCII blanks (0xA0 and 0x85 are parts of UTF-8 letters).
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from s3_assets.hour_file.rows import column_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Rules = tuple[tuple[Callable[["_Line"], str | None], str, str], ...]
    """Each rule with the kind of its finding and the advice. A rule gives what it found, in words that go before the
    quoted text; None where it found nothing."""

SAMPLE_BYTES = 64 * 1024
"""How much of the rows below is looked at."""

_TYPED_ROWS = 40  # as many rows settle which columns are typed
_SAMPLED_ROWS = 200  # and as many are searched for the names, where types settled nothing
_SHOWN = 80  # characters of foreign text in a message
_LONGEST_NAME = 1000  # bytes; a question of a survey has up to some hundreds
_LONGEST_VALUE = 200  # bytes that the patterns below are held against: bounds what they can cost
_SENTENCE_WORDS = 4
_RANDOM_LENGTH = 14


NOT_CSV = frozenset(
    ("blank line", "comment", "error message", "JSON", "log line", "markup", "message", "prose", "SQL", "tool output")
)
"""Reasons for which a source is not CSV at all, so that none of its lines is a row."""


class NoHeaderError(ValueError):
    """A first line is not a header, or it is in doubt: the source is to be quarantined.

    Attributes:
        reason: Short name of the kind, such as `no header`, `separator`, `JSON`.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the kind apart from the sentence, which says what was found and which setting helps."""
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Header:
    """A first line that can be a header.

    Attributes:
        names: The columns, as they were written, without their quotes.
        certain: The rows below leave no doubt; False where they say nothing.
    """

    names: tuple[bytes, ...]
    certain: bool


def read_header(line: bytes, sample: bytes) -> Header:
    """The header that a source's first row is.

    Args:
        line: The first row, with its line end.
        sample: Whole rows that follow it, as many as are at hand; at most `SAMPLE_BYTES` are looked at.

    Raises:
        NoHeaderError: It is none, or it is in doubt.
    """
    first = _Line(line.decode("latin-1").rstrip("\r\n"))
    _apply(_RULES, first)
    rows = _rows(sample, first.names)
    first.take(islice(rows, _TYPED_ROWS))
    first.certain = _stands_over_typed_values(first)
    if not first.certain:
        first.take(islice(rows, _SAMPLED_ROWS - _TYPED_ROWS))
    _apply(_DOUBTS, first)
    return Header(tuple(name.encode("latin-1") for name in first.fields), first.certain)


@dataclass  # without slots, for its cached properties
class _Line:
    """A first line as the rules see it: its text without the row's end, and the rows below as far as they were read."""

    text: str
    certain: bool = False
    widths: list[int] = field(default_factory=list)
    columns: list[list[str]] = field(default_factory=list)

    def take(self, rows: Iterable[list[str]]) -> None:
        """Add rows below: their widths, without empty fields at their ends, and the values in each column.

        By columns, for a line of 100,000 fields over some short rows must not cost the product of both.
        """
        self.columns = self.columns or [[] for _ in self.names]
        for row in rows:
            while not row[-1]:
                row.pop()
            self.widths.append(len(row))
            for values, value in zip(self.columns, row, strict=False):
                if value:
                    values.append(value)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """What its fields say, by our own reader."""
        return tuple(name.decode("latin-1") for name in column_names(self.text.encode("latin-1") + b"\n"))

    @cached_property
    def names(self) -> list[str]:
        """The fields without blanks around them: what is judged."""
        return [name.strip(_BLANKS) for name in self.fields]

    @cached_property
    def bare(self) -> str:
        """The text without what is quoted in it."""
        return _QUOTED.sub("", self.text) if '"' in self.text else self.text

    @property
    def spaced(self) -> bool:
        """Each comma is followed by a blank, as in prose and in some headers; nothing is quoted."""
        return '"' not in self.text and self.text.count(", ") == self.text.count(",") > 0


def _apply(rules: _Rules, line: _Line) -> None:
    """Raise what the first rule finds that finds something."""
    for rule, reason, advice in rules:
        found = rule(line)
        if found is not None:
            raise NoHeaderError(reason, f"{found}: {_quote(line.text)}; {advice}")


def _quote(text: str) -> str:
    """Foreign text, short and harmless to a terminal, a log and a chat."""
    shown = text[: 4 * _SHOWN].encode("latin-1").decode("utf-8", "backslashreplace")
    quoted = repr(shown)
    return quoted if len(quoted) <= _SHOWN else f"{quoted[: _SHOWN - 2]}…{quoted[0]}"


def _words(text: str) -> int:
    return sum(1 for word in _WORD_GAPS.split(text) if word)


# --- the line's own text -------------------------------------------------------------------------------------------

_BLANKS = " \t\r\n"
_QUOTED = re.compile(r'"[^"]*"')
_WORD_GAPS = re.compile(r"[ \t\r\n]+")
_WORD = r"[A-Za-z0-9_\x80-\xff]"


def _utf8(*words: str) -> str:
    """Alternatives of a pattern, as the characters that their UTF-8 bytes are in latin-1."""
    return "|".join(word.encode().decode("latin-1") for word in words)


def _blank_line(line: _Line) -> str | None:
    """Nothing but blanks: SQL*Plus and many reports begin with an empty line."""
    return "the first line is blank" if not line.text.strip(_BLANKS) else None


_SIGNATURE = re.compile(r"%PDF-|%!PS|PK\x03\x04|PAR1|Obj\x01|\x89PNG|GIF8[79]a|\{\\rtf|\xd0\xcf\x11\xe0|SQLite format")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONE_CONTROL = re.compile(r"[\r\n]")


def _binary(line: _Line) -> str | None:
    """Control characters, or what documents and archives begin with. Newlines and tabs may stand within quotes."""
    if _SIGNATURE.match(line.text):
        return "the first line is that of another kind of file"
    if _CONTROL.search(line.text) or _LONE_CONTROL.search(line.bare):
        return "the first line has control characters"
    return None


_TAG = re.compile(r"[ \t]*<[!?/A-Za-z%]")
_BRACKETED = re.compile(r"<[A-Za-z][A-Za-z0-9_ ]*>")


def _markup(line: _Line) -> str | None:
    """An HTML or XML page. Not `<TICKER>,<DATE>,<CLOSE>`, which exports of stock prices have for names."""
    if not _TAG.match(line.text):
        return None
    if len(line.names) > 1 and all(_BRACKETED.fullmatch(name) for name in line.names):
        return None
    return "the first line is markup"


_JSON = re.compile(r'[ \t]*[\[{]|"?(?:\{|\[[{\["])|[ \t]*"[^"]*"[ \t]*:')


def _json(line: _Line) -> str | None:
    """An object, an array, JSON lines; also INI sections and log lines in brackets, which are no headers either."""
    return "the first line looks like JSON" if _JSON.match(line.text) else None


_COMMENT = re.compile(r"[ \t]*(?:#[ \t#!](?!of )|#[A-Za-z-]+:|//|/\*|--|\(\*|;|REM |%%|%[A-Z]+ |={2,}|\*{2,}|~{2,})")


def _comment(line: _Line) -> str | None:
    """A comment, a banner, W3C's `#Fields: …`, a dump's `-- …`. But `#id,name` and `# of units,price` are headers."""
    if _COMMENT.match(line.text) and _has_letter(line.text):
        return "the first line looks like a comment"
    return None


_TOOL = re.compile(
    r"\d[ \t]+(?:rows?|records?|row\(s\)|record\(s\)|results?)(?![A-Za-z_/])"
    r"|^no (?:rows|records|data|results?)(?![A-Za-z_])"
    r"|^query ok|^empty set|^msg \d+, level \d+|^sql> |^mysql> |^ora-\d|^sp2-\d|^sql\d{4}n|^\+-+\+",
    re.IGNORECASE,
)


def _tool_output(line: _Line) -> str | None:
    """What SQL clients say where there are no rows, or besides them; also `Msg 208, Level 16, State 1`."""
    return (
        "the first line looks like the output of a tool" if _TOOL.search(line.text[:_SHOWN].lstrip(_BLANKS)) else None
    )


_SQL = re.compile(
    r"(?i:insert into|create (?:or replace )?(?:table|view|database|schema|index|temp)|drop (?:table|database)"
    r"|delete from|alter table|lock tables|set names|start transaction|begin;|commit;)(?![A-Za-z_])"
    r"|(?:SELECT|select) .|UPDATE [^ ,]+ SET |COPY [^ ,]+ (?:FROM|\()"
)


def _sql(line: _Line) -> str | None:
    """A dump, or the echo of a query. Keywords that begin names, too (`Select size`) count in one case only."""
    return "the first line looks like SQL" if _SQL.match(line.text) else None


_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC|EMERG|ALERT)"
_LOG = re.compile(
    rf"[ \t]*(?:{_LEVEL}[ \t]*[:|\]]|{_LEVEL}[ \t]+[^,]*[:.]"  # ERROR: …, [INFO] is taken for JSON
    rf"|[^,;]{{0,40}}\d\d:\d\d:\d\d\S*[ \t]*(?:[,.]\d+)?[ \t|:\[(-]*[^,;]{{0,40}}?(?<![A-Za-z]){_LEVEL}(?![A-Za-z])"
    r"|[A-Z][a-z]{2}[ \t]+\d{1,2}[ \t]\d\d:\d\d:\d\d[ \t]"  # syslog
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d"  # glog
    r"|<\d{1,3}>\d? ?\S"  # syslog on the wire
    r"|\d{1,3}(?:\.\d{1,3}){3}[ \t]+\S+[ \t]"  # a web server's
    r"|HTTP/\d(?:\.\d)?[ \t]\d{3}"
    r"|(?:time|ts|level|msg)=\S)"
)


def _log_line(line: _Line) -> str | None:
    """A line of a log or of an HTTP answer: a level or a time stands where logs have it."""
    return "the first line looks like that of a log" if _LOG.match(line.text[: 2 * _SHOWN]) else None


_TRACE = re.compile(
    r"Traceback \(|Exception in thread|Caused by:|[ \t]+at [\w.$]+\(|panic: |goroutine \d|Unhandled |Uncaught "
    r"|(?:PHP )?(?:Fatal|Parse) error|[\w.$]*(?:Exception|Error|Warning)(?:\(.{0,20}\))?: "
)


def _stack_trace(line: _Line) -> str | None:
    """An exception as Python, Java, Go, JavaScript and PHP print it."""
    return "the first line looks like an error" if _TRACE.match(line.text[: 2 * _SHOWN]) else None


_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_PIECE_WORDS = 3


def _other_separator(line: _Line) -> str | None:
    """Semicolons, tabs or bars where commas should be; prose has them, too, between more than a few words."""
    commas = line.bare.count(",")
    for separator, name in _SEPARATORS.items():
        if line.bare.strip(" ").count(separator) <= commas:
            continue
        pieces = line.text.split(separator)
        if len(pieces) > 1 and all(_words(piece) <= _PIECE_WORDS for piece in pieces if len(piece) <= _LONGEST_NAME):
            return f"the first line has {name} between its fields, not commas"
    return None


def _quoting(line: _Line) -> str | None:
    """Another reader reads other names, as where text stands after a closing quote."""
    if '"' not in line.text and len(line.text) <= csv.field_size_limit():
        return None  # nothing that two readers could read in two ways: newlines and control characters are ruled out
    try:
        rows = list(csv.reader(io.StringIO(line.text + "\n", newline="")))
    except csv.Error:
        rows = []
    return None if rows == [list(line.fields)] else "the quotes of the first line can be read in more than one way"


# --- names and values ----------------------------------------------------------------------------------------------

# Dashes, bullets, box drawing (tables of DuckDB and ClickHouse), blanks and byte order marks in UTF-8.
_NO_LETTERS = re.compile(
    r"\xe2\x80[\x80-\xbf]|\xe2[\x94-\x96][\x80-\xbf]|\xe3\x80[\x80-\x82]|\xc2[\xa0\xb7]|\xef\xbb\xbf"
)
_LETTER = re.compile(r"[A-Za-z\x80-\xff]")


def _has_letter(text: str) -> bool:
    return _LETTER.search(_NO_LETTERS.sub("", text) if "\xe2" in text or "\xc2" in text else text) is not None


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?"
_CODES = "USD|EUR|GBP|JPY|KRW|CNY|CHF|INR|AUD|CAD|BRL"
_CURRENCY = rf"(?:US\$|[$\xa3\xa5\x80\xa4]|\xe2\x82[\xa0-\xbf]|\xc2[\xa3\xa5]|(?:{_CODES})(?= ?\d))"
_AMOUNT = r"\d(?:[\d_,.' ]*\d)?\.?"
_KINDS = {
    "a number": (
        rf"[-+(]?{_CURRENCY}? ?[-+]?(?:{_AMOUNT}|\.\d+)(?:e[-+]?\d+)?\)?%?"
        rf"|[-+]?{_AMOUNT} ?(?:%|{_CURRENCY}|{_CODES})"
        r"|[-+]?0x[0-9a-f]+|[-+](?:inf|infinity|nan)"
        r"|[-+]?\d+[.,]\d+ ?(?!th)[a-z\xb5]{1,4}"  # with a unit: 1.5 MB; but 24h and 7d are names
    ),
    "a date or a time": (
        r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?(?:[T _].*|Z|[-+]\d\d:?\d\d)?"
        r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:[T _].*)?"
        r"|\d{8}T\d{4,6}(?:\.\d+)?(?:Z|[-+]\d\d:?\d\d)?"
        rf"|{_CLOCK}(?: ?[ap]\.?m\.?)?(?: ?Z|[-+]\d\d:?\d\d| [a-z]{{3,4}})?|\d{{1,2}} ?[ap]\.?m\.?"
        rf"|(?:[a-z]{{3,9}},? )?\d{{1,2}}[-/. ]?{_MONTH}(?:[-/., ]+\d{{2,4}})?(?:[ :]{_CLOCK}.*)?"
        rf"|(?:[a-z]{{3,9}},? )?{_MONTH}(?:[-/., ]+\d{{1,4}}(?:,? \d{{4}})?|\d{{4}})(?: +{_CLOCK}.*)?"
        r"|\d{4}-?W\d\d(?:-?\d)?|\d{4}[- ]?Q[1-4]|Q[1-4][- ]\d{4}"
        rf"|\d{{2,4}} ?(?:{_utf8('년', '年')}).*"
    ),
    "a colour": r"#(?:[0-9a-f]{6}|[0-9a-f]{8})",
    "a duration": (
        r"P(?=[\dT])(?:\d+(?:\.\d+)?[YMWD])*(?:T(?=\d)(?:\d+(?:\.\d+)?[HMS])+)?(?<=\d[YMWDHS])"
        r"|\d+ days?,? \d+:\d\d:\d\d.*"
    ),
    "a UUID": r"[{(]?(?:urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[)}]?",
    "a hash or an id": (
        r"(?:(?:md5|sha\d+)[:-])?(?=(?:[a-f]*\d){3})[0-9a-f]{12,}|[0-7][0-9A-HJKMNP-TV-Z]{25}|eyJ[\w-]{8,}\..*"
    ),
    "an address": (
        r"[a-z][a-z0-9+.-]{0,20}://.*|www\.[\w-]+\..*|mailto:.*|arn:aws[\w-]*:.*|data:\w+/.*"
        r"|[^\s@,;<>()]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}"
        r"|(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/\d+)?|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}"
        r"|(?=.*\d)(?=.*:.*:)[0-9a-f:]{2,39}(?:%\w+|/\d+)?|::"
        r"|[a-z]:\\.*|\\\\\w.*|/[\w.-]+/.*"
    ),
    "a missing value": r"null|n/a|#n/a|#null!|#value!|#ref!|nan|\\n|<na>|\(null\)|\[null\]|#div/0!",
    "a piece of JSON": r"\{.*|\[(?:[\[{\"'\d-].*|\])",
    "a key with its value": r"[\w.-]+=[^=>].*|=.*",
}
_VALUE = re.compile(
    "|".join(f"(?P<k{number}>{pattern})" for number, pattern in enumerate(_KINDS.values())),
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_KIND_NAMES = {f"k{number}": kind for number, kind in enumerate(_KINDS)}
# Nothing in it that a value of any kind but a word must have: spares most names the pattern above.
_PLAIN = re.compile(r"[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff .()-]*(?:/[A-Za-z_\x80-\xff ]{2,})?")
_MISSING = frozenset({"null", "nan"})
_BOOLEANS = frozenset({"true", "false", "yes", "no"})
_WEAK = _BOOLEANS | {"na", "none", "nil", "inf", "infinity", "unknown", "undefined"}
"""Words that are values more often than names; what stands below decides."""
_WRITTEN = {"na": {"NA", "na"}}  # but Na is sodium
_FEW = 2


def _kind(text: str) -> str | None:
    """What kind of value a text without blanks around it is; None where it can be a name, or is a weak word."""
    if _PLAIN.fullmatch(text):
        return "a missing value" if text.lower() in _MISSING else None
    found = _VALUE.fullmatch(text[:_LONGEST_VALUE])
    if found is not None:
        return _KIND_NAMES[found.lastgroup or ""]
    if not _has_letter(text):
        return "a value" if any(character.isdigit() for character in text) else None
    return "a hash or an id" if _is_random(text) else None


_RANDOM = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_RUNS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_DIGITS = re.compile(r"[0-9]+")
_RUN_LENGTH = 1.7  # in random text; in camelCase runs are twice as long
_RUN_LENGTH_OF_DIGITS = 2.0  # the same, where digits stand in several places, as names hardly have them


def _is_random(text: str) -> bool:
    """Base64, a token, `cus_NffrFeUfNV2Hib`: digits within, and letters that change case all the time."""
    for piece in re.split("[_-]", text) if len(text) <= _LONGEST_VALUE else [text[:_LONGEST_VALUE]]:
        if len(piece) < _RANDOM_LENGTH or not _RANDOM.fullmatch(piece):
            continue
        digits, runs = len(_DIGITS.findall(piece)), len(_RUNS.findall(piece))
        if digits and len(piece) < runs * (_RUN_LENGTH if digits == 1 else _RUN_LENGTH_OF_DIGITS):
            return True
    return False


def _value(line: _Line) -> str | None:
    """A field is a value. One is enough for doubt, so years and dates that are meant as names need a setting."""
    for name in line.names:
        kind = _kind(name)
        if kind is not None:
            return f"the first line has {kind} ({_quote(name)}) where a name should be"
    return None


def _long_name(line: _Line) -> str | None:
    """Nobody names a column in more than a page; a text, base64 or binary data in one piece is that long."""
    longest = max(map(len, line.fields))
    return f"the first line has a field of {longest} bytes, too long for a name" if longest > _LONGEST_NAME else None


def _no_name(line: _Line) -> str | None:
    """Blank names (pandas writes one for an index), or names of punctuation alone, such as `---,-----`."""
    for place, name in enumerate(line.names, 1):
        if not name:
            return f"column {place} of the first line has no name"
        if not _has_letter(name):
            return f"column {place} of the first line is {_quote(name)}, which is no name"
    return None


def _twice(line: _Line) -> str | None:
    """Columns are matched by name, so each needs one of its own."""
    if len(set(line.fields)) == len(line.fields):
        return None
    seen: set[str] = set()
    for name in line.fields:
        if name in seen:
            return f"the first line has the column {_quote(name)} twice"
        seen.add(name)
    return None


def _tabbed(line: _Line) -> str | None:
    """A tab in a name that is not quoted: some of the fields are separated by tabs."""
    return "the first line has tabs within its fields" if "\t" in line.bare.strip(_BLANKS) else None


# --- prose ---------------------------------------------------------------------------------------------------------

_SINGLE = re.compile(r"[A-Za-z0-9_\x80-\xff@$%(\[][A-Za-z0-9_\x80-\xff@$%()\[\]./&+#?*-]*(?<![.])")
_SENTENCE_ENDS = ("。", "니다", "세요", "없음", "ません", "ました", "です", "ます", "なし", "失败", "失敗", "错误")
_SENTENCE_STARTS = ("没有", "暂无", "无数据", "找不到")
# A name is a noun; these end verbs, or say that there is nothing. Chinese and Japanese have no blanks to count.
_SENTENCE = re.compile(rf"(?:{_utf8(*_SENTENCE_ENDS)})\Z|\A(?:{_utf8(*_SENTENCE_STARTS)})")


def _single_word(line: _Line) -> str | None:
    """One column: one word of what names are made of. Else it is a message, a setting, a key with a value."""
    if len(line.names) != 1:
        return None
    name = line.names[0]
    if _words(name) > 1:
        return "the first line is one column with blanks in it, which looks like prose"
    if not _SINGLE.fullmatch(name) or _SENTENCE.search(name):
        return "the first line is one column, and looks like no name"
    return None


def _tuple(line: _Line) -> str | None:
    """A tuple as SQL and Python print it."""
    if len(line.names) > 1 and line.text.lstrip(_BLANKS)[:1] == "(" and ")" not in line.names[0]:
        return "the first line looks like a tuple"
    return None


# --- doubts that the rows below can settle -------------------------------------------------------------------------


def _rows(sample: bytes, names: list[str]) -> Iterator[list[str]]:
    """The rows below, blanks around their fields taken off; without blank ones, and the header where it stands again.

    Concatenated files have their header again between rows: it says nothing against itself.
    """
    if len(sample) > SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n", 0, SAMPLE_BYTES) + 1]
    reader = csv.reader(io.StringIO(sample.decode("latin-1"), newline=""))
    while True:
        try:
            row = next(reader)
        except (csv.Error, StopIteration):  # what was read before an error is as good as it was
            return
        if " " in (text := "".join(row)) or "\t" in text or "\n" in text:
            row = [value.strip(_BLANKS) for value in row]
        if any(row) and row != names:
            yield row


def _says_nothing(value: str) -> bool:
    """An empty or missing value: neither for nor against a type."""
    return not value or value == "-" or value.lower() in _WEAK - _BOOLEANS or _kind(value) == "a missing value"


def _is_typed(value: str) -> bool:
    return value.lower() in _BOOLEANS or _kind(value) is not None


def _stands_over_typed_values(line: _Line) -> bool:
    """In some column all values are numbers, dates, … and the name is not: the line is surely a header."""
    return any(
        name.lower() not in _WEAK and _all_that_say(values, _is_typed)
        for name, values in zip(line.names, line.columns, strict=True)
    )


def _all_that_say(values: list[str], test: Callable[[str], bool]) -> bool:
    """Whether all values that say something pass the test, and there is one."""
    seen = False
    for value in values:
        if not _says_nothing(value):
            if not test(value):
                return False
            seen = True
    return seen


def _weak_word(line: _Line) -> str | None:
    """`yes`, `none`, `inf`, `NA`: names where another column is certain.

    `no` is a number in Korea and Japan: a name where digits stand below it, and first of several where nothing does.
    """
    if line.certain:
        return None
    for place, (name, values) in enumerate(zip(line.names, line.columns, strict=True)):
        word = name.lower()
        if word not in _WEAK or name not in _WRITTEN.get(word, {name}):
            continue
        if word in _BOOLEANS and _all_that_say(values, _has_digit):
            continue
        if word == "no" and place == 0 and len(line.names) > _FEW and not line.widths:
            continue
        return f"the first line has {_quote(name)} where a name should be, which is a value in most files"
    return None


def _has_digit(value: str) -> bool:
    return _DIGITS.search(value) is not None


_STATUS = frozenset(
    re.split(
        "[ \n]+",
        """ok okay error errors failed failure fail success timeout forbidden unauthorized unauthenticated accessdenied
access_denied nosuchkey nosuchbucket notfound not_found empty nothing done usage denied unavailable slowdown
internalerror loading connected disconnected bye eof end begin""",
    )
)


def _status(line: _Line) -> str | None:
    """One column that is what a failed export leaves: `Forbidden`, `java.lang.NullPointerException`, `#EXTM3U`."""
    if line.certain or len(line.names) != 1:
        return None
    name = line.names[0]
    if name.lower() in _STATUS or name.endswith(("Exception", "Error")) or name.startswith("#"):
        return "the first line may be a message and not a name"
    return None


_PHRASES = re.compile(
    r"(?<![a-z])(?:sorry|please|error occurred|went wrong|try (?:again|later)|not found|not available|unavailable"
    r"|denied|forbidden|unauthorized|time[d]? ?out|unable to|cannot|can't|could not|couldn't|failed to|no such"
    r"|bad gateway|internal server|does not|doesn't|is not|are not|has been|dear|hello|welcome|oops)(?![a-z])",
    re.IGNORECASE,
)


def _sentence(line: _Line) -> str | None:
    """Commas with blanks after them, and what only messages have: a full stop at the end, or words of an apology."""
    if line.certain or not line.spaced:
        return None
    if line.text.rstrip(_BLANKS)[-1:] in tuple(".!") or _PHRASES.search(line.text[: 4 * _SHOWN]):
        return "the first line looks like prose"
    return None


def _long_words(line: _Line) -> str | None:
    """Commas with blanks after them and some words between: a header if the rows below say so, else a message."""
    if line.certain or not line.spaced:
        return None
    if any(_words(name) >= _SENTENCE_WORDS - 1 for name in line.names):
        return "the first line looks like prose"
    return None


def _title(line: _Line) -> str | None:
    """Every row has more fields than the line: it is a title, and the header comes later."""
    width = len(line.names)
    if not line.widths or (line.certain and width > 1) or min(line.widths) <= width:
        return None
    return f"the first line has {width} field{'s' if width > 1 else ''}, fewer than every row below it"


def _row_of_its_kind(line: _Line) -> str | None:
    """A name is a value in its own column, as `web` in `US,web` over `DE,web`; or `order-17` over `order-18`."""
    if line.certain:
        return None
    for name, values in zip(line.names, line.columns, strict=True):
        if name in values:
            return f"the first line looks like a row: {_quote(name)} is a value of the same column"
        if values and _has_digit(name):
            shape, first = _DIGITS.sub("0", name), name[0]  # the first character spares most values the pattern
            if any(
                (value[0] == first or first.isdigit()) and _DIGITS.sub("0", value) == shape for value in set(values)
            ):
                return f"the first line looks like a row: values of the same column are like {_quote(name)}"
    return None


_NOT_CSV = "see what wrote it, or set check_header = false if it is the header all the same"
_VALUES = "set header = false if the sources have no header line, or check_header = false if these are the names"
_NAMES = (
    "write a name of its own for each column (pandas: index=False), or set check_header = false to take it as it is"
)
_QUOTES = "quote whole fields, or set check_header = false to take it as it is"
_COMMAS = "only commas are supported as separators, so let the producer write commas"
_UNSURE = (
    "if it is the header, set columns = […] or check_header = false; "
    "if the sources have no header line, set header = false"
)

_RULES: _Rules = (
    (_blank_line, "blank line", _UNSURE),
    (_binary, "control characters", _NOT_CSV),
    (_markup, "markup", _NOT_CSV),
    (_json, "JSON", _NOT_CSV),
    (_comment, "comment", _NOT_CSV),
    (_tool_output, "tool output", _NOT_CSV),
    (_sql, "SQL", _NOT_CSV),
    (_log_line, "log line", _NOT_CSV),
    (_stack_trace, "error message", _NOT_CSV),
    (_other_separator, "separator", _COMMAS),
    (_long_name, "no name", _NOT_CSV),
    (_quoting, "quoting", _QUOTES),
    (_value, "no header", _VALUES),
    (_tuple, "no header", _VALUES),
    (_no_name, "no name", _NAMES),
    (_twice, "name twice", _NAMES),
    (_tabbed, "separator", _COMMAS),
    (_single_word, "prose", _UNSURE),
)
"""What no header is, whatever stands below it: the kinds that say most of the source first."""

_DOUBTS: _Rules = (
    (_weak_word, "no header", _UNSURE),
    (_status, "message", _NOT_CSV),
    (_sentence, "prose", _NOT_CSV),
    (_long_words, "prose", _NOT_CSV),
    (_title, "title", _NOT_CSV),
    (_row_of_its_kind, "no header", _UNSURE),
)
"""What may be a header or not."""
