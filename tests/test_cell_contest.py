"""The contest of cells in its tiny form: equal sizes, ranks, and nothing trained twice."""

import argparse
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import cell_contest
from cell_contest import Entry
from samples import corpus_file

from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.report import Figure
from nlp_lstm.recipes import load_recipe


def entry(task: str, cell: str, development: float, test: float, seed: int = 1) -> Entry:
    figure = Figure(name="Accuracy", value=test, is_share=True)
    return Entry(
        task=task, cell=cell, seed=seed, minutes=4.0, hidden=8, tokens=1_000_000, development=development, test=figure
    )


ENTRIES = [
    entry("pos", "lstm", 0.9, 0.8),
    entry("pos", "rnn", 0.7, 0.9),
    entry("pos", "gru", 0.9, 0.7),
    entry("lm", "lstm", -4.0, 0.5),
    entry("lm", "rnn", -6.0, 0.5),
    entry("lm", "gru", -5.0, 0.5),
    entry("pos", "lstm", 0.1, 0.6, seed=2),
]


def test_the_development_data_of_the_first_seed_ranks():
    assert cell_contest.by_rank(ENTRIES) == ["lstm", "gru", "rnn"]
    assert [cell_contest.mean_rank(cell, ENTRIES) for cell in ("lstm", "gru", "rnn")] == [1.0, 1.5, 3.0]


def test_the_table_has_means_over_seeds_and_their_interval():
    rows = cell_contest.contest_table(ENTRIES).text_rows
    assert rows[0][:5] == ["lstm", "1.0", "8", "1.00", "70.00 (-57.06 to 197.06)"]  # t = 12.706 with two seeds
    assert rows[2][4] == "90.00"


def test_models_of_other_settings_are_not_mixed(tmp_path):
    given = argparse.Namespace(output=tmp_path / "out", share=1.0, overrides=[])
    cell_contest.check_settings(given)
    cell_contest.check_settings(given)
    with pytest.raises(ConfigError, match="another share or other changes"):
        cell_contest.check_settings(argparse.Namespace(output=tmp_path / "out", share=0.1, overrides=[]))


def test_cells_get_as_many_parameters_as_the_lstm():
    corpus_file("ud-english-ewt/*train*")

    def hidden(cell: str) -> int:
        return cell_contest.equal_hidden(
            load_recipe("pos", ["model.embedding.vectors=null", "model.hidden=64", f"model.cell={cell}"])
        )

    assert hidden("lstm") == 64
    found = hidden("rnn")
    assert found % cell_contest.HIDDEN_STEP == 0
    assert 100 < found < 200  # four gates become one, of about twice the units
