"""The road of a lecture on translation, step by step, each a setting of the same network and trained as long.

    word by word            each word written is made of what was read at its place
    output fed back         the same, and of what was written before
    encoder-decoder         of the encoder's last state and what was written before
    attention               and of where the decoder looks
    own pieces              the same in the form that language models need: each language has pieces of its own
    pretrained halves       and both halves begin as language models of their language

Each step is tested against the one before on the same test sentences, by a paired bootstrap. "Own pieces" is no step of
the lecture but what the last one is to be compared with.

A run that was stopped goes on where it was; finished models are not trained again. The output folder gets report.html
and metrics.json.

    python benchmarks/translation_road.py --minutes 20
    python benchmarks/translation_road.py --tokens 4_000_000 reading.target=fr
    python benchmarks/translation_road.py --recipe translate-en-hi --tokens 9_000_000 \\
        --steps own-pieces pretrained-halves
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from budgets import tokens_of_minutes
from rich.console import Console
from script import run_script

from nlp_lstm.evaluation.report import Cell, Figure, Report, Section, Table, TextBlock
from nlp_lstm.evaluation.sections import recipe_section
from nlp_lstm.evaluation.significance import PairedResult
from nlp_lstm.evaluation.translation import ScoredTranslation
from nlp_lstm.evaluation.translation_systems import MeasuredSystem, measure_systems
from nlp_lstm.inference.opening import open_model
from nlp_lstm.reading_data import find_run_data, read_test
from nlp_lstm.recipes import Recipe, load_recipe, recipe_yaml
from nlp_lstm.runs import finish_run
from nlp_lstm.tasks import predict_examples

SIGNIFICANT = 0.05
EVALUATION_SHARE = 0.1  # of the minutes, for translating the dev sentences again and again

SMALL = ("training.epochs=0", "baselines.tokens=0", "baselines.words=false", "also_evaluate=[]")  # the tokens decide

ROAD: dict[str, tuple[str, ...]] = {
    "word by word": ("model.decoder_layers=0", "model.attention=aligned", "model.input_feeding=false"),
    "output fed back": ("model.decoder_layers=1", "model.attention=aligned", "model.input_feeding=true"),
    "encoder-decoder": ("model.decoder_layers=1", "model.attention=none", "model.input_feeding=true"),
    "attention": ("model.decoder_layers=1", "model.attention=general", "model.input_feeding=true"),
}
PRETRAINED = "pretrained halves"
CONTROL = "own pieces"
STEPS = {name.replace(" ", "-"): name for name in (*ROAD, CONTROL, PRETRAINED)}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A trained model of the road.

    Args:
        name: of the step.
        before: of the step that it is tested against; empty for the first.
        minutes: of training.
        tokens: pieces that were seen.
        system: its figures, with the difference from the step before.
    """

    name: str
    before: str
    minutes: float
    tokens: int
    system: MeasuredSystem

    @property
    def paired(self) -> PairedResult | None:
        """Its BLEU minus that of the step before."""
        return self.system.differences.get("bleu")

    @property
    def verdict(self) -> str:
        """Whether it is better than the step before, as the lecture expects."""
        if self.paired is None or self.name == CONTROL:
            return ""
        if self.paired.p_value >= SIGNIFICANT:
            return "undecided"
        return "confirmed" if self.paired.difference > 0 else "contradicted"


def main() -> None:
    """Train what is missing, compare, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="changes to every step, such as training.threads=1")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="training of each step; how many pieces that is, is measured")
    length.add_argument("--tokens", type=lambda text: int(text.replace("_", "")), help="pieces that each step sees")
    parser.add_argument("--recipe", default="translate", help="what the steps change")
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS), help="default: all")
    parser.add_argument("--pretraining", nargs="*", default=[], help="changes to the language models, of lm-translate")
    parser.add_argument("--data", type=Path, help="your own parallel texts instead of the recipe's")
    parser.add_argument("--output", type=Path, default=Path("runs/translation-road"))
    arguments = parser.parse_intermixed_args()
    console = Console()
    base = load_recipe(arguments.recipe, [*arguments.overrides, *SMALL])
    wanted = [STEPS[name] for name in STEPS if name in arguments.steps]
    models, pretraining_minutes = pretrain(base, arguments, console) if PRETRAINED in wanted else ([], 0.0)
    forms = {**ROAD, CONTROL: own_pieces(base), PRETRAINED: (*own_pieces(base), f"init=[{','.join(map(str, models))}]")}
    steps: list[Step] = []
    outputs: dict[str, list[ScoredTranslation]] = {}
    for name in wanted:
        before = steps[-1].name if steps else ""
        steps.append(take_step(name, before, forms[name], arguments, outputs, console))
    data = find_run_data(base, arguments.data).name
    report = make_report(base, data, steps, pretraining_minutes)
    report.write(arguments.output)
    for row in road_table(steps).text_rows:
        console.print("  ".join(row), highlight=False)
    console.print(f"report: {arguments.output / 'report.html'}", highlight=False)


def pretrain(base: Recipe, arguments: argparse.Namespace, console: Console) -> tuple[list[Path], float]:
    """Train the language models that the halves begin as, and return their folders and the minutes that took."""
    settings, pair = base.model, base.reading
    directions = ("forward", "backward") if settings.bidirectional else ("forward",)
    size = settings.hidden // len(directions)
    wanted = {f"{pair.source}-{direction}": (pair.source, direction, size) for direction in directions}
    wanted[f"{pair.target}-forward"] = (pair.target, "forward", settings.hidden)
    folders, minutes = [], 0.0
    for name, (language, direction, hidden) in wanted.items():
        recipe = load_recipe(
            "lm-translate",
            [
                f"data=[{','.join(base.data)}]",
                f"also_train=[{','.join(base.also_train)}]",
                f"language={language}",
                f"reading.pair={pair.pair}",
                f"model.direction={direction}",
                f"model.hidden={hidden}",
                f"model.layers={settings.decoder_layers if language == pair.target else settings.layers}",
                f"model.cell={settings.cell}",
                f"model.embed={settings.embed}",
                f"model.vocabulary={settings.vocabulary}",
                f"training.threads={base.training.threads}",
                f"training.precision={base.training.precision}",
                "baselines.words=false",
                *arguments.pretraining,
            ],
        )
        console.print(f"language model: {name}", highlight=False)
        result = finish_run(recipe, arguments.output / f"lm-{name}", data=arguments.data, console=console)
        folders.append(result.model_folder)
        minutes += result.report.metrics["training_seconds"] / 60
    return folders, minutes


def own_pieces(base: Recipe) -> tuple[str, ...]:
    """Return the form whose halves can begin as language models of their language."""
    num_source = 2 if base.model.bidirectional else 1
    return (
        *ROAD["attention"],
        "model.vocabularies=separate",
        f"model.source_embed={num_source * base.model.embed}",
        "model.combined=linear",
    )


def take_step(
    name: str,
    before: str,
    form: Sequence[str],
    arguments: argparse.Namespace,
    outputs: dict[str, list[ScoredTranslation]],
    console: Console,
) -> Step:
    """Train one model, translate the test sentences, and measure them beside those of the step before."""
    overrides = [*arguments.overrides, *form, *SMALL]
    folder = arguments.output / name.replace(" ", "-")
    console.print(name, highlight=False)
    recipe = load_recipe(arguments.recipe, overrides)
    tokens = arguments.tokens or tokens_of_minutes(
        recipe,
        arguments.minutes,
        folder.with_suffix(".json"),
        arguments.data,
        evaluation_share=EVALUATION_SHARE,
    )
    recipe = load_recipe(arguments.recipe, [*overrides, f"training.tokens={tokens}"])
    result = finish_run(recipe, folder, data=arguments.data, console=console)
    opened = open_model(result.model_folder)
    _, test = read_test(recipe, arguments.data)
    found = predict_examples(opened.task, opened.model, test)
    outputs[name] = [
        ScoredTranslation(source=pair.source, reference=pair.target, output=one.text, is_cut=one.is_cut)
        for pair, one in zip(test, found, strict=True)
    ]
    named = [(one, outputs[one]) for one in (before, name) if one]
    return Step(
        name=name,
        before=before,
        minutes=result.report.metrics["training_seconds"] / 60,
        tokens=result.report.metrics["training_tokens"],
        system=measure_systems(named, recipe.reading.target)[-1],
    )


def make_report(base: Recipe, data: str, steps: Sequence[Step], pretraining_minutes: float) -> Report:
    """Return the road as a report."""
    figures = [
        Figure(
            name=f"BLEU, {step.name}",
            value=step.system.scores["bleu"].score,
            interval=step.system.scores["bleu"].interval,
            sample_size=step.system.scores["bleu"].num_sentences,
            sample_unit="sentences",
            note=step.system.scores["bleu"].signature,
        )
        for step in steps
    ]
    verdicts = [step.verdict for step in steps if step.verdict]
    text = (
        "The lecture expects every step to be better than the one before. "
        f"Confirmed: {verdicts.count('confirmed')}, contradicted: {verdicts.count('contradicted')}, undecided: "
        f"{verdicts.count('undecided')} of {len(verdicts)} (p < {SIGNIFICANT}). The language models of the last step "
        f"were trained for {pretraining_minutes:.1f} minutes besides."
    )
    return Report(
        title=f"The road to translation: {base.reading.pair}",
        task=base.task,
        subtitle=f"steps of one network, test split of {data}",
        lead=text,
        figures=figures,
        sections=[
            Section(title="Step by step", blocks=[TextBlock(text=text), road_table(steps)]),
            recipe_section(recipe_yaml(base)),
        ],
        metrics={"steps": [step_values(step) for step in steps], "pretraining_minutes": pretraining_minutes},
    )


def road_table(steps: Sequence[Step]) -> Table:
    """Show each step with its scores and its difference from the step before."""
    rows: list[list[Cell]] = []
    for step in steps:
        bleu, chrf, paired = step.system.scores["bleu"], step.system.scores["chrf"], step.paired
        interval = "" if bleu.interval is None else "{:.1f}–{:.1f}".format(*bleu.interval)
        test: list[Cell] = ["–"] * 4
        if paired is not None:
            ends = " to ".join(f"{end:+.1f}" for end in paired.interval)
            test = [step.before, f"{paired.difference:+.1f} ({ends})", f"{paired.p_value:.4f}", step.verdict]
        scores = [f"{bleu.score:.1f}", interval, f"{chrf.score:.1f}"]
        rows.append([step.name, *scores, *test, f"{step.minutes:.1f}", step.tokens])
    columns = ["Step", "BLEU", "95 % interval", "chrF", "Against", "BLEU difference", "p", "Order", "Minutes", "Pieces"]
    return Table(columns=columns, rows=rows, note="Intervals and p: paired bootstrap over sentences (Koehn 2004).")


def step_values(step: Step) -> dict[str, Any]:
    """Return a step as plain JSON values."""
    return {
        "name": step.name,
        "before": step.before,
        "minutes": step.minutes,
        "tokens": step.tokens,
        "order": step.verdict,
        **step.system.to_dict(),
    }


if __name__ == "__main__":
    run_script(main)
