"""Models as components of a spaCy pipeline, on spaCy's own tokens.

    nlp = spacy.blank("en")
    nlp.add_pipe("nlp_lstm_tagger")                                      token.pos_ and token.tag_
    nlp.add_pipe("nlp_lstm_sentiment", config={"model": "my_model"})     doc.cats

spaCy finds both by their entry points, so that nothing has to be imported. A component opens its model when the first
text comes. `to_disk` and `to_bytes` take the model folder along; what `from_disk` and `from_bytes` read is checked as
any model is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

from spacy.language import Language
from spacy.parts_of_speech import IDS as UNIVERSAL_TAGS
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.util import minibatch

from nlp_lstm.carried import CarriedModel
from nlp_lstm.errors import ConfigError, shorten
from nlp_lstm.inference.engines import EngineName
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.text.tokenize import Tokenizer

UNIVERSAL_COLUMN = "upos"
SPACE_POS, SPACE_TAG = "SPACE", "_SP"  # what spaCy's own pipelines give to white space


class ModelComponent(Pipe):
    """A component that writes a model's answers into documents.

    Args:
        name: of the component in its pipeline.
        model: a task, a model name or a model folder.
        engine: what runs the network.
    """

    task: ClassVar[str]

    def __init__(self, name: str, model: str | Path, engine: EngineName = "auto") -> None:
        self.name = name
        self._carried = CarriedModel(model, engine)
        self._checked: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The open model.

        Raises:
            ConfigError: it is of another task.
            NotTrainedError: there is none of that name.
            CheckpointError: it is damaged.
        """
        pipeline = self._carried.pipeline
        if pipeline is not self._checked:
            if pipeline.predictor.name != self.task:
                raise ConfigError(
                    f'{self.name}: the model {pipeline.folder} is of the task "{pipeline.predictor.name}"; give one of '
                    f'"{self.task}"'
                )
            self._check(pipeline)
            self._checked = pipeline
        return pipeline

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one document in place and return it."""
        try:
            self._annotate([doc])
        except Exception as error:  # noqa: BLE001  (spaCy's contract: what to do with it is the caller's choice)
            self.get_error_handler()(self.name, self, [doc], error)
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate documents, ``batch_size`` of them at a time, and yield them in their order."""
        for docs in minibatch(stream, size=batch_size):
            try:
                self._annotate(docs)
            except Exception as error:  # noqa: BLE001
                self.get_error_handler()(self.name, self, docs, error)
            else:
                yield from docs

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Copy the model folder to ``path``."""
        self._carried.save(Path(path))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> ModelComponent:
        """Take the model folder at ``path``.

        Raises:
            CheckpointError: it is damaged or no model.
            ConfigError: it is of another task.
        """
        return self._take(CarriedModel(Path(path), self._carried.engine))

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the files of the model folder as one archive."""
        return self._carried.to_bytes()

    def from_bytes(self, content: bytes, *, exclude: Iterable[str] = ()) -> ModelComponent:
        """Take the model from what `to_bytes` gave.

        Raises:
            CheckpointError: the bytes are no model, or a damaged one.
            ConfigError: it is of another task.
        """
        return self._take(CarriedModel.from_bytes(content, self._carried.engine))

    def _take(self, carried: CarriedModel) -> ModelComponent:
        self._carried = carried
        _ = self.pipeline  # opened, and so checked, now
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._restore, (self.name, self._carried)

    @classmethod
    def _restore(cls, name: str, carried: CarriedModel) -> ModelComponent:
        component = cls(name, carried.name_or_path, carried.engine)
        component._carried = carried
        return component

    @abstractmethod
    def _check(self, pipeline: Pipeline) -> None:
        """Refuse models whose answers have no place in a document."""

    @abstractmethod
    def _annotate(self, docs: Sequence[Doc]) -> None:
        """Write the answers into the documents."""


class TaggerComponent(ModelComponent):
    """Sets ``token.pos_`` and ``token.tag_``.

    A model's column upos becomes ``pos_``, and its first other column ``tag_``. Sentences are those of the document
    where a component before this one has set them; else they are found as `Pipeline` finds them, and not set. White
    space, which spaCy has tokens for, is SPACE and _SP, as in spaCy's own pipelines.
    """

    task: ClassVar[str] = "pos"
    _tokenizer: Tokenizer | None = None

    def _check(self, pipeline: Pipeline) -> None:
        labels = pipeline.predictor.labels.get(UNIVERSAL_COLUMN)  # type: ignore[attr-defined]
        unknown = [label for label in (labels.tokens if labels else ()) if label not in UNIVERSAL_TAGS]
        if unknown:
            raise ConfigError(
                f"{self.name}: spaCy knows no universal tag {shorten(', '.join(unknown))} for token.pos_; train the "
                f"model {pipeline.folder} on a column of another name than {UNIVERSAL_COLUMN}"
            )

    def _annotate(self, docs: Sequence[Doc]) -> None:
        pipeline = self.pipeline
        columns: Sequence[str] = tuple(pipeline.predictor.labels)  # type: ignore[attr-defined]
        column = UNIVERSAL_COLUMN if UNIVERSAL_COLUMN in columns else columns[0]
        other = next((name for name in columns if name != column), None)
        sentences = [self._sentences(doc, pipeline.language) for doc in docs]
        answers = iter(
            pipeline.predict([words for of_doc in sentences for words in of_doc], pretokenized=True, label=column)
        )
        for doc, of_doc in zip(docs, sentences, strict=True):
            tags = chain.from_iterable(islice(answers, len(of_doc)))
            for token in doc:
                if token.is_space:
                    token.pos_, token.tag_ = SPACE_POS, SPACE_TAG
                    continue
                tag = next(tags)
                if column == UNIVERSAL_COLUMN:
                    token.pos_ = tag["entity"]
                    if other is not None:
                        token.tag_ = tag[other]
                else:
                    token.tag_ = tag["entity"]

    def _sentences(self, doc: Doc, language: str) -> list[list[str]]:
        """Return the words of each sentence, without white space."""
        if doc.has_annotation("SENT_START"):
            sentences = ([token.text for token in sentence if not token.is_space] for sentence in doc.sents)
            return [words for words in sentences if words]
        if self._tokenizer is None or self._tokenizer.language != language:
            self._tokenizer = Tokenizer(language)
        found = self._tokenizer.group(doc.text, [token.text for token in doc], [token.idx for token in doc])
        return [sentence.words for sentence in found]


class SentimentComponent(ModelComponent):
    """Sets ``doc.cats``: each label of a classifier with its probability. Labels that are there already stay."""

    task: ClassVar[str] = "sentiment"

    def _check(self, pipeline: Pipeline) -> None:
        pass

    def _annotate(self, docs: Sequence[Doc]) -> None:
        texts = [[token.text for token in doc if not token.is_space] for doc in docs]
        for doc, labels in zip(docs, self.pipeline.predict(texts, pretokenized=True, top_k=None), strict=True):
            doc.cats = {**doc.cats, **{label["label"]: label["score"] for label in labels}}


@Language.factory(
    "nlp_lstm_tagger", assigns=["token.pos", "token.tag"], default_config={"model": "pos-en", "engine": "auto"}
)
def make_tagger(nlp: Language, name: str, model: str, engine: EngineName) -> TaggerComponent:
    """Return the component `nlp_lstm_tagger`."""
    return TaggerComponent(name, model, engine)


@Language.factory(
    "nlp_lstm_sentiment", assigns=["doc.cats"], default_config={"model": "sentiment-en", "engine": "auto"}
)
def make_sentiment(nlp: Language, name: str, model: str, engine: EngineName) -> SentimentComponent:
    """Return the component `nlp_lstm_sentiment`."""
    return SentimentComponent(name, model, engine)
