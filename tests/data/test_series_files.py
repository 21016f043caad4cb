import gzip
import math
from dataclasses import replace

import numpy as np
import pytest

from nlp_lstm.data.catalogue import find_at_hand, open_files
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.series import SeriesExample, SeriesReading, cut_in_time, split_of_series
from nlp_lstm.data.series_files import read_modlamp, read_series_jsonl, read_series_table, read_ts, symbol_series
from nlp_lstm.errors import ConfigError, DataError

PRICES = "share,day,price,high\nA,2024-01-01,10,11\nA,2024-01-02,11,12\nA,2024-01-03,9,9\nB,2024-01-02,4,5\n"
READING = SeriesReading(
    series="share", time="day", numbers={"price": "log-change", "high": "log-ratio/price"}, ahead="price"
)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_as_changes_and_ratios_with_what_lies_ahead(tmp_path):
    first, second = read_series_table(write(tmp_path / "prices.csv", PRICES), READING)
    assert (first.name, first.columns, first.times[0]) == ("A", ("price", "high"), "2024-01-01")
    assert first.numbers[1:, 0].tolist() == pytest.approx([math.log(11 / 10), math.log(9 / 11)])
    assert math.isnan(first.numbers[0, 0])
    assert first.numbers[:, 1].tolist() == pytest.approx([math.log(1.1), math.log(12 / 11), 0])
    assert first.ahead[:2].tolist() == pytest.approx([math.log(11 / 10), math.log(9 / 11)])
    assert math.isnan(first.ahead[2])
    assert (second.name, len(second), math.isnan(second.ahead[0])) == ("B", 1, True)


def test_without_settings_every_column_of_numbers_is_read_as_it_is(tmp_path):
    text = "when\tx\ty\tverdict\n1\t0.5\t\tup\n2\t1.5\t3\tdown\n"
    packed = tmp_path / "steps.tsv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    (example,) = read_series_table(packed, SeriesReading(time="when", label="verdict"))
    assert example.columns == ("x", "y")
    assert example.reading.numbers == {"x": "value", "y": "value"}
    assert np.array_equal(example.numbers, [[0.5, math.nan], [1.5, 3]], equal_nan=True)
    assert (example.labels, example.label) == (("up", "down"), None)


def test_longer_horizons_look_further(tmp_path):
    text = "p\n1\n2\n4\n16\n"
    reading = SeriesReading(numbers={"p": "value"}, ahead="p", horizon=2)
    (example,) = read_series_table(write(tmp_path / "p.csv", text), reading)
    assert example.ahead[:2].tolist() == pytest.approx([math.log(4), math.log(8)])
    assert np.isnan(example.ahead[2:]).all()


@pytest.mark.parametrize(
    ("text", "reading", "message"),
    [
        ("a,b\n1\n", {}, r"x\.csv:2: 1 columns, the header has 2"),
        ("a,a\n1,2\n", {}, r"x\.csv:1: the header is .*names each column once"),
        ("a\n", {}, "holds no step at all"),
        ("a\nx\n", {}, "no column has numbers in every row"),
        ("a,b\n1,2\n1,x\n", {"numbers": {"b": "value"}}, r"x\.csv:3: the value of b is 'x'"),
        ("a\n1\n-1\n", {"numbers": {"a": "log-change"}}, r"step 2 has a -1, which has no logarithm"),
        ("a\n1\n", {"numbers": {"aa": "value"}}, "no column 'aa'.*Did you mean \"a\""),
        ("a\n1\n", {"time": "day"}, "no column 'day'"),
        ("s,a\nx,1\ny,1\nx,2\n", {"series": "s"}, r"x\.csv:4: the series 'x' begins a second time"),
        ("t,a\n9,1\n10,2\n", {"time": "t"}, r"x\.csv:3: the time '10' follows '9'; .*sort as text"),
        ("a\n1e999\n", {"numbers": {"a": "value"}}, "expected a finite number"),
        ('a\n"1\n', {}, "is no table"),
    ],
)
def test_faults_of_tables_are_named_with_their_line(tmp_path, text, reading, message):
    with pytest.raises(DataError, match=message):
        read_series_table(write(tmp_path / "x.csv", text), SeriesReading(**reading))


def test_faults_of_settings_are_named():
    with pytest.raises(ValueError, match='"p" is read as "logs"; known: value, change, log-change, log-ratio/COLUMN'):
        SeriesReading(numbers={"p": "logs"})
    with pytest.raises(ValueError, match="label and ahead are both set"):
        SeriesReading(label="a", ahead="b")
    with pytest.raises(ConfigError, match="label and ahead are both set"):
        SeriesReading(label="a").then(SeriesReading(ahead="b"))


def test_later_settings_change_what_they_name():
    assert SeriesReading(time="t", ahead="p").then(SeriesReading(horizon=5)) == SeriesReading(
        time="t", ahead="p", horizon=5
    )


def test_files_of_aeon_are_read(tmp_path):
    text = "# vowels\n@problemName v\n@timeStamps false\n@classLabel true a b\n@data\n1,2,?:3,4,5:a\n6:7:b\n"
    first, second = read_ts(write(tmp_path / "v_TRAIN.ts", text), SeriesReading())
    assert first.columns == ("1", "2")
    assert np.array_equal(first.numbers, [[1, 3], [2, 4], [math.nan, 5]], equal_nan=True)
    assert (first.label, second.label, second.numbers.tolist()) == ("a", "b", [[6, 7]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2:a\n", r"v\.ts:1: .* stands before @data"),
        ("@timeStamps true\n", r"v\.ts:1: .*time stamps"),
        ("@data\n1,2:1:a\n", r"v\.ts:2: .*columns of equal length"),
        ("@data\n1,x:a\n", r"v\.ts:2: the value is 'x'"),
        ("@data\n", "holds no series"),
    ],
)
def test_faults_in_files_of_aeon_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_ts(write(tmp_path / "v.ts", text), SeriesReading())


def test_json_lines_hold_symbols_or_numbers(tmp_path):
    lines = '{"symbols": "ABA", "label": "x"}\n\n{"numbers": {"p": [1, 2]}, "labels": ["u", null], "name": "n"}\n'
    path = write(tmp_path / "s.jsonl", lines)
    first, second = read_series_jsonl(path, SeriesReading())
    assert (first.symbols, first.label, first.columns, first.numbers.shape) == (("A", "B", "A"), "x", (), (3, 0))
    assert (second.name, second.labels, second.numbers.tolist()) == ("n", ("u", None), [[1], [2]])
    for line, message in (
        ("[1]", "none of name, numbers"),
        ('{"symbols": 3}', "symbols are text"),
        ('{"label": "x"}', "neither numbers nor symbols"),
        ('{"sybols": "A"}', "'sybols' is none of"),
        ("{", r"s\.jsonl:1: is not JSON"),
    ):
        with pytest.raises(DataError, match=message):
            read_series_jsonl(write(path, line + "\n"), SeriesReading())


def test_peptides_of_modlamp_are_read(tmp_path):
    first, second = read_modlamp(write(tmp_path / "p.csv", "2,1,Other,AMP\nGLWS, 1\nAA,0\n"), SeriesReading())
    assert (first.symbols, first.label, second.label) == (("G", "L", "W", "S"), "AMP", "Other")
    for text, message in (
        ("GLWS,1\n", "the header is"),
        ("1,1,a,b\nGL WS,1\n", r"p\.csv:2: .*no peptide"),
        ("3,1,a,b\nGLWS,1\n", "has 1 peptides, its header says 3"),
    ):
        with pytest.raises(DataError, match=message):
            read_modlamp(write(tmp_path / "p.csv", text), SeriesReading())


def daily(name: str, days: range) -> SeriesExample:
    numbers = np.array([[float(day)] for day in days])
    times = tuple(f"day {day:03}" for day in days)
    ahead = np.array([*map(float, days[1:]), math.nan])
    return SeriesExample(name=name, columns=("x",), numbers=numbers, times=times, ahead=ahead)


def test_a_cut_in_time_never_shows_the_future():
    parts = cut_in_time([daily("long", range(100)), daily("late", range(80, 100))], ("train", "dev", "test"))
    assert [[one.name for one in part] for part in parts.values()] == [["long"], ["long", "late"], ["long", "late"]]
    for split, first, last in (("train", 0, 69), ("dev", 70, 84), ("test", 85, 99)):
        whole = parts[split][0]
        assert (whole.times[whole.first], whole.times[-1]) == (f"day {first:03}", f"day {last:03}")
        assert math.isnan(whole.ahead[-1])  # what lies ahead of it is in the next part
        assert not np.isnan(whole.ahead[whole.first : -1]).any()
    assert parts["dev"][1].first == 0
    assert parts["test"][1].first == 5
    with pytest.raises(DataError, match="3 times are too few to be cut into train, dev"):
        cut_in_time([daily("short", range(3))], ("train", "dev"))


def test_a_users_folder_of_series_is_split_by_its_files_and_a_single_file_by_time_or_by_series(tmp_path):
    table = "day,x\n" + "".join(f"{day:03},{day}\n" for day in range(100))
    reading = SeriesReading(time="day", ahead="x", numbers={"x": "value"})
    table = table.replace("000,0\n", "000,1\n")
    found = open_files(write(tmp_path / "one.csv", table), kind="series", reading=reading)
    parts = found.read_splits(("train", "dev", "test"), reading)
    assert [part[0].num_answered for part in parts.values()] == [70, 15, 15]
    assert any("15%" in note for note in found.notes)
    lines = "".join(f'{{"symbols": "{number:b}", "label": "x"}}\n' for number in range(1, 200))
    found = open_files(write(tmp_path / "many.jsonl", lines), kind="series")
    parts = found.read_splits(("train", "dev", "test"))
    assert sum(map(len, parts.values())) == 199
    assert all(len(part) > 8 for part in parts.values())
    assert split_of_series(symbol_series("101", "a")) == split_of_series(symbol_series("101", "b"))


def test_a_series_has_as_many_of_everything_as_it_has_steps():
    example = daily("x", range(5))
    with pytest.raises(DataError, match="2 labels for 5 steps"):
        replace(example, labels=("a", "b"))
    part = example.cut(1, 4, first=3)
    assert (part.numbers.tolist(), part.first, part.num_answered) == ([[1], [2], [3]], 2, 1)


@pytest.mark.parametrize("name", ["stocks", "vowels", "peptides"])
def test_the_series_of_the_catalogue_read_as_they_should_where_they_are_here(name):
    found = find_at_hand(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    parts = found.read_splits(("train", "dev", "test"))
    assert all(parts.values())
    if name == "stocks":
        assert max(parts["train"][0].times) < min(parts["test"][0].times[parts["test"][0].first :])
    if name == "vowels":
        assert len(parts["test"]) == 370


def test_series_are_read_by_their_kind(tmp_path):
    path = write(tmp_path / "p.csv", PRICES)
    assert len(read_examples([path], kind="series", reading=READING)) == 2
    with pytest.raises(DataError, match=r"names no known format of series data; known endings: \.csv, \.tsv"):
        read_examples([write(tmp_path / "p.xls", PRICES)], kind="series")
