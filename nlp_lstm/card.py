"""The model card: what a model is, where it comes from, how good it is, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_lstm.beginnings import EarlierModel
from nlp_lstm.data.catalogue import FoundData, catalogue
from nlp_lstm.evaluation.report import Figure, Report
from nlp_lstm.evaluation.significance import MeanAndSpread
from nlp_lstm.recipes import model_name, recipe_yaml
from nlp_lstm.run_data import RunData
from nlp_lstm.tasks import Task
from nlp_lstm.training import TrainingResult
from nlp_lstm.workshop import Workshop

_PRECISIONS = {
    "fp32": "32-bit floating point",
    "fp16": "16-bit floating point for matrices",
    "int8": "8-bit integers with one scale per row for matrices, 32-bit floating point for the rest",
}
_TABLE_HEAD = "| data | measure | value | 95 % interval | n |\n| --- | --- | --- | --- | --- |\n"


def model_card(
    workshop: Workshop,
    task: Task,
    report: Report,
    others: Mapping[str, Sequence[Figure]],
    result: TrainingResult,
    commit: str,
) -> str:
    """Return the card as Markdown. What is not known is left out.

    Args:
        workshop: how the model was made and from what.
        task: what it solves.
        report: the evaluation of the stored weights on that data's test split.
        others: figures on data never trained on.
        result: of the training.
        commit: of the code that trained it.
    """
    recipe, data = workshop.recipe, workshop.data
    found = data.found
    scores = [_score_row(f"{found.name} test", figure) for figure in report.figures]
    scores += [_score_row(f"{name} test", figure) for name, figures in others.items() for figure in figures]
    materials = [_material(source) for source in data.sources]
    materials += [f"- word vectors {of.name}: {of.licence or 'licence not known'}" for of in workshop.vectors]
    materials += [_earlier(model) for model in workshop.earlier]
    lines = [
        f"# {model_name(recipe)}",
        "",
        f"{task.title}, language `{recipe.language}`: a recurrent network, made by `nlp-lstm run` with the recipe "
        "below.",
        "",
        *_TABLE_HEAD.splitlines(),
        *scores,
        "",
        "The figures are those of the stored weights, computed in fp32. Intervals are bootstrap intervals over "
        "the texts (of series over the blocks that the report names), of one model; they do not contain the spread "
        "between training runs.",
        "",
        "## Made from",
        "",
        *materials,
        "",
        *_kept_apart(data),
        f"Trained in {result.seconds / 60:.1f} minutes: {result.tokens:,} tokens seen, over and over, of "
        f"{len(data.training):,} examples; code at commit `{commit}`. "
        f"The weights are stored as {_PRECISIONS[recipe.precision]}.",
        "",
        "## Use",
        "",
        task.intended_use,
        "",
        "## Known failures",
        "",
        task.known_failures,
        "",
        "## Recipe",
        "",
        "```yaml",
        recipe_yaml(recipe).rstrip(),
        "```",
        "",
        "Sizes and sha256 checksums of the files are in `config.json`.",
    ]
    return "\n".join(lines) + "\n"


def add_spread(
    card: str,
    figures: Sequence[Figure],
    scores: Mapping[str, MeanAndSpread],
    num_runs: int,
    together: Sequence[Figure] = (),
) -> str:
    """Return a card with the means over several training runs put behind its scores.

    Args:
        card: of the run whose development score is the median.
        figures: of that run, which say what is shown in percent.
        scores: mean and standard deviation of each measure on the same test data.
        num_runs: how many runs, which differ in their seed.
        together: the figures of all their models as an ensemble; none where they cannot answer together.
    """
    rows = [
        f"| {figure.name} | {100 * of.mean:.2f} % | {100 * (of.spread or 0):.2f} |"
        if figure.is_share
        else f"| {figure.name} | {of.mean:,.{figure.decimals}f} | {of.spread or 0:,.{figure.decimals}f} |"
        for figure in figures
        if (of := scores.get(figure.name))
    ]
    lines = [
        "## Spread over training runs",
        "",
        f"The same recipe with {num_runs} seeds, same data and measures. The model here is the one whose development "
        "score is the median.",
        "",
        "| measure | mean | standard deviation (points of percent for shares) |",
        "| --- | --- | --- |",
        *rows,
        "",
        *([f"All {num_runs} models together: {_listed(together)}.", ""] if together else []),
        "## Made from",
    ]
    return card.replace("## Made from", "\n".join(lines), 1)


def joined_card(
    card: str, figures: Sequence[Figure], data: str, scores: Mapping[str, MeanAndSpread], num_runs: int
) -> str:
    """Return the card of the model that joins those of several training runs.

    Args:
        card: of one of them.
        figures: of the joined model.
        data: the data set whose test split they are of.
        scores: mean and standard deviation of each measure of the models alone.
        num_runs: how many.
    """
    head, _, rest = card.partition(_TABLE_HEAD)
    after = rest.partition("\n\n")[2]
    rows = [_score_row(f"{data} test", figure) for figure in figures]
    told = (
        f"## Networks side by side\n\nThe networks of {num_runs} training runs, which differ in their seed alone, and "
        "whose mean probability decides. "
    )
    first = next((figure for figure in figures if figure.name in scores), None)
    if first is not None and first.is_share:
        of = scores[first.name]
        told += (
            f"Alone they have {first.name} {100 * of.mean:.2f} % (standard deviation {100 * (of.spread or 0):.2f}). "
        )
    told += "What is said below of training is said of one of them.\n\n"
    return head + _TABLE_HEAD + "\n".join(rows) + "\n\n" + after.replace("## Made from", told + "## Made from", 1)


def _listed(figures: Sequence[Figure]) -> str:
    return ", ".join(f"{figure.name} {figure.display}" for figure in figures)


def _kept_apart(data: RunData) -> list[str]:
    if not data.removed:
        return []
    num_removed = sum(counts.total() for counts in data.removed.values())
    return [
        f"{num_removed:,} training texts that are also in the dev or test part of {', '.join(data.kept_apart)} were "
        "left out, near-duplicates too.",
        "",
    ]


def _material(found: FoundData) -> str:
    citation = f". {found.citation}" if found.citation else ""
    return f"- {found.title} ({found.name}): {found.licence or 'licence not known'}; {found.source}{citation}"


def _earlier(model: EarlierModel) -> str:
    known = catalogue().data
    learnt = [
        f"{known[name].title} ({name}): {known[name].licence or 'licence not known'}" if name in known else name
        for name in model.data
    ]
    return f"- model {model.described} of the task {model.config.task}, which learnt {'; '.join(learnt)}"


def _score_row(data: str, figure: Figure) -> str:
    return f"| {data} | {figure.name} | {figure.display} | {figure.interval_text} | {figure.sample_text} |"
