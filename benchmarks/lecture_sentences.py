"""The fifty sentences of a lecture, translated by a model from English to Hindi: how many are right, and their order.

Each is held against all its right translations (see `nlp_lstm.evaluation.references`): whether it is one of them, and
how much of its words stands in the order of the nearest (RIBES). What is not equal to a translation may still be right;
the list is printed to be read.

    python benchmarks/lecture_sentences.py runs/translate/model
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from nlp_lstm import Pipeline
from nlp_lstm.data.lecture import lecture_sentences
from nlp_lstm.errors import NlpLstmError
from nlp_lstm.evaluation.references import mean_order, score_output


def main() -> None:
    """Translate the sentences and print them with their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a model folder or name; default the one of English to Hindi")
    arguments = parser.parse_args()
    pipeline = Pipeline(arguments.model) if arguments.model else Pipeline("translate", source="en", target="hi")
    sentences = lecture_sentences()
    outputs = [result["translation_text"] for result in pipeline.predict([one.english for one in sentences])]
    scores = [score_output(output, one.hindi) for output, one in zip(outputs, sentences, strict=True)]
    table = Table("", "RIBES", "English", "output", "nearest right translation", box=None, header_style="bold")
    for sentence, output, score in zip(sentences, outputs, scores, strict=True):
        mark = "=" if score.is_equal else " "
        table.add_row(mark, f"{score.order.ribes:.2f}", sentence.english, output, score.nearest)
    console = Console()
    console.print(table)
    console.print(
        f"{sum(score.is_equal for score in scores)} of {len(scores)} equal a right translation; "
        f"RIBES {mean_order(scores):.3f}",
        highlight=False,
    )


if __name__ == "__main__":
    try:
        main()
    except NlpLstmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
