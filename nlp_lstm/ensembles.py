"""What the models of several runs are worth together: the same test examples, answered by all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.report import Report
from nlp_lstm.inference.opening import check_together, open_model
from nlp_lstm.reading_data import read_test
from nlp_lstm.recipes import Recipe
from nlp_lstm.tasks import predict_examples


def evaluate_ensemble(
    recipe: Recipe, folders: Mapping[str, Path], data: Path | None, say: Callable[[str], None]
) -> Report | None:
    """Return the report on models that answer the test examples together, with each of them alone beside it.

    Args:
        recipe: that the models were made by, up to the seed.
        folders: the model folders by the names that the report shows.
        data: a user's own file or folder, instead of the recipe's data sets.
        say: takes lines for the user.

    Returns:
        The report; None, with a line to the user, where the models cannot answer together.
    """
    models = [open_model(folder) for folder in folders.values()]
    try:
        check_together(models)
    except ConfigError as error:
        say(f"no ensemble: {error}")
        return None
    task, networks = models[0].task, [opened.model for opened in models]
    found, test = read_test(recipe, data)
    return task.report(
        test,
        predict_examples(task, networks, test),
        title=f"{task.title}: ensemble of {len(models)} models, {found.name}",
        subtitle=f"{found.title}, test split; {', '.join(folders)} together",
        rivals={
            f"{name} alone": predict_examples(opened.task, opened.model, test)
            for name, opened in zip(folders, models, strict=True)
        },
    )
