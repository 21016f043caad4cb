import pytest

from nlp_lstm.data.readers import read_conllu
from nlp_lstm.data.writers import format_conllu
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer


def test_a_sentence_is_written_as_the_format_asks():
    document = Document.from_words(["We", "wait", "."], [True, False, False])
    labels = {"upos": ("PRON", "VERB", "PUNCT"), "xpos": ("PRP", "VBP", ".")}
    assert format_conllu(document, labels) == (
        "# text = We wait.\n"
        "1\tWe\t_\tPRON\tPRP\t_\t_\t_\t_\t_\n"
        "2\twait\t_\tVERB\tVBP\t_\t_\t_\t_\tSpaceAfter=No\n"
        "3\t.\t_\tPUNCT\t.\t_\t_\t_\t_\t_\n"
        "\n"
    )


def test_a_column_that_the_format_lacks_goes_to_misc():
    document = Document.from_words(["Maria", "!"], [False, False])
    lines = format_conllu(document, {"label": ("B-PER", "O")}).splitlines()
    assert lines[1].endswith("\tlabel=B-PER|SpaceAfter=No")
    assert lines[2].endswith("\tlabel=O")


@pytest.mark.parametrize("text", ["We wait. They don't!", "It's  3.5\nkm (or so).\n\nनाव गई। 👍🏽", "a\u00a0b\tc"])
def test_what_is_written_is_read_back_the_same(tmp_path, text):
    documents = list(Tokenizer("en").sentences(text))
    labels = [{"upos": tuple("NOUN" for _ in document.tokens)} for document in documents]
    path = tmp_path / "out.conllu"
    path.write_text(
        "".join(format_conllu(*pair) for pair in zip(documents, labels, strict=True)), encoding="utf-8", newline="\n"
    )
    examples = read_conllu(path)
    assert [example.document.words for example in examples] == [document.words for document in documents]
    assert [dict(example.labels) for example in examples] == labels
    for example, document in zip(examples, documents, strict=True):
        given = text[document.tokens[0].start : document.tokens[-1].end]
        assert example.document.text == " ".join(given.split())


def test_a_sentence_inside_a_longer_text_keeps_to_itself():
    sentences = list(Tokenizer("en").sentences("We wait. They go."))
    written = format_conllu(sentences[1], {"upos": ("PRON", "VERB", "PUNCT")})
    assert written.startswith("# text = They go.\n1\tThey\t")


@pytest.mark.parametrize("word", ["a\tb", "a\nb", "\u00a0", " "])
def test_white_space_in_a_token_never_breaks_the_columns(word):
    lines = format_conllu(Document.from_words([word, "x"]), {"upos": ("X", "X")}).splitlines()
    assert [line.count("\t") for line in lines[1:3]] == [9, 9]
