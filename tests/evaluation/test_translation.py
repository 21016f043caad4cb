import gzip
import json

import numpy as np
import pytest
import sacrebleu
from samples import corpus_file
from translations import PAIRS, translate

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.translation import (
    MEASURES,
    CorpusCounts,
    ScoredTranslation,
    corpus_score,
    paired_difference,
    split_words,
)


def by_sacrebleu(translations, measure):
    outputs = [translation.output for translation in translations]
    references = [[translation.reference for translation in translations]]
    if measure == "chrf":
        return sacrebleu.corpus_chrf(outputs, references).score
    return sacrebleu.corpus_bleu(outputs, references, lowercase=measure == "bleu_lower").score


def read_lines(name):
    with gzip.open(corpus_file(f"multi30k/{name}"), "rt", encoding="utf-8") as file:
        return file.read().splitlines()


@pytest.fixture(scope="module")
def flickr():
    """300 sentences of the test part, English with German."""
    return list(zip(read_lines("test_2016_flickr.en.gz"), read_lines("test_2016_flickr.de.gz"), strict=True))[:300]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7])
def test_scores_are_sacrebleus_own(measure, rate):
    translations = translate(PAIRS, rate)
    assert corpus_score(translations, measure).score == by_sacrebleu(translations, measure)


@pytest.mark.parametrize("measure", MEASURES)
def test_scores_on_real_text_are_sacrebleus_own(flickr, measure):
    translations = translate(flickr, 0.3)
    found = corpus_score(translations, measure, resamples=100)
    assert found.score == by_sacrebleu(translations, measure)
    assert found.num_sentences == 300
    assert found.interval[0] < found.score < found.interval[1]


def test_the_interval_agrees_with_sacrebleus_bootstrap(flickr, monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    translations = translate(flickr, 0.3)
    metric = sacrebleu.BLEU()
    outputs, references = zip(*((one.output, one.reference) for one in translations), strict=True)
    theirs = metric.corpus_score(list(outputs), [list(references)], n_bootstrap=1000)
    lower, upper = corpus_score(translations).interval
    # an end of 1,000 draws has a standard error near 8 % of the half width; twice that for two independent ends
    assert (upper - lower) / 2 == pytest.approx(theirs._ci, rel=0.15)
    assert (upper + lower) / 2 == pytest.approx(theirs._mean, abs=0.15 * theirs._ci)


def test_the_interval_covers_the_score_of_the_text_that_was_drawn_from(flickr):
    whole = translate(flickr, 0.3)
    score = corpus_score(whole).score
    generator = np.random.default_rng(1)
    drawn = [[whole[place] for place in generator.integers(len(whole), size=80)] for _ in range(30)]
    intervals = [corpus_score(sample, resamples=200).interval for sample in drawn]
    # of 30 honest 95 % intervals, fewer than 25 cover with probability 0.003
    assert sum(lower <= score <= upper for lower, upper in intervals) >= 25


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_texts_score_100(measure):
    found = corpus_score(translate(PAIRS, 0), measure)
    assert found.score == pytest.approx(100)
    assert found.interval == pytest.approx((100, 100))


def test_signatures_say_what_was_computed():
    translations = translate(PAIRS, 0.2)
    bleu, chrf, lower = (corpus_score(translations, measure).signature for measure in MEASURES)
    version = f"version:{sacrebleu.__version__}"
    assert bleu == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}"
    assert chrf == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}"
    assert lower == bleu.replace("case:mixed", "case:lc")
    assert corpus_score([]).signature == bleu


@pytest.mark.parametrize(("language", "tokenizer"), [("de", "13a"), ("hi", "13a"), ("zh", "zh"), ("ja", "char")])
def test_words_are_cut_as_the_language_needs(language, tokenizer):
    text = {"zh": "我正在去市场。", "ja": "市場に行きます。"}.get(language, "मैं बाज़ार जा रहा हूँ।")
    translation = ScoredTranslation(source="I am going to the market.", reference=text, output=text)
    found = corpus_score([translation], language=language)
    assert f"|tok:{tokenizer}|" in found.signature
    assert found.score == pytest.approx(100)


def test_case_counts_only_where_it_should():
    shouted = [
        ScoredTranslation(source=text, reference=reference, output=reference.upper()) for text, reference in PAIRS
    ]
    assert corpus_score(shouted, "bleu_lower").score == pytest.approx(100)
    assert corpus_score(shouted, "bleu").score < 20


def test_intervals_depend_on_the_seed_alone(monkeypatch):
    translations = translate(PAIRS, 0.3)
    found = corpus_score(translations, seed=3)
    np.random.seed(99)
    monkeypatch.setenv("SACREBLEU_SEED", "99")
    assert corpus_score(translations, seed=3) == found
    assert corpus_score(translations, seed=4).interval != found.interval


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_to_score_is_no_error(measure):
    assert corpus_score([], measure).score == 0
    assert corpus_score([], measure).interval is None
    empty = [ScoredTranslation(source=text, reference=reference, output="") for text, reference in PAIRS]
    assert corpus_score(empty, measure).interval == (0, 0)
    assert corpus_score(empty[:1], measure).interval is None
    nothing = [ScoredTranslation(source="", reference="", output="")] * 2
    assert corpus_score(nothing, measure).score == 0


def test_any_part_can_be_scored_from_the_counts():
    translations = translate(PAIRS, 0.3)
    counts = CorpusCounts(translations, "chrf")
    assert counts.score([1, 4]) == by_sacrebleu([translations[1], translations[4]], "chrf")
    assert counts.score([]) == 0
    each = [sacrebleu.sentence_chrf(one.output, [one.reference]).score for one in translations]
    assert counts.sentence_scores() == each


@pytest.mark.parametrize("measure", ["bleu", "chrf"])
def test_a_real_difference_is_found_and_none_between_equal_systems(flickr, measure):
    good, poor = translate(flickr, 0.1), translate(flickr, 0.25)
    found = paired_difference(good, poor, measure, resamples=200)
    assert found.difference == by_sacrebleu(good, measure) - by_sacrebleu(poor, measure)
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.p_value < 0.01
    assert paired_difference(good, good, measure, resamples=50) == (0, (0, 0), 1)


def test_systems_that_differ_by_chance_are_not_told_apart(flickr):
    found = paired_difference(translate(flickr, 0.2, seed=1), translate(flickr, 0.2, seed=2), resamples=200)
    assert found.interval[0] < 0 < found.interval[1]
    assert found.p_value > 0.05


def test_systems_are_compared_on_the_same_sentences_alone():
    translations = translate(PAIRS, 0.2)
    with pytest.raises(DataError, match="8 and 7 translations"):
        paired_difference(translations, translations[1:])
    with pytest.raises(DataError, match="translation 1 has another source or reference"):
        paired_difference(translations, translations[::-1])
    with pytest.raises(DataError, match="measure both alike"):
        CorpusCounts(translations, "bleu").paired_difference(CorpusCounts(translations, "chrf"))
    with pytest.raises(ConfigError, match=r'measure is "blue".*Did you mean "bleu"'):
        corpus_score(translations, "blue")


@pytest.mark.parametrize("weights", [[[1.0, 0.0]], np.array([[0.5, 0.5]])])
def test_attention_has_one_weight_per_pair_of_tokens(weights):
    given = {"source": "a b", "reference": "c", "output": "c", "source_tokens": ("a", "b"), "attention": weights}
    assert ScoredTranslation(**given, output_tokens=("c",)).attention is weights
    with pytest.raises(DataError, match="1 rows of"):
        ScoredTranslation(**given, output_tokens=("c", "d"))
    with pytest.raises(DataError, match="3 source tokens"):
        ScoredTranslation(**{**given, "source_tokens": ("a", "b", "c")}, output_tokens=("c",))


def test_words_lose_case_and_the_punctuation_around_them():
    assert split_words("„Don’t“ — मैं जा रहा हूँ। saftig-grün (3 %)") == [
        "don’t",
        "मैं",
        "जा",
        "रहा",
        "हूँ",
        "saftig-grün",
        "3",
    ]
    assert split_words(" …  ") == []


def test_scores_are_plain_numbers():
    found = corpus_score(translate(PAIRS, 0.2))
    json.dumps([found.score, found.interval])
    json.dumps(list(paired_difference(translate(PAIRS, 0.2), translate(PAIRS, 0.5))))
