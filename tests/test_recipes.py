import math

import pytest
import yaml
from samples import split_running_text, tiny_language_recipe, tiny_recipe

from nlp_lstm.data.catalogue import catalogue
from nlp_lstm.errors import ConfigError
from nlp_lstm.paths import bundled_folder
from nlp_lstm.recipes import Recipe, change_model, find_recipe, list_recipes, load_recipe, make_recipe, recipe_yaml
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import tasks


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", list_recipes())
def test_every_published_recipe_loads(name):
    recipe = load_recipe(name)
    assert isinstance(recipe, Recipe)
    assert isinstance(recipe.model, tasks.get(recipe.task).settings_type)
    assert {*recipe.data, *recipe.also_evaluate} <= {*catalogue().data}


@pytest.mark.parametrize("path", sorted(bundled_folder("pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_one_page_that_opens_with_a_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= 60


def test_there_is_a_recipe_for_tagging():
    assert "pos" in list_recipes()


def test_the_recipe_of_language_models_runs_in_tiny_form(tmp_path):
    (tmp_path / "text").mkdir()
    recipe = tiny_language_recipe("model.hidden=8", "training.evaluations=1", tokens=400)
    result = run_recipe(recipe, tmp_path / "run", data=split_running_text(tmp_path / "text"))
    assert all(math.isfinite(value) for value in result.scores.values())
    assert (tmp_path / "run" / "report.html").is_file()
    assert (result.model_folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_written_out_loads_as_the_same(name, tmp_path):
    recipe = load_recipe(name)
    again = load_recipe(write(tmp_path / "again.yaml", recipe_yaml(recipe)))
    assert again.model_dump() == recipe.model_dump()


def test_overrides_change_the_recipe():
    recipe = load_recipe("pos", ["model.hidden=7", "training.learning_rate=0.5", "data=[brown]", "precision=fp16"])
    assert (recipe.model.hidden, recipe.training.learning_rate) == (7, 0.5)
    assert (recipe.data, recipe.precision) == (("brown",), "fp16")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hiden=3", r'unknown key "model\.hiden".* Did you mean "hidden"\?'),
        ("model.embedding.vector=x", r'unknown key "model\.embedding\.vector".* Did you mean "vectors?'),
        ("model.hidden=many", r"model\.hidden is 'many'"),
        ("model.layers=1000000000", r"model\.layers is 1000000000"),
        ("model.cell=ltsm", r'unknown cell "ltsm"; known cells: .*Did you mean "lstm"\?'),
        ("training.tokens=0", r"training\.tokens is 0"),
        ("data=[]", "data is "),
        ("precision=int4", "precision is 'int4'"),
        ("task=poss", r'unknown task "poss"; known tasks: .*Did you mean "pos"\?'),
        ("tsk=pos", r'unknown key "tsk".* Did you mean "task"\?'),
        ("model=3", "model is 3"),
    ],
)
def test_a_fault_in_a_recipe_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("pos", [override])


def test_several_faults_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        load_recipe("pos", ["model.hiden=3", "training.tokens=-1", "model.cell=nope"])
    for part in ("model.hiden", "training.tokens", "nope"):
        assert part in str(caught.value)


@pytest.mark.parametrize("changes", [{"embedding": {"word_dropout": 0.5}}, {"embedding.word_dropout": 0.5}])
def test_a_simpler_network_keeps_what_its_changes_do_not_name(changes):
    recipe = load_recipe("sentiment", {"baselines.networks": {"mine": changes}, "distillation.model": changes})
    for found in (recipe.baselines.networks["mine"], recipe.distillation.model):
        changed = change_model(recipe, found, "mine").model_dump()
        embedding = recipe.model.embedding.model_dump()
        assert embedding["word_dropout"] != 0.5
        assert changed == {**recipe.model.model_dump(), "embedding": {**embedding, "word_dropout": 0.5}}


def test_a_fault_in_a_simpler_network_is_named():
    with pytest.raises(ConfigError, match=r'mine: unknown key "embedding\.word_drop"; .* Did you mean "word_dropout"'):
        load_recipe("sentiment", {"baselines.networks": {"mine": {"embedding": {"word_drop": 0.5}}}})


def test_label_smoothing_with_a_chain_of_labels_is_refused():
    with pytest.raises(ConfigError, match="label_smoothing works with head: linear only"):
        load_recipe("pos", ["model.head=crf", "model.label_smoothing=0.1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [pos", "is not valid YAML"),
        ("- task\n- pos\n", "is not a recipe"),
        ("", "is not a recipe"),
        ("task: 3\n", "is not a recipe"),
        ("data: [brown]\n", 'it needs "task:" with one of'),
        ("task: pos\n", '"data" is missing'),
        ("!!python/object/apply:os.getcwd []\n", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=rf"mine\.yaml.*{message}"):
        load_recipe(write(tmp_path / "mine.yaml", text))


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"task: pos # caf\xe9\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_recipe(str(tmp_path / "latin.yaml"))


def test_a_missing_recipe_lists_the_bundled_ones(tmp_path):
    with pytest.raises(ConfigError, match=r'bundled recipes: .*pos.* Did you mean "pos"\?'):
        find_recipe("poss")
    with pytest.raises(ConfigError, match="does not exist"):
        find_recipe(str(tmp_path / "nowhere.yaml"))


def test_values_are_checked_like_a_file():
    values = yaml.safe_load(recipe_yaml(tiny_recipe()))
    assert make_recipe(values, where="values").model_dump() == tiny_recipe().model_dump()
    with pytest.raises(ConfigError, match=r"^values: "):
        make_recipe({**values, "modle": {}}, where="values")
