"""Whether a model may be judged on some data: not where it has learnt the answers.

Data sets of the catalogue are judged by name; a user's own files by their sha256, where the model was trained on them,
and by their texts, where it was trained on data sets that are on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from nlp_lstm.artifacts import ModelConfig
from nlp_lstm.data.catalogue import catalogue, find_at_hand
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.found import FoundData
from nlp_lstm.data.overlap import ProtectedPairs, ProtectedTexts, remove_pairs
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sides import data_of, held_out_sentences
from nlp_lstm.errors import DataError
from nlp_lstm.settings import parse_settings

_ADVICE = (
    "so its score would be too high; evaluate on other data, or force it with --allow-overlap (allow_overlap=True in "
    "Python)"
)


def check_name(name: str, config: ModelConfig) -> None:
    """Check a data set of the catalogue.

    Raises:
        DataError: it shares texts with what the model was trained on.
    """
    known = catalogue().data
    pool = known[name].shares_text if name in known else None
    if pool is None or name in config.kept_apart:
        return
    trained = (config.data, *config.also_trained_on)
    sharing = [other for other in trained if other != name and other in known and known[other].shares_text == pool]
    if sharing:
        raise DataError(f"{name} shares texts with {', '.join(sharing)}, which this model was trained on, {_ADVICE}")


def check_files(found: FoundData, split: str | None, config: ModelConfig) -> bool:
    """Check a user's own files, and return whether they are known to be held out, so that no text needs a look.

    Args:
        found: the files.
        split: which part is evaluated; None for a whole file.
        config: of the model.

    Raises:
        DataError: the model was trained on what is evaluated, and the user has not asked for the training part.
    """
    learnt = config.trained_files
    if not any(digest in learnt for digest in found.sha256.values()):
        return False
    for path in found.splits.get(split or "train") or found.splits.get("train", ()):
        kept_out = learnt.get(found.sha256[path.name])
        if kept_out is not None and split in (None, "dev", "test") and split not in kept_out:
            part = f"--split test evaluates the part of {path.name} that was kept out of training. " if kept_out else ""
            raise DataError(f"{part}This model was trained on {path.name}, {_ADVICE}")
    return True


def check_texts(texts: Sequence[str], config: ModelConfig) -> str:
    """Check the texts of a user's own files, and return what is to be said of data that they cannot be compared with.

    A text counts as learnt when `ProtectedTexts` finds it in the training part of a data set: the same, nearly the
    same, or 30 or more letters of it inside another one. What the run left out of training does not count, nor do
    phrases.

    Raises:
        DataError: some of them were learnt; says how many, and from which data set.
    """
    given = ProtectedTexts({text: [text] for text in texts})
    likes: dict[str, str | None] = {}  # training text to the given text like it; data sets share texts
    kept_apart: ProtectedTexts | None = None
    learnt: dict[str, set[str]] = {}
    missing = []
    for name in (config.data, *config.also_trained_on):
        found = find_at_hand(name) if name in catalogue().data else None
        if found is None:
            missing.append(name)
            continue
        training = found.read_texts(("train",))["train"]
        likes |= {text: given.find(text) for text in training if text not in likes}
        if kept_apart is None and any(likes.values()):
            kept_apart = _kept_apart(config.kept_apart)
        pairs = ((text, like) for text in training if (like := likes[text]) is not None)
        same = {like for text, like in pairs if kept_apart is None or kept_apart.find(text) is None}
        if same:
            learnt[name] = same
    if learnt:
        num_learnt = sum(any(text in same for same in learnt.values()) for text in texts)
        raise DataError(
            f"{num_learnt:,} of {len(texts):,} texts are also in {', '.join(learnt)}, which this model was trained on, "
            f"{_ADVICE}"
        )
    return _not_compared(missing)


def check_pairs(pairs: Sequence[ParallelExample], config: ModelConfig) -> str:
    """Check a user's own parallel texts, and return what is to be said of data that they cannot be compared with.

    A pair counts as learnt when a side of it equals that of a training pair, up to case, accents, punctuation and
    spaces. What the run left out of training does not count.

    Raises:
        DataError: some of them were learnt; says how many, and from which data set.
    """
    reading = parse_settings(ParallelSettings, config.reading, "config.json: reading")
    learnt: dict[str, list[ParallelExample]] = {}
    missing = []
    for name in (config.data, *config.also_trained_on):
        found = find_at_hand(name, reading) if name in catalogue().data else None
        if found is None:
            missing.append(name)
        else:
            learnt[name] = found.read_splits(("train",), reading)["train"]  # type: ignore[assignment]
    kept_apart = ProtectedPairs(
        {}, *(_sentences_apart(language, config) for language in (reading.source, reading.target))
    )
    learnt = {name: remove_pairs(training, kept_apart)[0] for name, training in learnt.items()}
    _, same = remove_pairs(pairs, ProtectedPairs(learnt))
    if same:
        raise DataError(
            f"a side of {same.total():,} of {len(pairs):,} pairs is also in {', '.join(same)}, which this model was "
            f"trained on, {_ADVICE}"
        )
    return _not_compared(missing)


def _not_compared(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    are = "it is" if len(missing) == 1 else "they are"
    return f"Not compared with {', '.join(missing)}, which this model was trained on: {are} not at hand."


def _sentences_apart(language: str, config: ModelConfig) -> dict[str, list[str]]:
    """What parallel texts on this machine hold out in a language, of those data sets that the run kept apart."""
    sentences = held_out_sentences(language)
    return {name: texts for name, texts in sentences.items() if data_of(name) in config.kept_apart}


def _kept_apart(names: Sequence[str]) -> ProtectedTexts:
    """The dev and test texts of those of the data sets that are on this machine."""
    protected = {}
    for name in names:
        found = find_at_hand(name) if name in catalogue().data else None
        for split, texts in found.read_texts(("dev", "test")).items() if found else ():
            protected[f"{name} {split}"] = texts
    return ProtectedTexts(protected)
