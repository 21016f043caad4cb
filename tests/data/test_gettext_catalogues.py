import gzip
import struct

import pytest

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.gettext_catalogues import read_gettext
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import DataError

HEADER = r"""
msgid ""
msgstr ""
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=n != 1;\n"
"""

CATALOGUE = (
    HEADER
    + r"""
# from a person
#: views.py:3
msgid "Save"
msgstr "Speichern"

msgctxt "month"
msgid "May"
msgstr "Mai"

#, python-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

msgid ""
"He said \"no\".\n"
"C:\\temp\tend"
msgstr ""
"Er sagte „nein“.\n"
"C:\\temp\tEnde"

#, fuzzy, python-format
#| msgid "Open %s"
msgid "Close %s"
msgstr "Öffne %s"

msgid "Not translated"
msgstr ""

#. Default: "Your \"name\""
msgid "label_name"
msgstr "Ihr Name"

msgid "Save"
msgstr "Speichern"
#~ msgid "Old"
#~ msgstr "Alt"
"""
)
EXPECTED = [
    ("Save", "Speichern"),
    ("May", "Mai"),
    ("%d file", "%d Datei"),
    ("%d files", "%d Dateien"),
    ('He said "no".\nC:\\temp\tend', "Er sagte „nein“.\nC:\\temp\tEnde"),
    ('Your "name"', "Ihr Name"),
]


@pytest.fixture
def read(tmp_path):
    """Write a catalogue and read its pairs."""

    def write_and_read(content, name="a.po", **reading):
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        examples = read_gettext([path], ParallelSettings(**reading), print)
        return [(example.source, example.target) for example in examples]

    return write_and_read


def compiled(messages, *, order="<", charset="utf-8"):
    """A .mo file as the gettext manual, section 10.3, lays it out."""
    header = f"Language: de\nContent-Type: text/plain; charset={charset}\nPlural-Forms: nplurals=2; plural=n != 1;\n"
    texts = {"": header, **messages}
    pairs = sorted((source.encode(charset), target.encode(charset)) for source, target in texts.items())
    size, start = len(pairs), 28
    place = start + 16 * size
    tables, strings = [], b""
    for side in (0, 1):
        for pair in pairs:
            tables.append(struct.pack(f"{order}2I", len(pair[side]), place + len(strings)))
            strings += pair[side] + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, size, start, start + 8 * size, 0, 0)
    return head + b"".join(tables) + strings


MESSAGES = {"Save": "Speichern", "month\4May": "Mai", "%d file\0%d files": "%d Datei\0%d Dateien", "Blank": ""}
COMPILED = {("Save", "Speichern"), ("May", "Mai"), ("%d file", "%d Datei"), ("%d files", "%d Dateien")}


@pytest.mark.parametrize("name", ["a.po", "a.po.gz"])
def test_entries_are_pairs_without_fuzzy_obsolete_and_untranslated_ones(read, name):
    assert read(CATALOGUE, name) == EXPECTED


def test_what_is_said_of_an_obsolete_entry_is_not_said_of_the_next(read):
    obsolete = '\n#, fuzzy\n#. Default: "Old text"\n#~ msgid "old"\n#~ msgstr "Alt"\n'
    assert read(f'{HEADER}{obsolete}\nmsgid "New"\nmsgstr "Neu"\n') == [("New", "Neu")]


def test_a_text_that_an_id_stands_for_may_take_several_lines(read):
    default = '#. Default: "A long "\n#. "text."\n#: browser.py:3\n'
    assert read(f'{HEADER}\n{default}msgid "label_long"\nmsgstr "Lang."\n') == [("A long text.", "Lang.")]


def test_catalogue_serves_both_directions(read):
    turned = [(target, source) for source, target in EXPECTED]
    assert read(CATALOGUE, source="de", target="en") == turned
    unsigned = CATALOGUE.replace('"Language: de\\n"\n', "")
    assert read(unsigned, source="de", target="en") == EXPECTED  # nothing says which side is which
    assert read(unsigned, source="de", target="en", columns={"en": 1, "de": 2}) == turned


def test_catalogue_of_another_language_is_refused(read):
    with pytest.raises(DataError, match=r'a\.po:2: the catalogue translates into "de", which is neither .*target=fr'):
        read(CATALOGUE, target="fr")


def test_a_pair_in_several_catalogues_comes_once(tmp_path):
    paths = [tmp_path / "a.po", tmp_path / "b.po"]
    for path in paths:
        path.write_text(HEADER + '\nmsgid "Save"\nmsgstr "Speichern"\n', encoding="utf-8")
    expected = [ParallelExample(source="Save", target="Speichern")]
    assert read_gettext(paths, ParallelSettings(), print) == expected


@pytest.mark.parametrize(
    ("rule", "forms", "expected"),
    [
        ("nplurals=1; plural=0;", ["x"], [("one", "x"), ("many", "x")]),
        (
            "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
            ["файл", "файла", "файлов"],
            [("one", "файл"), ("many", "файлов")],
        ),
        (  # Latvian: the last form is that of none
            "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n != 0 ? 1 : 2);",
            ["x", "y", "z"],
            [("one", "x"), ("many", "y")],
        ),
        ("nplurals=2; plural=n != 1;", ["x", ""], [("one", "x")]),
    ],
)
def test_one_takes_the_form_of_one_and_many_that_of_many(read, rule, forms, expected):
    lines = [f'msgstr[{number}] "{form}"' for number, form in enumerate(forms)]
    header = f'msgid ""\nmsgstr "Plural-Forms: {rule}\\n"\n\n'
    assert read("\n".join([header + 'msgid "one"', 'msgid_plural "many"', *lines])) == expected


def test_encoding_of_the_header_counts(read):
    umlauts = CATALOGUE.replace("UTF-8", "ISO-8859-15").replace("„nein“", "Äh")
    assert read(umlauts.encode("iso-8859-15"))[4][1].startswith("Er sagte Äh")
    with pytest.raises(DataError, match=r"a\.po:5: the encoding 'klingon' is not known"):
        read(CATALOGUE.replace("UTF-8", "klingon"))
    with pytest.raises(DataError, match=r"a\.po:\d+: byte b'\\x84' at position 10 is not UTF-8"):
        read(CATALOGUE.encode("cp1252"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('msgid "a\nmsgstr "b"\n', """po:1: '"a' is no string between two quotes"""),
        ('msgid "a" "b"\nmsgstr "b"\n', "po:1: .* is no string between two quotes"),
        ('msgid "a"\nmsgstr "b"\n\nhello\n', "po:4: 'hello' is no line of a gettext catalogue"),
        ('"a"\n', "po:1: .* belongs to no msgid or msgstr"),
        ('msgid "a"\nmsgstr "b"\n# end\n"c"\n', "po:4: the string .* belongs to no msgid"),
        ('msgstr "b"\n', "po:1: a msgstr in an entry that needs a msgid before"),
        ('msgid "a"\n\nmsgid "b"\nmsgstr "b"\n', "po:3: a second msgid in the entry that begins in line 1"),
        ('msgid "a"\nmsgstr "b"\nmsgstr "c"\n', "po:3: a second msgstr in the entry"),
        ('msgid "a"\nmsgid_plural "as"\nmsgstr "b"\n', r"po:3: a msgstr in an entry that needs a msgstr\[0\]"),
        ('msgid "a"\nmsgstr[0] "b"\n', r"po:2: a msgstr\[0\] in an entry that needs a msgid_plural before"),
        ('msgid "a"\nmsgid_plural "as"\nmsgstr[x] "b"\n', "po:3: .* is no line of a gettext catalogue"),
        ('msgid "a"\nmsgstr "b"\n\nmsgid "c"\n', "po:4: the entry that begins here has no msgstr; is the file cut"),
        ('msgid "a\\q"\nmsgstr "b"\n', r"po:1: '\\\\q' is no escape of gettext"),
        ('msgid ""\nmsgstr "Plural-Forms: plural=n +;\\n"\n', r"po:1: the plural rule 'n \+' is no expression of n"),
        ('msgid ""\nmsgstr "Plural-Forms: plural=n % 0;\\n"\n', "po:1: the plural rule 'n % 0' is no expression of n"),
        ('msgid ""\nmsgstr "Plural-Forms: plural=n != !1;\\n"\n', "the plural rule .n != !1. is no expression of n"),
        ("", "no text with a translation in it"),
    ],
)
def test_damaged_files_are_located_by_line(read, text, fault):
    with pytest.raises(DataError, match=fault):
        read(text)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["a.mo", "a.mo.gz"])
def test_compiled_catalogues_are_read_in_either_byte_order(read, order, name):
    assert set(read(compiled(MESSAGES, order=order), name)) == COMPILED


def test_compiled_catalogue_is_what_the_standard_library_reads(tmp_path):
    """gettext.GNUTranslations is the reference for singular forms."""
    import gettext

    path = tmp_path / "a.mo"
    path.write_bytes(compiled(MESSAGES))
    with path.open("rb") as file:
        reference = gettext.GNUTranslations(file)
    examples = read_gettext([path], ParallelSettings(), print)
    assert {example.source: example.target for example in examples}["Save"] == reference.gettext("Save")
    assert ("%d files", reference.ngettext("%d file", "%d files", 100)) in COMPILED


def test_compiled_catalogue_has_its_encoding_and_is_turned(read):
    messages = {"Open": "Öffnen"}
    assert read(compiled(messages, charset="iso-8859-1"), "a.mo", source="de", target="en") == [("Öffnen", "Open")]


def test_damaged_compiled_files_are_located_by_byte(read):
    data = compiled(MESSAGES)
    with pytest.raises(DataError, match=r"a\.mo: byte 0: begins with b'msgi'"):
        read(b"msgid" + data, "a.mo")
    with pytest.raises(DataError, match=r"a\.mo: byte 0"):
        read(data[:20], "a.mo")
    with pytest.raises(DataError, match=r"a\.mo: byte 28: the file ends in its tables at byte 32; it is cut off"):
        read(data[:32], "a.mo")
    with pytest.raises(DataError, match=r"a\.mo: byte \d+: a string of \d+ bytes at byte \d+ goes over the end"):
        read(data[:-4], "a.mo")
    with pytest.raises(DataError, match=r"a\.mo: byte \d+: b'\\xff' is not UTF-8"):
        read(data.replace(b"Speichern", b"Speicher\xff"), "a.mo")
    changed = bytearray(data)
    changed[8:12] = struct.pack("<I", 1 << 31)  # the number of strings
    with pytest.raises(DataError, match=r"a\.mo: byte"):
        read(bytes(changed), "a.mo")
