"""The Brown corpus tag set, without its marks and compounds, and brought down to twelve universal tags.

The table follows the published Brown mapping of Petrov, Das and McDonald, "A Universal Part-of-Speech Tagset",
LREC 2012, with one difference: a contraction that the corpus keeps as one token (``I'm``, tagged ``ppss+bem``)
takes the class of its first part (PRON), where the published table has PRT. What that table calls ``DET`` takes in
possessives (``my``), ``ADP`` subordinators (``that``, ``because``), ``NOUN`` indefinite pronouns (``nothing``), and
``PRT`` infinitival ``to``, existential ``there``, interjections, and predeterminers (``all``, ``half``, ``such``).
"""

from __future__ import annotations

_CLASSES = {
    "VERB": "be bed bedz beg bem ben ber bez do dod doz hv hvd hvg hvn hvz md vb vbd vbg vbn vbz",
    "NOUN": "nn nn$ nns nns$ np np$ nps nps$ nr nr$ nrs pn pn$ cd$",
    "PRON": "pp$$ ppl ppls ppo pps ppss wpo wps",
    "ADJ": "ap jj jj$ jjr jjs jjt od",
    "ADV": "* ql qlp rb rb$ rbr rbt rn wql wrb",
    "ADP": "in cs",
    "CONJ": "cc",
    "DET": "abx at dt dt$ dti dts dtx pp$ wdt wp$",
    "NUM": "cd",
    "PRT": "abl abn ap$ ex rp to uh",
    "X": "nil",
    ".": "( ) , -- . : ' `` ''",
}

UNIVERSAL_TAGS = tuple(_CLASSES)
"""The twelve universal tags; ``.`` is punctuation and ``X`` what has no class of its own."""

UNIVERSAL = {tag: universal for universal, tags in _CLASSES.items() for tag in tags.split()}
"""Brown's own tags, without marks and compounds, to the universal ones."""

_SUFFIXES = ("-tl", "-hl", "-nc")


def plain_tag(brown_tag: str) -> str | None:
    """Return the tag of the word itself (one of 92), or None when the tag is not one of Brown's.

    The rules, in order: a foreign word (``fw-nn``) is what it would be in English; a compound is its first part
    (``ppss+bem`` is ``ppss``); the marks for titles, headlines and cited words (``-tl``, ``-hl``, ``-nc``) say
    nothing about the class and go; a fused negation goes (``md*`` is ``md``, while ``*`` alone is the adverb "not").
    """
    tag = brown_tag.lower()
    tag = tag.removeprefix("fw-").split("+", 1)[0]
    while tag.endswith(_SUFFIXES):
        tag = tag[:-3]
    if len(tag) > 1:
        tag = tag.removesuffix("*")
    return tag if tag in UNIVERSAL else None
