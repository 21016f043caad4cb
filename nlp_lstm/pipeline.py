"""Using a model: text in, plain results out.

Nothing here needs torch, which takes seconds to import, until the engine torch does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nlp_lstm.artifacts import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    copy_model,
    existing_folder,
    find_model,
    list_models,
    read_config,
)
from nlp_lstm.errors import ConfigError, DataError, nearest_hint, shorten
from nlp_lstm.inference.engines import CompiledEngine, Engine, EngineName, GraphEngine, OnnxEngine, choose_engine
from nlp_lstm.paths import model_roots
from nlp_lstm.stored import count_weights, read_header
from nlp_lstm.tasks.predictor import Predictor, tasks
from nlp_lstm.text.tokenize import Tokenizer, check_text

if TYPE_CHECKING:
    import torch

    from nlp_lstm.evaluation.report import Report
    from nlp_lstm.inference.torch_engine import TorchEngine
    from nlp_lstm.tasks import LanguageTask, Task

Answer: TypeAlias = "tuple[int, Any, Any]"
"""The position of a text among the inputs, one of its examples, and that one's prediction."""

TEXTS_AT_A_TIME = 256  # of a lazy iterable
EXAMPLES_AT_A_TIME = 2_048  # sentences whose batches are sorted by length together
PRECISIONS = ("fp32", "bf16", "int8")
_SAME_MODEL = {"generate": "lm"}  # a use that has another task's model
_WRITERS = ("lm", "topics")  # tasks whose models score and write text


class Pipeline:
    """A task with a trained model.

    Args:
        name_or_path: a task ("pos", for its bundled model), a model name ("pos-en"), or a model folder.
        language: language code of the texts, which chooses the task's model, default "en"; a model's own language
            wins. A translator is chosen by ``source`` and ``target`` instead.
        source: of "translate", the language of the texts; default "en".
        target: of "translate", the language of their translations; default "de", from English, else "en".
        engine: what runs the network: "torch", the reference; for models that carry a graph (`nlp-lstm export` writes
            it) "onnx", which is faster, and for LSTMs that tag or classify "compiled", which is faster still and which
            the machine's own C compiler builds when it is first asked for; "auto" takes onnx where it can. Answers are
            the same within 1e-5.
        device: "auto" or "cpu", or any other torch device.
        precision: "fp32" is exact; "int8", of the engine "compiled", and "bf16", of torch, are faster where the
            processor has them, and equal on nearly all tokens.
        batch_tokens: tokens per batch, padding included; results do not depend on it.
        together_with: further models of the same task and vocabularies, by name or folder, such as those of other
            seeds; all of them answer together.

    Raises:
        NotTrainedError: no such model; the message names the command that makes one.
        CheckpointError: the model folder is damaged.
        ConfigError: an option is not known.

    Example:
        >>> tagger = Pipeline("pos")
        >>> [token["entity"] for token in tagger.predict("Dogs bark.")]
        ['NOUN', 'VERB', 'PUNCT']
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        language: str | None = None,
        source: str | None = None,
        target: str | None = None,
        engine: EngineName = "auto",
        device: str = "auto",
        precision: Literal["fp32", "bf16", "int8"] = "fp32",
        batch_tokens: int | None = None,
        together_with: Sequence[str | Path] = (),
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f'precision is "{precision}"; known: {", ".join(PRECISIONS)}')
        if batch_tokens is not None and (not isinstance(batch_tokens, int) or batch_tokens < 1):
            raise ConfigError(f"batch_tokens is {shorten(batch_tokens)}; give a whole number of at least 1")
        self.folder = find_folder(name_or_path, language=language, source=source, target=target)
        self._others = [find_folder(other, language=language) for other in together_with]
        self._precision, self._device = precision, device
        chosen = choose_engine(
            engine, read_config(self.folder), precision=precision, device=device, num_models=1 + len(self._others)
        )
        self._engine: Engine
        if chosen == "compiled":
            self._engine = CompiledEngine.open(self.folder, precision=precision)
        else:
            self._engine = OnnxEngine.open(self.folder) if chosen == "onnx" else self._torch
        self._config = self._engine.config
        self._configs = self._torch.configs if chosen == "torch" else [self._config]
        self.language = self._config.language
        self._batch_tokens = batch_tokens or 2_000
        self._tokenizer: Tokenizer | None = None

    @property
    def predictor(self) -> Predictor:
        """What reads texts and words results; with the engine torch the task itself."""
        return self._engine.predictor

    @property
    def task(self) -> Task:
        """The task, which evaluates and trains."""
        return self._torch.task

    @property
    def can_score(self) -> bool:
        """Whether the model is a language model, which scores texts."""
        return self.predictor.name in _WRITERS

    @property
    def _model(self) -> torch.nn.Module:
        return self._torch.model

    @cached_property
    def _torch(self) -> TorchEngine:
        """The reference engine; beside another one it is opened when something needs it."""
        from nlp_lstm.inference.torch_engine import TorchEngine

        precision = "fp32" if self._precision == "int8" else self._precision  # beside the compiled engine
        return TorchEngine(self.folder, precision=precision, device=self._device, together_with=self._others)

    @classmethod
    def train(
        cls,
        recipe: str = "pos",
        *,
        data: str | Path | None = None,
        output: str | Path | None = None,
        **overrides: Any,
    ) -> Pipeline:
        """Train a model and return its pipeline.

        Args:
            recipe: a bundled recipe's name or a YAML file.
            data: your own file or folder, instead of the recipe's data sets.
            output: the run's folder; default the next free one in ``runs``.
            overrides: changes to the recipe by dotted key, as in ``**{"model.hidden": 128}``.
        """
        from nlp_lstm.recipes import load_recipe
        from nlp_lstm.run_folders import new_run_folder
        from nlp_lstm.runs import run_recipe

        settings = load_recipe(recipe, overrides)
        folder = Path(output) if output is not None else new_run_folder(Path("runs"), settings.task)
        result = run_recipe(settings, folder, data=Path(data) if data is not None else None)
        return cls(result.model_folder)

    def predict(self, inputs: Any, *, pretokenized: bool = False, **options: Any) -> Any:
        """Return the results for one or many texts.

        Args:
            inputs: a string gives one result, a list a list of results, any other iterable a lazy iterator that
                keeps the order. With ``pretokenized`` a text is a list of tokens, so one text is a list of strings
                and many texts are a list of such lists. A series of numbers is a table: its path, a dictionary of
                columns, or an array with a row a step.
            pretokenized: whether the texts come as lists of tokens.
            options: what the task knows besides, such as ``label="xpos"``.

        Raises:
            DataError: an input is not text; names its index. Nothing has been computed then, unless the inputs
                come from an iterator.
            ConfigError: an option is not known.
        """
        self._check_options(options)
        if self.predictor.is_one(inputs, is_pretokenized=pretokenized):
            self._check_item(inputs, pretokenized, options, "input")
            return next(self._results([inputs], pretokenized, options))
        if isinstance(inputs, (list, tuple)):
            for index, item in enumerate(inputs):
                self._check_item(item, pretokenized, options, f"input {index}")
            return list(self._results(inputs, pretokenized, options))
        chunks = self._checked_chunks(inputs, pretokenized, options)
        return chain.from_iterable(self._results(chunk, pretokenized, options) for chunk in chunks)

    def check(self, item: Any, where: str = "input", *, pretokenized: bool = False, **options: Any) -> None:
        """Check one input, as `predict` does before any work is done.

        Args:
            item: the input.
            where: what messages call it.
            pretokenized: whether it is a list of tokens.
            options: those of `predict`, which `predict` checks.

        Raises:
            DataError: it is no input of this task, or the options cannot be kept for it.
        """
        self._check_item(item, pretokenized, options, where)

    def predict_lines(self, texts: Iterable[Any], *, pretokenized: bool = False, **options: Any) -> Iterator[str]:
        """Yield the result for each text as one line, lazily and in order: a translation, a label, or tagged words.

        Raises:
            DataError: a text is not text; names its index.
            ConfigError: an option is not known, or its results are more than a line.
        """
        for result in self.predict(iter(texts), pretokenized=pretokenized, **options):
            yield " ".join(self.predictor.as_line(result).splitlines())

    def predict_conllu(self, texts: Iterable[Any], *, pretokenized: bool = False) -> Iterator[str]:
        """Yield the sentences of each text as CoNLL-U, lazily.

        Raises:
            DataError: a text is not text; names its index.
            ConfigError: the task is not tagging.
        """
        from nlp_lstm.data.writers import format_conllu

        if self.predictor.name != "pos":
            name = self.predictor.name
            raise ConfigError(f"CoNLL-U is for tagging; the task {name} has one answer per text, use predict")
        for chunk in self._checked_chunks(texts, pretokenized, {}):
            for _, example, prediction in self._answers(chunk, pretokenized, {}):
                yield format_conllu(example.document, prediction.labels)

    def score(self, texts: Any) -> Any:
        """Return how probable each token of a text is after those before it, in nats, and the text's perplexity.

        Args:
            texts: a string gives one result, a list a list of results.

        Raises:
            ConfigError: the task is no language model.
            DataError: an input is not text; names its index.
        """
        task = self._language_task()
        if isinstance(texts, str):
            texts, is_single = [texts], True
        elif isinstance(texts, (list, tuple)):
            is_single = False
        else:
            raise DataError(f"input is {shorten(texts)} ({type(texts).__name__}); give a string or a list of strings")
        for index, text in enumerate(texts):
            check_text(text, "input" if is_single else f"input {index}")
        results = [task.score_text(self._model, text, self._own_tokenizer()) for text in texts]
        return results[0] if is_single else results

    def stream(self, given: str | Iterable[str] = "", **options: Any) -> Iterator[Any]:
        """Read a text that comes piece by piece and may never end; or, of one string, write on from it.

        What is read is answered as it comes, in memory that does not grow. Put together, the answers are those for the
        whole text, wherever the pieces end, unless a sentence or a word goes on for more than 50,000 characters:

        tagging
            One dictionary a token, those of `predict`, each sentence when the first word of the next one or a blank
            line has come. In sentences of more than 512 tokens none waits for more than 576 others.
        classification
            For each sentence the answer of `predict` for the text that ends with it: the last sentences, of at most
            ``window`` words together, 200 where nothing else is said. ``start`` and ``end`` say which text that is. Of
            a sentence of more words each part of that many has an answer.
        language models
            One dictionary a token, those of `score`, each when the white space behind it has come. The states are
            carried on, so that a token is judged after all before it.

        Given a string, a language model yields what it writes on it, piece by piece as it is written.

        Args:
            given: the pieces, such as an open file; or the beginning of a text that is to be written on. The beginning
                is not part of what is yielded.
            options: ``label`` of tagging; ``window`` and ``top_k`` of classification; where text is written those of
                `predict`.

        Raises:
            ConfigError: the task reads no streams, or an option is not known.
            DataError: a piece is no text; names its index.
        """
        if isinstance(given, str) and self.predictor.name in _WRITERS:
            self._check_alone()
            self._check_options(options)
            prompt = self._own_tokenizer().tokenize(check_text(given, "prompt"))
            from nlp_lstm.tasks.language_answers import LanguagePredictor

            if isinstance(self._engine, GraphEngine) and isinstance(self.predictor, LanguagePredictor):
                return self.predictor.stream_on(self.predictor.reader(self._engine.run), prompt, options)
            return self._language_task().stream(self._model, prompt, **options)
        from nlp_lstm.inference.streams import STREAM_OPTIONS, stream_labels, stream_tags

        name = self.predictor.name
        if name not in STREAM_OPTIONS:
            raise ConfigError(f"the task {name} reads no streams; those that do are {', '.join(STREAM_OPTIONS)}")
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise DataError(
                f"a stream is {shorten(given)} ({type(given).__name__}); give the pieces of a text one after the "
                "other, such as an open file, or use predict"
            )
        for option in options:
            if option not in STREAM_OPTIONS[name]:
                known = ", ".join(STREAM_OPTIONS[name]) or "none"
                raise ConfigError(f'unknown option "{option}" for a stream of the task {name}; known: {known}')
        if name == "lm":
            return self._language_task().score_pieces(self._model, given, self._own_tokenizer())
        stream = stream_tags if name == "pos" else stream_labels
        self.predictor.check_options(**{key: value for key, value in options.items() if key != "window"})
        return stream(self.predictor, self._predict_examples, self._own_tokenizer(), given, **options)

    def _own_tokenizer(self) -> Tokenizer:
        """The tokenizer of the model's language, made once."""
        self._tokenizer = self._tokenizer or Tokenizer(self.language)
        return self._tokenizer

    def _language_task(self) -> LanguageTask:
        if self.predictor.name in _WRITERS:
            from nlp_lstm.tasks import LanguageTask

            self._check_alone()
            if isinstance(self.task, LanguageTask):
                return self.task
        raise ConfigError(f"the task {self.predictor.name} neither scores nor writes text; open a language model")

    def _check_alone(self) -> None:
        if self._others:
            raise ConfigError("several language models are evaluated together, but score and write alone; open one")

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        split: str | None = None,
        reading: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        allow_overlap: bool = False,
    ) -> Report:
        """Evaluate on labelled data.

        Args:
            data: a file, a folder, or the name of a data set; default the data set that the model was trained on.
            split: "train", "dev" or "test"; default "test" of a data set or folder, and the whole of a single file. Of
                a single file it is the part that a run on it would take, by the hash of each text.
            reading: how the data is read, such as ``{"text": "review"}``; default as in training.
            options: those of `predict` that decide what is predicted, such as ``{"num_beams": 1}``.
            allow_overlap: evaluate even where the model was trained on some of these texts.

        Raises:
            ConfigError: no data was given, and the model was trained on files of one's own; or ``reading`` or
                ``options`` have faults.
            DataError: the data cannot be read, has none of the model's labels, or shares texts with the training data.
        """
        from nlp_lstm.data.catalogue import catalogue
        from nlp_lstm.held_out import check_files, check_name, check_pairs, check_texts
        from nlp_lstm.reading_data import check_kind, find_named, open_own, read_files, read_split
        from nlp_lstm.settings import parse_settings

        self._check_options(dict(options or {}), besides=())
        if options and self.can_score:
            raise ConfigError("evaluating a language model scores texts, which has no options; leave them out")
        if data is None and self._config.data not in catalogue().data:
            raise ConfigError(f'this model was trained on "{self._config.data}", a file of one\'s own; give the data')
        path = Path(data if data is not None else self._config.data)
        settings = parse_settings(self.task.reading_type, {**self._config.reading, **(reading or {})}, "reading")
        kind, note = self.task.data_kind, ""
        if path.exists():
            found = open_own(path, kind, settings)
            split = split or (None if path.is_file() else "test")
            held_out = [allow_overlap or check_files(found, split, config) for config in self._configs]
            if split is None:
                examples = read_files(found.splits["train"], kind, settings, self.language)
            else:
                examples = read_split(found, split, settings, self.language)
            if not all(held_out) and kind == "labelled":
                texts = [example.document.text for example in examples]
                note = " ".join(dict.fromkeys(check_texts(texts, config) for config in self._configs))
            elif not all(held_out) and kind == "parallel":
                note = " ".join(dict.fromkeys(check_pairs(examples, config) for config in self._configs))
        else:
            found, split = find_named([str(path)], settings), split or "test"
            check_kind(found, self.task.name, settings)
            for config in self._configs if not allow_overlap else ():
                check_name(found.name, config)
            examples = read_split(found, split, settings, self.language)
        source = found.name + (f", {split} split" if split else "")
        predictions = self._predict_examples(examples, options or None)
        who = f"{len(self._configs)} models together" if self._others else f"model {self.folder.name}"
        report = self.task.report(examples, predictions, title=f"{self.task.title}: {source}", subtitle=who)
        examined = self.task.examine(self._model, examples, predictions) if not self._others else []
        lead = " ".join(filter(None, (report.lead, note)))
        return dataclasses.replace(report, lead=lead, sections=[*report.sections, *examined])

    def save(self, folder: str | Path) -> None:
        """Copy the model folder, all of it or nothing.

        Raises:
            ConfigError: the folder exists and holds anything but a model, so it is not replaced; or it lies in this
                pipeline's own folder.
        """
        copy_model(self.folder, Path(folder))

    @property
    def info(self) -> dict[str, Any]:
        """What model this is: task, language, engine, precisions, folder name, how many weights are stored."""
        return {
            "task": self.predictor.name,
            "language": self.language,
            "engine": self._engine.name,
            "precision": self._precision,
            "trained_on": self._config.data,
            "model": self.folder.name,
            "stored_precision": self._config.precision,
            "num_parameters": count_weights(read_header(self.folder / WEIGHTS_NAME)),
            "num_bytes": sum(path.stat().st_size for path in self.folder.iterdir()),
        }

    def _check_options(self, options: dict[str, Any], besides: Sequence[str] = ("pretokenized",)) -> None:
        known = (*besides, *self.predictor.option_names)
        for name in options:
            if name not in known:
                names = ", ".join(known) or "none"
                raise ConfigError(
                    f'unknown option "{name}" for the task {self.predictor.name}; known options: {names}.'
                    + nearest_hint(name, known)
                )
        self.predictor.check_options(**options)

    def _checked_chunks(self, texts: Iterable[Any], pretokenized: bool, options: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield the texts some hundreds at a time, each checked."""
        iterator = enumerate(texts)
        while numbered := list(islice(iterator, TEXTS_AT_A_TIME)):
            for index, item in numbered:
                self._check_item(item, pretokenized, options, f"input {index}")
            yield [item for _, item in numbered]

    def _check_item(self, item: Any, pretokenized: bool, options: dict[str, Any], where: str) -> None:
        """Check one input before any work is done."""
        self.predictor.check_input(item, where, is_pretokenized=pretokenized)
        self.predictor.check_text(item, where, **options)

    def _results(self, texts: Sequence[Any], pretokenized: bool, options: dict[str, Any]) -> Iterator[Any]:
        """Yield one result per text, in order."""
        groups = groupby(
            self._answers(texts, pretokenized, options), key=itemgetter(0)
        )  # lazy: a text's answers are not held
        upcoming = next(groups, None)
        for position in range(len(texts)):
            if upcoming is not None and upcoming[0] == position:
                yield self.predictor.format(((example, answer) for _, example, answer in upcoming[1]), **options)
                upcoming = next(groups, None)
            else:  # a text without sentences
                yield self.predictor.format([], **options)

    def _answers(self, texts: Sequence[Any], pretokenized: bool, options: dict[str, Any]) -> Iterator[Answer]:
        """Yield the examples of all texts in order, each with its text's position and its prediction.

        Examples are read and predicted some thousands at a time, across texts, so that memory stays bounded.
        """
        if self._tokenizer is None and not pretokenized and self.predictor.needs_tokenizer:
            self._tokenizer = Tokenizer(self.language)
        examples = (
            (position, example)
            for position, text in enumerate(texts)
            for example in self.predictor.read_text(text, self._tokenizer, is_pretokenized=pretokenized)
        )
        while some := list(islice(examples, EXAMPLES_AT_A_TIME)):
            predictions = self._predict_examples([example for _, example in some], options)
            for (position, example), prediction in zip(some, predictions, strict=True):
                yield position, example, prediction

    def _predict_examples(self, examples: Sequence[Any], options: Mapping[str, Any] | None = None) -> list[Any]:
        needs_torch = any((options or {}).get(name) for name in self.predictor.gradient_options)
        if options is None and self.predictor.name in _WRITERS:  # a text is scored, and not written on
            needs_torch = True
        engine = self._torch if needs_torch else self._engine
        return engine.predict(examples, batch_tokens=self._batch_tokens, options=options)


def find_folder(
    name_or_path: str | Path, *, language: str | None = None, source: str | None = None, target: str | None = None
) -> Path:
    """Return the model folder that `Pipeline` opens for the same arguments.

    Raises:
        NotTrainedError: there is none; the message names the command that makes one.
        ConfigError: no task and no model has that name.
    """
    return _locate(name_or_path, _languages(name_or_path, language, source, target))


def _languages(name: str | Path, language: str | None, source: str | None, target: str | None) -> str:
    """What follows a task's name in that of its model: a language, or for a translator a pair.

    Raises:
        ConfigError: a pair for what is no translator, or one language for a translator.
    """
    if name == "translate":
        if language is not None:
            raise ConfigError(
                f'language is "{language}", but a translator has two; say source= and target=, as in '
                'Pipeline("translate", source="en", target="de"), or --source and --target'
            )
        source = source or "en"
        return f"{source}-{target or ('de' if source == 'en' else 'en')}"
    if source is not None or target is not None:
        raise ConfigError(f'source and target choose among the models of "translate"; leave them out for {name}')
    return language or "en"


def _locate(name_or_path: str | Path, language: str) -> Path:
    """Find the model folder of a task, a model name or a path."""
    path = existing_folder(Path(name_or_path))
    if isinstance(name_or_path, Path) or (path / CONFIG_NAME).is_file() or len(path.parts) > 1:
        return path
    name = _SAME_MODEL.get(str(name_or_path), str(name_or_path))
    if name in tasks:
        name = f"{name}-{language}"
    roots = model_roots()
    known = {found for found, _, _ in list_models(roots)}
    if name not in known and name.partition("-")[0] not in tasks:
        raise ConfigError(
            f'unknown task or model "{name}"; known tasks: {", ".join(tasks)}; known models: '
            f"{', '.join(sorted(known)) or 'none'}.{nearest_hint(name, {*tasks, *known})}"
        )
    return find_model(name, roots=roots, advice=lambda: _how_to_train(name))


def _how_to_train(name: str) -> str:
    """Say how to make the model ``<task>-<language>``; the bundled recipe makes one language's only."""
    from nlp_lstm.recipes import list_recipes, load_recipe

    task, _, rest = name.partition("-")
    language, _, target = rest.partition("-")
    if task not in list_recipes():
        return "Give the path of a model folder"
    then = f'then open its folder, as in Pipeline("runs/{task}/model")'
    if task == "translate":
        pair = f" reading.source={language} reading.target={target}" if target else ""
        return f"Train one with `nlp-lstm run translate{pair}`, {then}"
    own = load_recipe(task).language
    if language in ("", own):
        return f"Train one with `nlp-lstm run {task}`, {then}"
    return (
        f'The recipe {task} is for "{own}"; for "{language}" train on data of your own with `nlp-lstm run {task} '
        f"language={language} model.embedding.vectors=null --data PATH`, {then}"
    )
