"""Hindi forms and the sentences made of them; what is expected is from Kachru's grammar, or plain Hindi."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nlp_lstm.data import hindi
from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.hindi import Agreement, agree, noun_forms
from nlp_lstm.data.hindi_clauses import (
    Parts,
    base,
    english_question,
    english_verb,
    hindi_clause,
    hindi_infinitive,
    hindi_order,
    hindi_wish,
)
from nlp_lstm.data.hindi_phrases import PRONOUNS, Lexicon, Word, make_phrase, read_lexicon, with_article
from nlp_lstm.data.hindi_sentences import make_pairs, read_lexicon_pairs, shorten
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import DataError

HE = Agreement()
SHE = Agreement(is_feminine=True)
THEY = Agreement(is_plural=True)
WOMEN = Agreement(is_feminine=True, is_plural=True)
SPEAKER, YOU = Agreement(person=1), Agreement(is_plural=True, person=2)
LEXICON = Path(hindi.__file__).with_name("lexicon-en-hi.tsv")
SUBJECTS = {phrase.english: phrase for phrase in PRONOUNS}
EAT = Word("verb", "eat ate eaten eating", "खा", "ne", frozenset({"food"}))
GO = Word("verb", "go went gone going", "जा", "-", frozenset({"goal"}))
HELP = Word("verb", "help helped helped helping", "मदद कर", "ne f की", frozenset({"person"}))
STAND = Word("verb", "stand_up stood_up stood_up standing_up", "खड़ा हो", "- agrees", frozenset({"alone"}))
SIT = Word("verb", "sit sat sat sitting", "बैठ", "- state", frozenset({"seat"}))
BREAD = Parts("bread", "रोटी", SHE, has_object=True)


@pytest.mark.parametrize(
    ("word", "grammar", "forms"),
    [
        ("लड़का", "m", "लड़का लड़के लड़के लड़कों"),
        ("राजा", "mi", "राजा राजा राजा राजाओं"),
        ("घर", "m", "घर घर घर घरों"),
        ("आदमी", "m", "आदमी आदमी आदमी आदमियों"),
        ("कवि", "m", "कवि कवि कवि कवियों"),
        ("आलू", "m", "आलू आलू आलू आलुओं"),
        ("कौआ", "m", "कौआ कौए कौए कौओं"),
        ("रसोइया", "mi", "रसोइया रसोइया रसोइया रसोइयों"),
        ("लड़की", "f", "लड़की लड़कियाँ लड़की लड़कियों"),
        ("किताब", "f", "किताब किताबें किताब किताबों"),
        ("चिड़िया", "fi", "चिड़िया चिड़ियाँ चिड़िया चिड़ियों"),
        ("पत्रिका", "fi", "पत्रिका पत्रिकाएँ पत्रिका पत्रिकाओं"),
    ],
)
def test_nouns_have_two_cases_and_numbers(word: str, grammar: str, forms: str) -> None:
    assert " ".join(noun_forms(word, grammar)) == forms


@pytest.mark.parametrize(
    ("stem", "past", "future", "order", "polite"),
    [
        ("जा", "गया गए गई गईं", "जाऊँगा जाओगे जाएगी जाएँगे", "जाओ", "जाइए"),
        ("कर", "किया किए की कीं", "करूँगा करोगे करेगी करेंगे", "करो", "कीजिए"),
        ("ले", "लिया लिए ली लीं", "लूँगा लोगे लेगी लेंगे", "लो", "लीजिए"),
        ("देख", "देखा देखे देखी देखीं", "देखूँगा देखोगे देखेगी देखेंगे", "देखो", "देखिए"),
        ("सो", "सोया सोए सोई सोईं", "सोऊँगा सोओगे सोएगी सोएँगे", "सोओ", "सोइए"),
        ("पी", "पिया पिए पी पीं", "पिऊँगा पिओगे पिएगी पिएँगे", "पियो", "पीजिए"),
        ("हो", "हुआ हुए हुई हुईं", "हूँगा होगे होगी होंगे", "होओ", "होइए"),
    ],
)
def test_verbs_have_their_forms(stem: str, past: str, future: str, order: str, polite: str) -> None:
    assert " ".join(hindi.did(stem, whom) for whom in (HE, THEY, SHE, WOMEN)) == past
    assert " ".join(hindi.will(stem, whom) for whom in (SPEAKER, YOU, SHE, THEY)) == future
    assert (hindi.command(stem), hindi.request(stem)) == (order, polite)


def test_adjectives_agree() -> None:
    assert [agree("नया", whom) for whom in (HE, THEY, SHE)] == ["नया", "नए", "नई"]
    assert agree("थका हुआ", SHE) == "थकी हुई"
    assert agree("लाल", WOMEN) == "लाल"
    assert agree("मेरा बड़ा", HE, is_oblique=True) == "मेरे बड़े"


@pytest.mark.parametrize(
    ("who", "verb", "tense", "parts", "english", "translation"),
    [
        ("I", GO, "now", Parts(), "am going", "मैं जा रहा हूँ"),
        ("she", EAT, "habit", BREAD, "eats", "वह रोटी खाती है"),
        ("he", EAT, "past", BREAD, "ate", "उसने रोटी खाई"),
        ("they", EAT, "perfect", BREAD, "have eaten", "उन्होंने रोटी खाई है"),
        ("she", GO, "past", Parts(), "went", "वह गई"),
        ("we", GO, "future", Parts(), "will go", "हम जाएँगे"),
        ("you", GO, "can", Parts(), "can go", "तुम जा सकते हो"),
        ("he", GO, "want", Parts(), "wants to go", "वह जाना चाहता है"),
        ("she", EAT, "must", BREAD, "has to eat", "उसे रोटी खानी है"),
        ("they", GO, "should", Parts(), "should go", "उन्हें जाना चाहिए"),
        ("she", GO, "used", Parts(), "used to go", "वह जाती थी"),
        ("he", SIT, "was", Parts(), "was sitting", "वह बैठा था"),
        ("she", HELP, "past", Parts("me", "मेरी"), "helped", "उसने मेरी मदद की"),
        ("she", GO, "may", Parts(), "may go", "वह जा सकती है"),
        ("I", EAT, "would", BREAD, "would like to eat", "मैं रोटी खाना चाहूँगा"),
        ("she", GO, "like", Parts(), "likes to go", "उसे जाना पसंद है"),
        ("we", EAT, "skill", BREAD, "know how to eat", "हमें रोटी खानी आती है"),
        ("he", GO, "ought", Parts(), "must go", "उसे जाना पड़ेगा"),
        ("they", EAT, "already", BREAD, "have already eaten", "वे रोटी खा चुके हैं"),
        ("she", EAT, "had", BREAD, "had eaten", "उसने रोटी खाई थी"),
        ("she", EAT, "began", BREAD, "began to eat", "वह रोटी खाने लगी"),
        ("she", EAT, "stopped", BREAD, "stopped eating", "उसने रोटी खाना बंद किया"),
        ("they", GO, "decided", Parts(), "decided to go", "उन्होंने जाने का फ़ैसला किया"),
        ("she", GO, "going", Parts(), "is going to go", "वह जाने वाली है"),
        ("we", GO, "able", Parts(), "were able to go", "हम जा पाए"),
        ("she", STAND, "past", Parts(), "stood up", "वह खड़ी हुई"),
    ],
)
def test_clauses_take_case_and_agreement(
    who: str, verb: Word, tense: str, parts: Parts, english: str, translation: str
) -> None:
    assert english_verb(verb, tense, SUBJECTS[who]) == english
    assert hindi_clause(verb, tense, SUBJECTS[who], parts) == translation


@pytest.mark.parametrize(
    ("who", "verb", "tense", "parts", "english", "translation"),
    [
        ("he", EAT, "habit", BREAD, "does not eat", "वह रोटी नहीं खाता"),
        ("I", GO, "now", Parts(), "am not going", "मैं नहीं जा रहा हूँ"),
        ("we", EAT, "past", BREAD, "did not eat", "हमने रोटी नहीं खाई"),
        ("she", GO, "can", Parts(), "cannot go", "वह नहीं जा सकती"),
        ("he", HELP, "habit", Parts("me", "मेरी"), "does not help", "वह मेरी मदद नहीं करता"),
    ],
)
def test_clauses_are_denied(who: str, verb: Word, tense: str, parts: Parts, english: str, translation: str) -> None:
    assert english_verb(verb, tense, SUBJECTS[who], is_negative=True) == english
    assert hindi_clause(verb, tense, SUBJECTS[who], parts, is_negative=True) == translation


def test_what_is_named_and_wished_has_its_own_form() -> None:
    assert hindi_infinitive(EAT, BREAD) == "रोटी खाना"
    assert hindi_infinitive(EAT, BREAD, is_oblique=True) == "रोटी खाने"
    assert hindi_wish(EAT, SUBJECTS["you"], BREAD) == "तुम रोटी खाओ"
    assert hindi_wish(GO, SUBJECTS["they"], Parts()) == "वे जाएँ"


def test_clauses_are_asked() -> None:
    assert english_question(GO, "habit", SUBJECTS["she"]) == "does she go"
    assert english_question(EAT, "past", SUBJECTS["you"]) == "did you eat"
    assert hindi_clause(GO, "now", SUBJECTS["you"], Parts(), asked="कहाँ") == "तुम कहाँ जा रहे हो"


def test_orders_are_plain_polite_or_forbid() -> None:
    assert hindi_order(GO, Parts()) == "जाओ"
    assert hindi_order(HELP, Parts("me", "मेरी"), is_polite=True) == "कृपया मेरी मदद कीजिए"
    assert hindi_order(EAT, BREAD, is_negative=True) == "रोटी मत खाओ"


def test_postpositions_join_pronouns_and_take_the_genitive() -> None:
    boy = make_phrase("the boy", "लड़का", "लड़के", HE)
    assert SUBJECTS["I"].with_postposition("से") == "मुझसे"
    assert SUBJECTS["she"].with_postposition("के पास") == "उसके पास"
    assert SUBJECTS["I"].with_postposition("की तरह") == "मेरी तरह"
    assert (boy.dative, boy.with_postposition("के साथ"), boy.owning(SHE)) == ("लड़के को", "लड़के के साथ", "लड़के की")


def test_contractions() -> None:
    assert shorten("she does not go") == "she doesn't go"
    assert shorten("I am going") == "i'm going"
    assert shorten("they are here") == "they're here"
    assert shorten("Tom went home") == "Tom went home"


def test_articles_go_by_the_sound() -> None:
    words = ("apple", "honest man", "hour", "umbrella", "university", "useful book", "hotel")
    assert [with_article(word).split()[0] for word in words] == ["an", "an", "an", "an", "a", "a", "a"]


def test_pronouns_go_between_the_parts_of_a_verb_and_what_has_no_degrees_gets_none() -> None:
    made = " ".join(english for english, _ in make_pairs(Lexicon(read_lexicon(LEXICON)), 20_000, seed=3)).lower()
    assert "wake him up" in made
    assert "turn it on" in made
    assert not re.search(r"(wake|wok|pick)\w* up (him|them|it)\b|(turn|put)\w* on (it|something)\b|~", made)
    assert not re.search(r"\b(very|more|most) (dead|married|wooden|whole)\b", made)


def test_made_sentences_are_the_same_each_time_and_whole() -> None:
    lexicon = Lexicon(read_lexicon(LEXICON))
    made = make_pairs(lexicon, 2_000, seed=1)
    assert made == make_pairs(lexicon, 2_000, seed=1)
    assert made != make_pairs(lexicon, 2_000, seed=2)
    assert len({english for english, _ in made}) == 2_000
    for english, translation in made:
        assert (english[-1], translation[-1]) in ((".", "।"), ("?", "?"), ("!", "!"))
        assert "  " not in english + translation
        assert not any(character.isascii() and character.isalpha() for character in translation)


def test_every_verb_is_used() -> None:
    lexicon = Lexicon(read_lexicon(LEXICON))
    made = " ".join(english for english, _ in make_pairs(lexicon, 20_000, seed=3)).lower()
    for verb in lexicon.words("verb"):
        assert base(verb) in made


def test_both_directions_come_from_the_catalogue() -> None:
    forth = find_data(["made-en-hi"], reading=ParallelSettings(source="en", target="hi")).read("dev")
    back = find_data(["made-en-hi"], reading=ParallelSettings(source="hi", target="en")).read("dev")
    assert [(one.source, one.target) for one in forth] == [(one.target, one.source) for one in back]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("noun\tboy\tलड़का\tm", "columns"),
        ("thing\tboy\tलड़का\tm\tperson", "no kind of word"),
        ("verb\tgo went\tजा\t-\tgoal", "has not 4 forms"),
        ("noun\tboy\t\tm\tperson", "a column is empty"),
    ],
)
def test_a_broken_lexicon_is_told_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "lexicon.tsv"
    path.write_text(f"# words\n{line}\n", "utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_lexicon(path)
    assert f"{path}:2" in str(caught.value)


def test_other_languages_are_refused() -> None:
    with pytest.raises(DataError, match="en-de"):
        read_lexicon_pairs([LEXICON], ParallelSettings(source="en", target="de"), lambda line: None)
