import pytest

from nlp_lstm.evaluation.translation import ScoredTranslation
from nlp_lstm.evaluation.translation_checks import check_translations, copied_words, repeated_stretches


def translation(source, reference, output, **more):
    return ScoredTranslation(source=source, reference=reference, output=output, **more)


COPY = translation("A dog runs.", "Ein Hund rennt.", " A dog  runs. ")
NAME = translation("Anna Ivy", "Anna Ivy", "Anna Ivy")
CUT = translation("A dog runs and runs.", "Ein Hund rennt und rennt.", "Ein Hund", is_cut=True)
EMPTY = translation("A dog runs.", "Ein Hund rennt.", "  ")
DOUBLED = translation("A dog runs.", "Ein Hund rennt.", "Ein Hund, Hund rennt.")
LOOP = translation("Go!", "Geh!", "Geh mit mir, geh mit mir!")
GOOD = translation("The very very big dog", "Der sehr sehr große Hund", "Der sehr sehr große Hund")


def test_each_fault_is_counted():
    checks = check_translations([COPY, NAME, CUT, EMPTY, DOUBLED, LOOP, GOOD])
    assert checks.to_dict() == {
        "num_sentences": 7,
        "num_copied": 2,
        "num_rightly_copied": 1,
        "num_cut": 1,
        "num_empty": 1,
        "num_short": 2,
        "num_repeating": 2,
        "num_output_words": 3 + 2 + 2 + 0 + 4 + 6 + 5,
        "num_copied_words": 3,
        "length_ratio": 22 / (3 + 2 + 5 + 3 + 3 + 1 + 5),
    }
    assert checks.copied_word_share == 3 / 22


@pytest.mark.parametrize("translations", [[], [translation("", "", "")]])
def test_nothing_to_check_is_no_fault(translations):
    checks = check_translations(translations)
    values = checks.to_dict()
    assert (values.pop("num_sentences"), values.pop("length_ratio")) == (len(translations), None)
    assert set(values.values()) == {0}
    assert checks.copied_word_share == 0


def test_copied_words_are_those_that_the_reference_lacks():
    text = "Hello, Anna Ivy!"
    assert copied_words(translation(text, "Hallo, Anna Ivy!", "HELLO Anna Ivy")) == ["hello"]
    assert copied_words(translation(text, "Hallo, Anna Ivy!", "Hallo, Anna Ivy!")) == []


def test_repeated_stretches_are_doubled_words_and_triples_that_come_again():
    assert repeated_stretches(["a", "a", "b"]) == {("a", "a")}
    assert repeated_stretches(["a", "b", "a", "b"]) == set()
    assert repeated_stretches(["a", "b", "c", "d", "a", "b", "c"]) == {("a", "b", "c")}
    assert repeated_stretches([]) == set()
