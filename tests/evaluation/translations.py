"""Translations for the tests of their scores: outputs made from references by dropping and swapping words."""

import random

from nlp_lstm.evaluation.translation import ScoredTranslation

PAIRS = [
    ("A dog runs across the green grass.", "Ein Hund rennt über das grüne Gras."),
    ("Two men are playing chess in the park.", "Zwei Männer spielen Schach im Park."),
    ("She's reading a book about birds, isn't she?", "Sie liest ein Buch über Vögel, nicht wahr?"),
    ("The little girl holds 3 red balloons.", "Das kleine Mädchen hält 3 rote Luftballons."),
    (
        "A man in a blue shirt is standing on a ladder cleaning a window.",
        "Ein Mann putzt auf einer Leiter ein Fenster.",
    ),
    ("Hello, Anna!", "Hallo, Anna!"),
    ("People wait for the bus.", "Leute warten auf den Bus."),
    ("An old woman sells fruit at the market every morning.", "Eine alte Frau verkauft jeden Morgen Obst am Markt."),
]


def translate(pairs, rate, seed=0):
    """Return the references with each word left out or moved with the given probability."""
    source = random.Random(seed)
    translations = []
    for text, reference in pairs:
        words = [word for word in reference.split() if source.random() >= rate]
        if source.random() < rate:
            source.shuffle(words)
        translations.append(ScoredTranslation(source=text, reference=reference, output=" ".join(words)))
    return translations
