"""Sentences of two verbs in English and Hindi: what someone says, knows and wants, who it is, when, why and if.

I asked my brother to open the door.    मैंने अपने भाई से दरवाज़ा खोलने के लिए कहा।
"""

from __future__ import annotations

import random
from collections.abc import Callable

from nlp_lstm.data import hindi
from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_actions import ActionMaker
from nlp_lstm.data.hindi_clauses import (
    ING,
    PARTICIPLE,
    Parts,
    Sentence,
    base,
    english_be,
    english_do,
    english_have,
    english_verb,
    form,
    hindi_clause,
    hindi_infinitive,
    hindi_wish,
    third_person,
)
from nlp_lstm.data.hindi_phrases import SPEAKER, THIRD, Lexicon, Phrase, PhraseMaker, Word, join

_JOINTS = (("and", "और"), ("but", "लेकिन"), ("because", "क्योंकि"), ("so", "इसलिए"))
_KNOWS = {"know": "पता है", "think": "लगता है", "hope": "उम्मीद है", "believe": "विश्वास है"}
_KNOWS_NOT = {"know": "नहीं पता", "think": "नहीं लगता", "believe": "विश्वास नहीं है"}
_SAYS = {"said": "कहा", "heard": "सुना", "thought": "सोचा", "decided": "तय किया", "admitted": "माना"}
_ASKED = {"where": "कहाँ", "why": "क्यों", "when": "कब", "how": "कैसे"}
_IS_TO = {
    "easy": "आसान",
    "hard": "मुश्किल",
    "difficult": "मुश्किल",
    "important": "ज़रूरी",
    "necessary": "ज़रूरी",
    "dangerous": "खतरनाक",
    "impossible": "नामुमकिन",
    "possible": "संभव",
    "wrong": "ग़लत",
    "good": "अच्छा",
    "fun": "मज़ेदार",
}
_TOO = {"young": "छोटा", "old": "बूढ़ा", "tired": "थका हुआ", "weak": "कमज़ोर", "busy": "व्यस्त", "lazy": "आलसी"}
_SINCE = {
    "for two hours": "दो घंटे से",
    "for three days": "तीन दिन से",
    "for five years": "पाँच साल से",
    "for a long time": "बहुत समय से",
    "since morning": "सुबह से",
    "since yesterday": "कल से",
    "since last week": "पिछले हफ़्ते से",
}


class ComplexMaker:
    """Makes sentences of two verbs.

    Args:
        lexicon: the words.
        generator: the source of chance.
        actions: makes clauses.
    """

    def __init__(self, lexicon: Lexicon, generator: random.Random, actions: ActionMaker) -> None:
        self._random = generator
        self._phrases = PhraseMaker(lexicon, generator)
        self._chance = self._phrases.chance
        self._actions = actions

    @property
    def forms(self) -> dict[Callable[[], Sentence], int]:
        """The kinds of sentences and how often each is made."""
        return {
            self._joined: 3,
            self._that: 4,
            self._knows_where: 2,
            self._if: 2,
            self._if_it_were: 1,
            self._when: 3,
            self._before: 1,
            self._wants_another_to: 2,
            self._asks_to: 2,
            self._lets: 2,
            self._goes_to: 2,
            self._in_order_to: 2,
            self._who: 2,
            self._is_to: 3,
            self._too: 1,
            self._since: 2,
            self._passive: 2,
        }

    def _clause(self) -> tuple[Phrase, Word, Parts]:
        """Who, does what, to what."""
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        return subject, verb, self._actions.parts(verb, subject)

    def _joined(self) -> Sentence:
        first, second = self._actions.action(), self._actions.action()
        english, translation = self._random.choice(_JOINTS)
        return Sentence(join(first.english, english, second.english), join(first.hindi, translation, second.hindi))

    def _that(self) -> Sentence:
        """What someone knows, thinks or said."""
        speaker, said, that = self._phrases.anyone(), self._actions.action(), "that" if self._chance(0.5) else ""
        does = english_do(speaker)
        roll = self._random.random()
        if roll < 0.3:
            verb, says = self._random.choice(list(_SAYS.items()))
            return Sentence(
                join(speaker.english, verb, that, said.english), join(speaker.ergative, says, "कि", said.hindi)
            )
        if roll < 0.45:
            english, knows = f"{english_be(speaker)} sure", "यकीन है"
        elif roll < 0.6:
            verb, knows = self._random.choice(list(_KNOWS_NOT.items()))
            english = f"{does} not {verb}"
        else:
            verb, knows = self._random.choice(list(_KNOWS.items()))
            english = third_person(verb, takes_s=does == "does")
        if roll > 0.9 and speaker.english == "you":
            asked = join("do you", verb, that, said.english)
            return Sentence(asked, join("क्या तुम्हें", knows, "कि", said.hindi), "?")
        return Sentence(
            join(speaker.english, english, that, said.english), join(speaker.dative, knows, "कि", said.hindi)
        )

    def _knows_where(self) -> Sentence:
        """Someone does not know where, why or when."""
        (subject, verb, parts), tense = self._clause(), self._random.choice(("habit", "past", "future", "now"))
        if "stative" in verb.grammar:
            tense = "habit"
        name, asked = self._random.choice(list(_ASKED.items()))
        english = join(name, subject.english, english_verb(verb, tense, subject), parts.english)
        clause = hindi_clause(verb, tense, subject, parts, asked=asked)
        if self._chance(0.4):
            return Sentence(f"do you know {english}", f"क्या तुम्हें पता है कि {clause}", "?")
        speaker = self._phrases.anyone()
        known, knows = (
            (f"{english_do(speaker)} not know", "नहीं पता")
            if self._chance(0.7)
            else (third_person("know", takes_s=english_do(speaker) == "does"), "पता है")
        )
        return Sentence(join(speaker.english, known, english), join(speaker.dative, knows, "कि", clause))

    def _if(self) -> Sentence:
        """If one thing happens, another will."""
        (subject, verb, parts), (other, then, rest) = self._clause(), self._clause()
        condition = join("if", subject.english, english_verb(verb, "habit", subject), parts.english)
        result = join(other.english, english_verb(then, "future", other), rest.english)
        translation = join(
            "अगर", hindi_clause(verb, "future", subject, parts), "तो", hindi_clause(then, "future", other, rest)
        )
        return Sentence(f"{condition}, {result}" if self._chance(0.6) else f"{result} {condition}", translation)

    def _if_it_were(self) -> Sentence:
        """If one thing happened, another would."""
        (subject, verb, parts), (other, then, rest) = self._clause(), self._clause()
        condition = join("if", subject.english, english_verb(verb, "past", subject), parts.english)
        result = join(other.english, "would", base(then), rest.english)
        happens = join(subject.direct, parts.hindi, hindi.ends_clause(hindi.habit(verb.hindi), subject.agreement))
        follows = join(other.direct, rest.hindi, hindi.ends_clause(hindi.habit(then.hindi), other.agreement))
        return Sentence(f"{condition}, {result}", join("अगर", happens, "तो", follows))

    def _when(self) -> Sentence:
        """When one thing happened, another did."""
        (subject, verb, parts), (other, then, rest) = self._clause(), self._clause()
        is_slow = self._chance(0.4) and "stative" not in then.grammar
        first = join("when", subject.english, english_verb(verb, "past", subject), parts.english)
        second = join(other.english, english_verb(then, "was" if is_slow else "past", other), rest.english)
        translation = join(
            "जब",
            hindi_clause(verb, "past", subject, parts),
            "तब",
            hindi_clause(then, "was" if is_slow else "past", other, rest),
        )
        return Sentence(f"{first}, {second}" if self._chance(0.5) else f"{second} {first}", translation)

    def _before(self) -> Sentence:
        """Before or after someone does something, another thing is done."""
        (subject, verb, parts), (other, then, rest) = self._clause(), self._clause()
        english, postposition = self._random.choice((("before", "से पहले"), ("after", "के बाद")))
        tense = self._random.choice(("past", "future"))
        done = join(english, subject.english, english_verb(verb, "past" if tense == "past" else "habit", subject))
        whose = subject.owning(THIRD, is_oblique=True)
        return Sentence(
            join(other.english, english_verb(then, tense, other), rest.english, done, parts.english),
            join(
                whose,
                hindi_infinitive(verb, parts, is_oblique=True),
                postposition,
                hindi_clause(then, tense, other, rest),
            ),
        )

    # One wants another to do it

    def _wants_another_to(self) -> Sentence:
        (subject, verb, parts), wanting = self._clause(), self._phrases.anyone()
        if wanting == subject or wanting.agreement.person == subject.agreement.person < THIRD.person:
            return self._wants_another_to()
        is_past = self._chance(0.25)
        wants = "wanted" if is_past else third_person("want", takes_s=english_do(wanting) == "does")
        being = (hindi.was if is_past else hindi.is_now)(wanting.agreement)
        return Sentence(
            join(wanting.english, wants, subject.english_object, "to", base(verb), parts.english),
            join(wanting.direct, agree("चाहता", wanting.agreement), being, "कि", hindi_wish(verb, subject, parts)),
        )

    def _asks_to(self) -> Sentence:
        """Someone asked or told another to do something, or not to."""
        speaker, verb = self._phrases.anyone(), self._phrases.word("verb")
        listener = self._actions.someone_else(speaker)
        parts, no = self._actions.parts(verb, listener), self._chance(0.2)
        english = join(self._random.choice(("asked", "told")), listener.english_object, "not" if no else "")
        if no:
            done = join(parts.hindi, "न", agree(hindi.infinitive(verb.hindi), THIRD, is_oblique=True))
        else:
            done = hindi_infinitive(verb, parts, is_oblique=True)
        return Sentence(
            join(speaker.english, english, "to", base(verb), parts.english),
            join(speaker.ergative, listener.with_postposition("से"), done, "के लिए कहा"),
        )

    def _lets(self) -> Sentence:
        """Let me do something; let us do it."""
        verb, roll = self._phrases.word("verb"), self._random.random()
        if roll < 0.5:
            us = Agreement(is_plural=True, person=1)
            parts = self._actions.parts(verb, SPEAKER)
            going = join(parts.hindi, agree(hindi.habit(verb.hindi), us), "हैं")
            return Sentence(join("let's", base(verb), parts.english), f"चलो {going}")
        someone = SPEAKER if roll < 0.8 else self._phrases.anyone()
        parts = self._actions.parts(verb, someone)
        no, denied = ("don't", "मत") if self._chance(0.15) else ("", "")
        return Sentence(
            join(no, "let", someone.english_object, base(verb), parts.english),
            join(someone.dative, hindi_infinitive(verb, parts, is_oblique=True), denied, "दो"),
        )

    # What for

    def _goes_to(self) -> Sentence:
        """Someone goes somewhere to do something."""
        (subject, verb, parts), tense = self._clause(), self._random.choice(("habit", "past", "future", "now", "want"))
        english, stem = self._random.choice((("go went gone going", "जा"), ("come came come coming", "आ")))
        going = Word("verb", english, stem, "-", frozenset({"goal"}))
        to, place = self._actions.place() if self._chance(0.3) else ("", "")
        way = Parts(hindi=join(place, hindi_infinitive(verb, parts, is_oblique=True)))
        return Sentence(
            join(subject.english, english_verb(going, tense, subject), to, "to", base(verb), parts.english),
            hindi_clause(going, tense, subject, way),
        )

    def _in_order_to(self) -> Sentence:
        (subject, verb, parts), aim = self._clause(), self._phrases.word("verb")
        tense, goal = self._random.choice(("habit", "past", "future", "must")), self._actions.parts(aim, subject)
        for_what = join(hindi_infinitive(aim, goal, is_oblique=True), "के लिए")
        return Sentence(
            join(subject.english, english_verb(verb, tense, subject), parts.english, "to", base(aim), goal.english),
            hindi_clause(verb, tense, subject, parts.then("", for_what)),
        )

    def _is_to(self) -> Sentence:
        """It is easy to do something."""
        verb, (english, adjective) = self._phrases.word("verb"), self._random.choice(list(_IS_TO.items()))
        someone = self._phrases.anyone()
        parts, is_for = self._actions.parts(verb, someone), self._chance(0.4)
        no, denied = ("not", "नहीं") if self._chance(0.2) else ("", "")
        is_past = self._chance(0.2)
        be, being = ("was", "था") if is_past else ("is", "है")
        whom = f"for {someone.english_object}" if is_for else ""
        translation = join(
            someone.with_postposition("के लिए") if is_for else "",
            hindi_infinitive(verb, parts),
            adjective,
            denied,
            being,
        )
        if self._chance(0.3):
            return Sentence(join(form(verb, ING), parts.english, be, no, english, whom), translation)
        return Sentence(join("it", be, no, english, whom, "to", base(verb), parts.english), translation)

    def _too(self) -> Sentence:
        """Someone is too tired to do something."""
        (subject, verb, parts), (english, adjective) = self._clause(), self._random.choice(list(_TOO.items()))
        is_past = self._chance(0.3)
        being = (hindi.was if is_past else hindi.is_now)(subject.agreement)
        return Sentence(
            join(
                subject.english, english_be(subject, is_past=is_past), "too", english, "to", base(verb), parts.english
            ),
            join(
                subject.direct,
                hindi_infinitive(verb, parts, is_oblique=True),
                "के लिए बहुत",
                agree(adjective, subject.agreement),
                being,
            ),
        )

    # Who it is, how long, and what is done to it

    def _who(self) -> Sentence:
        """The man who is doing something."""
        noun = self._phrases.word("noun", "person")
        someone = self._phrases.noun(noun, is_bare=True)
        verb, tense = self._phrases.word("verb"), self._random.choice(("habit", "past", "future"))
        parts = self._actions.parts(verb, someone)
        doing = join("who", english_verb(verb, tense, someone), parts.english)
        bare = someone.english.removeprefix("the ").removeprefix("a ").removeprefix("an ")
        is_many = someone.agreement.is_plural
        far, far_oblique = ("वे", "उन") if is_many else ("वह", "उस")
        name = someone.direct.removeprefix("एक ")
        who = Phrase(
            english="who",
            english_object="whom",
            direct="जो",
            oblique="जिन" if is_many else "जिस",
            ergative="जिन्होंने" if is_many else "जिसने",
            dative="जिन्हें" if is_many else "जिसे",
            genitive="जिनका" if is_many else "जिसका",
            agreement=someone.agreement,
        )
        clause = hindi_clause(verb, tense, who, parts)
        if self._chance(0.5):
            knower = self._phrases.anyone()
            knows = join(agree("जानता", knower.agreement), hindi.is_now(knower.agreement))
            oblique = someone.oblique.removeprefix("एक ")
            does = third_person("know", takes_s=english_do(knower) == "does")
            return Sentence(
                join(knower.english, does, f"the {bare}", doing),
                join(knower.direct, far_oblique, oblique, "को", knows, clause),
            )
        adjective = self._phrases.adjective(noun)
        if adjective is None:
            return self._who()
        english = join(f"the {bare}", doing, english_be(someone), adjective.english.split()[0])
        shown = agree(adjective.hindi, someone.agreement)
        return Sentence(english, join(far, name, clause, shown, hindi.is_now(someone.agreement)))

    def _since(self) -> Sentence:
        """Someone has been doing it for a time."""
        subject, verb, parts = self._clause()
        if "stative" in verb.grammar:
            return self._since()
        english, since = self._random.choice(list(_SINCE.items()))
        return Sentence(
            join(subject.english, english_have(subject), "been", form(verb, ING), parts.english, english),
            hindi_clause(verb, "now", subject, parts.then("", since)),
        )

    def _passive(self) -> Sentence:
        """Something is done to a thing."""
        verb = self._phrases.word("verb", "thing", "readable", "food", "thing", "small", "building", "opened", "worn")
        use = self._random.choice(sorted(verb.uses - {"to", "person", "animal", "language"}))
        thing = self._phrases.noun(self._phrases.word("noun", use))
        done = agree(hindi.done(verb.hindi), thing.agreement)
        be = english_be(thing, is_past=False)
        helpers = {
            "past": (english_be(thing, is_past=True), hindi.did("जा", thing.agreement)),
            "future": ("will be", hindi.will("जा", thing.agreement)),
            "habit": (be, f"{agree('जाता', thing.agreement)} {hindi.is_now(thing.agreement)}"),
        }
        tense = self._random.choice(("past", "past", "future", "habit"))
        helper, going = helpers[tense]
        time, when = self._actions.time(tense) if self._chance(0.25) else ("", "")
        no, denied = ("not", "नहीं") if self._chance(0.15) else ("", "")
        if tense == "future" and no:
            helper, no = "will not be", ""
        return Sentence(
            join(thing.english, helper, no, form(verb, PARTICIPLE), time),
            join(when, thing.direct, denied, done, going),
        )
