r"""Readers of gettext catalogues, the translated strings of programs: ``.po``, which people write, and ``.mo``.

An entry of a ``.po`` file, with a plural form::

    #, python-format
    msgid "%d file"
    msgid_plural "%d files"
    msgstr[0] "%d Datei"
    msgstr[1] "%d Dateien"

The reader is our own: the libraries that read these files let a string without its closing quote pass, or do not say
in which line they stopped.

Source: GNU gettext manual, sections 3 "The Format of PO Files" and 10.3 "The Format of GNU MO Files".
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from gettext import c2py
from pathlib import Path

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.parallel import Pair, make_parallel
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sources import Say
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.lines import read_bytes, read_lines

_KEYWORD = re.compile(r"(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d{1,2}\])\s*(\".*)", re.ASCII)
_FORM = re.compile(r"msgstr(?:\[(\d+)\])?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "\\": "\\"}
_CHARSET = re.compile(r"charset=([^\s\\;\"]+)")
_NO_CHARSET = "charset"  # what stands there in a file that was never filled in
_PLURAL = re.compile(r"plural\s*=\s*([^;]+)")
_DEFAULT = re.compile(r'#\.\s*Default:\s*(".*")\s*')
_MORE_OF_DEFAULT = re.compile(r'#\.\s*(".*")\s*')  # its next lines
_ONE, _MANY = 1, 100  # numbers whose plural forms are taken
_TRANSLATION_COLUMN = 2
_LONGEST_RULE = 1000  # characters
_PLAIN_CHARACTERS = 'ABCXYZabcxyz0189 .:;<>=!?()[]{}+-*/%&"\\\n'  # are the same bytes in every encoding that is read
_MOST_SHARED = 4  # times the file's bytes that the strings of a .mo file may have together
_MO_ORDERS = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
_MO_HEADER_BYTES = 28


@dataclass(slots=True, kw_only=True)
class _Message:
    """An entry of a catalogue.

    Args:
        where: ``path:line``, or path and byte offset.
        source: the text to translate; empty for the header.
        plural: what it is for many; None where the number does not matter.
        forms: number of the plural form to translation; without plural the one form is 0.
        is_usable: whether the translation is no mere proposal ("fuzzy").
    """

    where: str
    source: str
    plural: str | None
    forms: Mapping[int, str]
    is_usable: bool = True


def read_gettext(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Read gettext catalogues: each text with its translation, and each pair once, however many files have it.

    Entries that are fuzzy, obsolete or not translated are left out. An entry with plural forms gives two pairs: what
    it says of one thing with the form for 1, what it says of many with the form for 100. The context of an entry
    (``msgctxt``) is not read. Where a comment gives the text that an id stands for, as in Zope and Plone
    (``#. Default: "Save"``), that is the source. A catalogue that translates into ``reading.source`` is turned round:
    its header tells, or else ``reading.columns``, for which the text is 1 and its translation 2.

    Raises:
        DataError: a file breaks its format, translates into another language, or what ``make_parallel`` raises; with
            the line, of ``.mo`` files with the byte.
    """
    pairs = itertools.chain.from_iterable(_read_pairs(path, reading) for path in paths)
    return make_parallel(paths, _once(pairs), reading, say)


def _once(pairs: Iterator[Pair]) -> Iterator[Pair]:
    seen = set()
    for pair in pairs:
        texts = pair[1:]
        if texts not in seen:
            seen.add(texts)
            yield pair


def _read_pairs(path: Path, reading: ParallelSettings) -> Iterator[Pair]:
    is_mo = path.name.lower().removesuffix(".gz").endswith(".mo")
    is_turned = reading.columns.get(reading.source) == _TRANSLATION_COLUMN
    one_form, many_forms = 0, 1
    for message in _mo_messages(path) if is_mo else _po_messages(path):
        if not message.source:
            header = message.forms.get(0, "")
            is_turned = _is_turned(header, reading, message.where, unless_stated=is_turned)
            one_form, many_forms = _plural_forms(header, message.where) or (one_form, many_forms)
            continue
        if not message.is_usable:
            continue
        texts = [(message.source, message.forms.get(0, ""))]
        if message.plural is not None:
            one, many = (message.forms.get(form, "") for form in (one_form, many_forms))
            texts = [(message.source, one), (message.plural, many)]
        for source, target in texts:
            if target.strip():
                yield Pair(message.where, *((target, source) if is_turned else (source, target)))


def _is_turned(header: str, reading: ParallelSettings, where: str, *, unless_stated: bool) -> bool:
    """Whether a catalogue translates into the source language."""
    stated = re.search(r"^Language:[ \t]*([A-Za-z]+)", header, re.MULTILINE)
    if stated is None:
        return unless_stated
    language = stated[1].lower()
    if language == reading.target.partition("-")[0]:
        return False
    if language == reading.source.partition("-")[0]:
        return True
    raise DataError(
        f'{where}: the catalogue translates into "{language}", which is neither reading.source={reading.source} nor '
        f"reading.target={reading.target}; give the catalogue of this pair, or change the pair"
    )


def _plural_forms(header: str, where: str) -> tuple[int, int] | None:
    """The plural forms for one thing and for many, by the expression of the number n that the header has."""
    line = re.search(r"^Plural-Forms:(.*)$", header, re.MULTILINE)
    rule = line and _PLURAL.search(line[1])
    if not rule:
        return None
    try:
        if len(rule[1]) > _LONGEST_RULE:
            raise ValueError("it is too long")
        number_to_form = c2py(rule[1])
        return number_to_form(_ONE), number_to_form(_MANY)
    except (ValueError, ArithmeticError, RecursionError, SyntaxError) as error:
        raise DataError(
            f"{where}: the plural rule {shorten(rule[1].strip())} is no expression of n ({error}); it looks like "
            "nplurals=2; plural=n != 1;"
        ) from error


# ---- .po


@dataclass(slots=True)
class _Draft:
    """An entry of a ``.po`` file that is being read: its first line and, by keyword, its strings line by line."""

    line: int = 0
    strings: dict[str, list[str]] = field(default_factory=dict)
    default: str = ""
    is_fuzzy: bool = False

    @property
    def is_complete(self) -> bool:
        return any(keyword.startswith("msgstr") for keyword in self.strings)


def _po_messages(path: Path) -> Iterator[_Message]:
    draft, keyword = _Draft(), ""
    for number, line in read_lines(path, encoding=_po_encoding(path)):
        where, line = f"{path}:{number}", line.strip()
        if not line:
            continue
        if line.startswith("#"):
            if draft.is_complete:
                yield _finish(draft, path)
                draft, keyword = _Draft(), ""
            if line.startswith("#~"):  # what was said before belongs to the obsolete entry
                draft = draft if draft.strings else _Draft()
            elif line.startswith("#,") and "fuzzy" in re.split(r"[,\s]+", line):
                draft.is_fuzzy = True
            elif default := _DEFAULT.fullmatch(line):
                draft.default = _unquote(default[1], where)
            elif draft.default and (more := _MORE_OF_DEFAULT.fullmatch(line)):
                draft.default += _unquote(more[1], where)
            continue
        if line.startswith('"'):
            if not keyword:
                raise DataError(f"{where}: the string {shorten(line)} belongs to no msgid or msgstr before it")
            draft.strings[keyword].append(_unquote(line, where))
            continue
        found = _KEYWORD.fullmatch(line)
        if found is None:
            raise DataError(
                f"{where}: {shorten(line)} is no line of a gettext catalogue; lines begin with msgctxt, msgid, "
                'msgid_plural, msgstr, msgstr[0], " or #'
            )
        keyword = found[1]
        if draft.is_complete and keyword in ("msgctxt", "msgid"):
            yield _finish(draft, path)
            draft = _Draft()
        _check_order(keyword, draft, where)
        draft.line = draft.line or number
        draft.strings[keyword] = [_unquote(found[2], where)]
    if draft.strings:
        yield _finish(draft, path)


def _check_order(keyword: str, draft: _Draft, where: str) -> None:
    is_form = "[" in keyword
    before = {"msgctxt": "", "msgid": "", "msgid_plural": "msgid", "msgstr": "msgid"}.get(keyword, "msgid_plural")
    if keyword in draft.strings or (draft.is_complete and not is_form):
        raise DataError(f"{where}: a second {keyword} in the entry that begins in line {draft.line}")
    if (before and before not in draft.strings) or (keyword == "msgstr" and "msgid_plural" in draft.strings):
        needed = (
            "msgstr[0], as it has a msgid_plural" if not is_form and before in draft.strings else f"{before} before"
        )
        raise DataError(f"{where}: a {keyword} in an entry that needs a {needed}")


def _finish(draft: _Draft, path: Path) -> _Message:
    where = f"{path}:{draft.line}"
    if not draft.is_complete or "msgid" not in draft.strings:
        missing = "msgid" if draft.is_complete else "msgstr"
        raise DataError(f"{where}: the entry that begins here has no {missing}; is the file cut off?")
    strings = {keyword: "".join(lines) for keyword, lines in draft.strings.items()}
    plural = strings.get("msgid_plural")
    forms = {
        int(form[1] or 0): string
        for keyword, string in strings.items()
        if (form := _FORM.fullmatch(keyword)) is not None
    }
    source = draft.default or strings["msgid"]
    return _Message(where=where, source=source, plural=plural, forms=forms, is_usable=not draft.is_fuzzy)


def _unquote(string: str, where: str) -> str:
    quoted = _STRING.fullmatch(string)
    if quoted is None:
        raise DataError(f'{where}: {shorten(string)} is no string between two quotes; write a quote inside as \\"')

    def unescape(escape: re.Match[str]) -> str:
        if escape[1] not in _ESCAPED:
            raise DataError(f"{where}: {shorten(escape[0])} is no escape of gettext; write a backslash as \\\\")
        return _ESCAPED[escape[1]]

    return _ESCAPE.sub(unescape, quoted[1])


def _po_encoding(path: Path) -> str:
    """The encoding that the header states, which is the first entry."""
    header = itertools.takewhile(
        lambda line: not line[1].startswith("#:"), itertools.islice(read_lines(path, encoding="latin-1"), 200)
    )
    for number, line in header:
        if "Content-Type:" in line:
            return _known_encoding(line, f"{path}:{number}")
    return "utf-8"


def _known_encoding(header: str, where: str) -> str:
    stated = _CHARSET.search(header)
    if stated is None or stated[1].lower() == _NO_CHARSET:
        return "utf-8"
    try:
        if _PLAIN_CHARACTERS.encode(stated[1]) != _PLAIN_CHARACTERS.encode("ascii"):
            raise LookupError(stated[1])
    except (LookupError, ValueError) as error:
        raise DataError(f"{where}: the encoding {shorten(stated[1])} is not known; save the file as UTF-8") from error
    return stated[1]


# ---- .mo


def _mo_messages(path: Path) -> Iterator[_Message]:
    data = read_bytes(path)
    order = _MO_ORDERS.get(data[:4])
    if order is None or len(data) < _MO_HEADER_BYTES:
        raise DataError(
            f"{path}: byte 0: begins with {shorten(data[:4])}; a .mo file begins with de 12 04 95 or these four turned "
            f"round, and has at least {_MO_HEADER_BYTES} bytes. Compile it again with msgfmt"
        )
    num_messages, sources, targets = struct.unpack_from(f"{order}3I", data, 8)
    encoding = "utf-8"
    num_bytes = 0
    for index in range(num_messages):
        (start, source), (target_start, target) = (
            _mo_string(data, table + 8 * index, order, path) for table in (sources, targets)
        )
        num_bytes += len(source) + len(target)
        if num_bytes > _MOST_SHARED * len(data):
            raise DataError(f"{path}: byte {start}: its strings lie in one another; compile the file again with msgfmt")
        if not source:
            encoding = _known_encoding(target.decode("latin-1"), f"{path}: byte {target_start}")
        text = _decode(source, encoding, start, path).rpartition("\4")[2]
        singular, _, plural = text.partition("\0")
        forms = _decode(target, encoding, target_start, path).split("\0")
        yield _Message(
            where=f"{path}: byte {start}", source=singular, plural=plural or None, forms=dict(enumerate(forms))
        )


def _mo_string(data: bytes, place: int, order: str, path: Path) -> tuple[int, bytes]:
    """The string that a row of a table speaks of, and where it begins."""
    if place + 8 > len(data):
        raise DataError(f"{path}: byte {place}: the file ends in its tables at byte {len(data)}; it is cut off")
    length, start = struct.unpack_from(f"{order}2I", data, place)
    if start + length > len(data):
        raise DataError(
            f"{path}: byte {place}: a string of {length:,} bytes at byte {start:,} goes over the end of the file at "
            f"byte {len(data):,}; the file is damaged or cut off, compile it again with msgfmt"
        )
    return start, data[start : start + length]


def _decode(string: bytes, encoding: str, start: int, path: Path) -> str:
    try:
        return string.decode(encoding)
    except UnicodeDecodeError as error:
        bad = string[error.start : error.start + 1]
        raise DataError(
            f"{path}: byte {start + error.start}: {bad!r} is not {encoding.upper()}; compile the file again with msgfmt"
        ) from error
