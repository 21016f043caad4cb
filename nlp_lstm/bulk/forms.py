"""The bytes of a shard: rows and their answers in the form of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from nlp_lstm.bulk.blocks import Rows

Writer = Callable[[Rows, Sequence[str], str], bytes]
"""Takes rows, the answer of each and the column that answers go to; an answer is JSON, or of text a line."""


def write_text(rows: Rows, answers: Sequence[str], into: str) -> bytes:
    """Return the answers, one a line."""
    return "".join(f"{answer}\n" for answer in answers).encode()


def write_jsonl(rows: Rows, answers: Sequence[str], into: str) -> bytes:
    """Return each row as an object with the answer as its last value; the rest of it stays as it was, to the byte."""
    key = json.dumps(into, ensure_ascii=False)
    lines = []
    for whole, answer in zip(rows.objects(), answers, strict=True):
        beginning = whole[:-1].rstrip()
        comma = "" if beginning == "{" else ", "
        lines.append(f"{beginning}{comma}{key}: {answer}}}\n")
    return "".join(lines).encode()


def write_csv(rows: Rows, answers: Sequence[str], into: str) -> bytes:
    """Return a table with a header; the answers are JSON. Rows end as RFC 4180 has it."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*rows.columns, into])
    writer.writerows([*cells, answer] for cells, answer in zip(rows.cells(), answers, strict=True))
    return file.getvalue().encode()


def write_parquet(rows: Rows, answers: Sequence[str], into: str) -> bytes:
    """Return a Parquet file; the answers are a column of text, which is JSON."""
    import pyarrow
    from pyarrow import parquet

    table = rows.table().append_column(into, pyarrow.array(answers, pyarrow.string()))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink, compression="zstd")
    return bytes(sink.getvalue())


FORMS: Mapping[str, tuple[str, Writer]] = {
    "text": (".txt", write_text),
    "jsonl": (".jsonl", write_jsonl),
    "csv": (".csv", write_csv),
    "parquet": (".parquet", write_parquet),
}
"""The ending of a shard and what writes it, by the name of the form, which is also that of the source."""
