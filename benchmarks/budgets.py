"""How long a benchmark trains: minutes on this machine as a number of tokens."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from nlp_lstm.errors import ConfigError
from nlp_lstm.files import write_whole
from nlp_lstm.recipes import Recipe, recipe_yaml
from nlp_lstm.run_data import read_run_data
from nlp_lstm.runs import load_recipe_vectors
from nlp_lstm.tasks import tasks
from nlp_lstm.training import train

PROBE_STEPS, PROBED_EXAMPLES = 100, 2_000


def tokens_of_minutes(
    recipe: Recipe, minutes: float, path: Path, data: Path | None = None, *, evaluation_share: float = 0.0
) -> int:
    """Return how many tokens a recipe trains on in some minutes, measured once, for all seeds, and kept in a file.

    Args:
        recipe: what is trained.
        minutes: how long.
        path: of the file that keeps it.
        data: a user's own data instead of the recipe's.
        evaluation_share: of the minutes, for scoring the dev examples again and again.

    Raises:
        ConfigError: the file's figure was measured for other minutes or another recipe.
    """
    unseeded = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 0})})
    wanted = {"minutes": minutes, "recipe": recipe_yaml(unseeded)}
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        tokens = int(kept.pop("tokens"))
        if kept["minutes"] != minutes:
            raise ConfigError(
                f"{path}: was measured for {kept['minutes']} minutes, not {minutes}; take another --output"
            )
        if kept != wanted:
            raise ConfigError(f"{path}: was measured for another recipe; take another --output")
        return tokens
    run_data = read_run_data(recipe, data, lambda line: None)
    vectors = load_recipe_vectors(recipe, lambda line: None)
    task = tasks.get(recipe.task).prepare(recipe.model, run_data.training, vectors)
    num_probed = min(PROBED_EXAMPLES, len(run_data.training))
    training = random.Random(1).sample(list(run_data.training), num_probed)
    changes = {"tokens": PROBE_STEPS * recipe.training.batch_tokens, "epochs": 0, "evaluations": 1}
    settings = recipe.training.model_copy(update=changes)
    with tempfile.TemporaryDirectory() as probe:
        result = train(task, training, run_data.development[:10], settings, Path(probe))
    first, *_, last = [record for record in result.history if "loss" in record]  # the first are slow
    rate = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
    tokens = round(60 * minutes * rate * (1 - evaluation_share))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({**wanted, "tokens": tokens}) + "\n")
    return tokens
