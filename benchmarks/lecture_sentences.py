"""The fifty sentences of a lecture, translated by a model from English to Hindi: how many are right, and their order.

Each is held against all its right translations (see `nlp_lstm.evaluation.references`): whether it is one of them, and
how much of its words stands in the order of the nearest (RIBES). What is not equal to a translation may still be right;
the list is printed to be read, and with --output kept as a table in which a person can say so.

    python benchmarks/lecture_sentences.py runs/translate/model --output lecture.tsv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table
from script import run_script

from nlp_lstm import Pipeline
from nlp_lstm.data.lecture import lecture_sentences
from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.references import mean_order, score_output
from nlp_lstm.files import write_whole
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import find_folder


def main() -> None:
    """Translate the sentences and print them with their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a model folder or name; default the one of English to Hindi")
    parser.add_argument("--output", type=Path, help="write the table there, with an empty column for a verdict")
    arguments = parser.parse_args()
    folder = find_folder(arguments.model) if arguments.model else find_folder("translate", source="en", target="hi")
    reading = open_model(folder).config.reading
    if (reading.get("source"), reading.get("target")) != ("en", "hi"):
        raise ConfigError(f"{folder}: is no translator from English to Hindi; give one")
    pipeline = Pipeline(folder)
    sentences = lecture_sentences()
    outputs = [result["translation_text"] for result in pipeline.predict([one.english for one in sentences])]
    scores = [score_output(output, one.hindi) for output, one in zip(outputs, sentences, strict=True)]
    table = Table("", "RIBES", "English", "output", "nearest right translation", box=None, header_style="bold")
    for sentence, output, score in zip(sentences, outputs, scores, strict=True):
        mark = "=" if score.is_equal else " "
        table.add_row(mark, f"{score.order.ribes:.2f}", sentence.english, output, score.nearest)
    if arguments.output:
        rows = zip(scores, sentences, outputs, strict=True)
        lines = [
            f"{'=' if score.is_equal else ''}\t{score.order.ribes:.2f}\t{one.english}\t{output}\t{score.nearest}\t"
            for score, one, output in rows
        ]
        write_whole(arguments.output, "\n".join(["equal\tRIBES\ten\toutput\tnearest\tright", *lines]) + "\n")
    console = Console()
    console.print(table)
    console.print(
        f"{sum(score.is_equal for score in scores)} of {len(scores)} equal a right translation; "
        f"RIBES {mean_order(scores):.3f}",
        highlight=False,
    )


if __name__ == "__main__":
    run_script(main)
