"""Predictions as files that other tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_lstm.text.document import Document

_COLUMNS = ("lemma", "upos", "xpos", "feats")  # the order of the format


def format_conllu(document: Document, labels: Mapping[str, Sequence[str]]) -> str:
    """Return one sentence as CoNLL-U.

    Args:
        document: the sentence; its text may go beyond it.
        labels: column to one label per token; a column that the format does not have goes to MISC.
    """
    tokens = document.tokens
    text = " ".join(document.text[tokens[0].start : tokens[-1].end].split()) if tokens else ""
    lines = [f"# text = {text}"]
    for index, token in enumerate(tokens):
        following = document.text[token.end : token.end + 1]
        misc = [f"{column}={values[index]}" for column, values in labels.items() if column not in _COLUMNS]
        if following and not following.isspace():
            misc.append("SpaceAfter=No")
        standard = [labels[column][index] if column in labels else "_" for column in _COLUMNS]
        form = " ".join(token.text.split()) or "_"
        lines.append("\t".join([str(index + 1), form, *standard, "_", "_", "_", "|".join(misc) or "_"]))
    return "\n".join(lines) + "\n\n"
