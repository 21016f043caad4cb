"""What the boxes of the page answer, without Gradio. Browsers are in `benchmarks/page_tour.py`."""

import asyncio
import base64
import html
import json
import logging
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache

import pytest
from samples import (
    bundled_model,
    scene_examples,
    tiny_caption_run,
    tiny_series_run,
    tiny_topics_run,
    tiny_translation_run,
    tiny_video_run,
)

from nlp_lstm import Pipeline
from nlp_lstm.data.pictures import load_pixels, to_png
from nlp_lstm.data.series import SeriesReading
from nlp_lstm.errors import DataError
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.metrics import ServerMetrics
from nlp_lstm.serving.models import ServedModel
from nlp_lstm.serving.page.asking import Asker
from nlp_lstm.serving.page.functions import EXAMPLE_FOLDER, EXAMPLES, NO_CLIP, NOTHING, PageFunctions
from nlp_lstm.serving.page.markup import escape, picture, share
from nlp_lstm.serving.page.reports import Reports
from nlp_lstm.serving.page.series import example_table, read_table
from nlp_lstm.serving.page.words import show_surprise, show_tags
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.tasks.series_answers import SeriesFacts
from nlp_lstm.text.vocabulary import Vocabulary
from nlp_lstm.xray import look_into

TEXT = "Please book that flight!"
TOKEN = "0123456789abcdef"
PATIENT = ServingLimits(deadline=300)


@lru_cache(maxsize=8)
def opened(folder):
    """Return a model, opened once for all tests."""
    return Pipeline(folder)


@pytest.fixture(autouse=True)
def _open_once(monkeypatch):
    monkeypatch.setattr("nlp_lstm.serving.models.Pipeline", lambda folder, **options: opened(folder))


@asynccontextmanager
async def functions(*folders, reports=None, limits=None):
    """Give the functions of a page whose models are open; each is named by its task."""
    limits, metrics = limits or PATIENT, ServerMetrics()
    named = [(opened(folder).info["task"], folder) for folder in folders]
    models = {name: ServedModel([name], folder, limits, metrics.of_model(name)) for name, folder in named}
    for model in models.values():
        await model.open(lambda error: pytest.fail(str(error)))
    yield PageFunctions(Asker(models, limits), Reports(reports))
    for model in models.values():
        await model.close()


def answered(function, *arguments, folders, **options):
    """Return what a function of the page gives."""

    async def scenario():
        async with functions(*folders, **options) as page:
            return await getattr(page, function)(*arguments)

    return asyncio.run(scenario())


def words_of(markup):
    """The text of an answer, white space as one space."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


# ---- answers are those of the Pipeline


def test_tags_are_those_of_the_pipeline():
    folder = bundled_model("pos-en")
    shown = answered("tag", "pos", TEXT, folders=[folder])
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", shown)
    right = opened(folder).predict(TEXT)
    assert rows == [(token["word"], token["entity"], share(token["score"]), token["xpos"]) for token in right]
    assert [name for name in ("verb", "determiner", "noun") if f"<small>{name}</small>" in shown] == [
        "verb",
        "determiner",
        "noun",
    ]


def test_an_opinion_has_the_labels_and_the_effects_of_the_pipeline():
    folder = bundled_model("sentiment-en")
    text = "A quiet, wonderful film."
    shown = answered("judge", "sentiment", text, folders=[folder])
    right = opened(folder).predict(text, explain=True)
    assert f"Positive {share(right['score'])}" in words_of(shown)
    effects = dict(re.findall(r"<tr><td>(.*?)</td><td>([-+][\d.]+)</td></tr>", shown))
    assert effects == {word["word"]: f"{word['score']:+.2f}" for word in right["words"]}
    long = words_of(answered("judge", "sentiment", "good film " * 201, folders=[folder]))
    assert long.startswith("Positive Positive 9")
    assert long.endswith("Texts of more than 2,000 characters are not explained by word.")


def test_a_text_is_written_as_the_pipeline_streams_it():
    folder = bundled_model("lm-en")
    options = {"max_new_tokens": 12, "temperature": 0.8, "seed": 5}

    async def scenario():
        async with functions(folder) as page:
            return [shown async for shown in page.write("lm", "The old man", 12.0, 0.8, 5)]

    shown = asyncio.run(scenario())
    right = "".join(opened(folder).stream("The old man", **options))
    assert html.unescape(re.sub(r"<[^>]*>", "", shown[-1])) == "The old man" + right
    assert "nl-cursor" in shown[0]
    assert "nl-cursor" not in shown[-1]


def test_nobody_waits_for_a_text_whose_reader_has_gone():
    folder = bundled_model("lm-en")

    async def scenario():
        async with functions(folder) as page:
            began = time.perf_counter()
            async for _ in page.asker.write("lm", "The", max_new_tokens=4, do_sample=False):
                pass
            short = time.perf_counter() - began
            reader = page.asker.write("lm", "The", max_new_tokens=500, do_sample=False)
            await anext(reader)
            await reader.aclose()
            began = time.perf_counter()
            await page.asker.ask("lm", "The old man", max_new_tokens=1)
            return short, time.perf_counter() - began

    short, waited = asyncio.run(scenario())
    assert waited < 60 * short  # writing all 500 would take some 125 times as long


def test_surprise_is_the_score_of_the_pipeline():
    folder = bundled_model("lm-en")
    text = "The king ate his bicycle."
    right = opened(folder).score(text)
    assert answered("surprise", "lm", text, folders=[folder]) == show_surprise(text, right)
    least = min(right["tokens"], key=lambda token: token["log_probability"])
    assert f"Least expected {least['token']} one in" in words_of(show_surprise(text, right))


def test_the_look_inside_is_that_of_xray():
    folder = bundled_model("pos-en")
    shown = answered("look", "pos", TEXT, folders=[folder])
    [view], _ = look_into({"pos-en": folder}, TEXT)
    assert f"halves within {view.half:.1f} words" in shown
    assert shown.count("<svg") == 3


@pytest.mark.slow
def test_a_translation_shows_where_it_looked():
    folder = tiny_translation_run() / "model"
    text = "The dog sleeps."
    shown = answered("translate", "translate", text, folders=[folder])
    right = opened(folder).predict(text, attention=True)
    assert right["translation_text"] in words_of(shown)
    pieces = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", shown)
    assert len(pieces) == len(right["attention"][0]["target"])


@pytest.mark.slow
def test_a_picture_is_described_from_its_bytes():
    folder = tiny_caption_run() / "model"
    content = to_png(load_pixels(scene_examples()[0].picture, 64))
    shown = answered("describe", "caption", base64.b64encode(content).decode(), folders=[folder])
    right = opened(folder).predict(content, attention=True)
    assert right["generated_text"] in words_of(shown)
    assert shown.count('class="nl-glance"') == len(right["attention"]["words"])
    for wrong in ("pictures/mine.png", base64.b64encode(b"no picture").decode()):
        assert 'role="alert"' in answered("describe", "caption", wrong, folders=[folder])


@pytest.mark.slow
def test_a_clip_is_described_from_its_bytes():
    folder = tiny_video_run() / "model"
    content = (EXAMPLE_FOLDER / EXAMPLES["A crab"]).read_bytes()
    shown = answered("describe_clip", "video", base64.b64encode(content).decode(), folders=[folder])
    right = opened(folder).predict(content, attention=True)
    assert right["generated_text"] in words_of(shown)
    assert shown.count('class="nl-glance"') == len(right["attention"]["words"])
    assert answered("describe_example", "video", "A crab", folders=[folder]).endswith(shown)
    assert answered("describe_clip", "video", "", folders=[folder]) == NO_CLIP
    wrong = base64.b64encode(b"no clip").decode()
    assert 'role="alert"' in answered("describe_clip", "video", wrong, folders=[folder])


def test_a_text_is_written_about_a_topic():
    folder = tiny_topics_run() / "model"
    topics = opened(folder).predictor.topics

    async def scenario(topic):
        async with functions(folder) as page:
            assert page.topics("topics") == list(topics)
            shown = [part async for part in page.write_about("topics", "The bread", topic, 12.0, 1.0, 7)]
        return words_of(shown[-1])

    told = {"topic": topics[0], "guidance": 1.0, "seed": 7, "max_new_tokens": 12}
    right = opened(folder).predict("The bread", **told)["generated_text"]
    assert right in asyncio.run(scenario(topics[0]))
    assert "known topics" in asyncio.run(scenario("weather"))


@pytest.mark.slow
def test_a_series_is_read_from_pasted_text():
    folder = tiny_series_run() / "model"
    predictor = opened(folder).predictor
    text = example_table(predictor.facts_of_training)
    shown = answered("read_series", "series", text, folders=[folder])
    right = opened(folder).predict(read_table(text))
    rows = re.findall(r"<tr><td>(\d+)</td><td>(.*?)</td><td>(.*?)</td></tr>", shown)
    assert rows == [(str(step["index"]), step["label"], share(step["score"])) for step in right]
    assert len(rows) == len(text.splitlines()) - 1
    wrong = answered("read_series", "series", "price\n1\nmany\n", folders=[folder])
    assert "many" in words_of(wrong)
    assert 'role="alert"' in wrong


@pytest.mark.parametrize(
    ("text", "columns"), [("a;b\n1;2\n", {"a": ["1"], "b": ["2"]}), ("x\n\n3", {"x": ["3"]}), ("", {})]
)
def test_tables_are_read_with_their_own_separator(text, columns):
    assert read_table(text) == columns


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,a\n1,2\n"])
def test_a_table_that_is_none_is_refused(text):
    with pytest.raises(DataError):
        read_table(text)


def test_an_example_has_the_columns_that_a_model_reads():
    reading = SeriesReading(numbers={"close": "log-ratio/open", "volume": "value"})
    facts = SeriesFacts(
        columns=("close", "volume"),
        means=(0.0, 50.0),
        scales=(0.1, 2.0),
        symbols=None,
        labels=None,
        shares=(),
        limits=(),
        ahead=(0.0, 1.0),
        reading=reading,
    )
    assert list(read_table(example_table(facts))) == ["close", "open", "volume"]
    letters = replace(
        facts,
        columns=(),
        means=(),
        scales=(),
        symbols=Vocabulary(["<unk>", "A", "B"], specials=1),
        reading=SeriesReading(),
    )
    assert set(example_table(letters)) == {"A", "B"}


# ---- bounds


def test_the_bounds_of_the_server_hold():
    folder = bundled_model("pos-en")
    limits = ServingLimits(max_text=20, deadline=300)
    longest = answered("tag", "pos", "A film that is long.", folders=[folder], limits=limits)
    assert 'role="alert"' not in longest
    longer = answered("tag", "pos", "A film that is longer.", folders=[folder], limits=limits)
    assert words_of(longer) == "Input has 22 characters; this server takes up to 20. Cut it."
    assert answered("tag", "pos", " \n", folders=[folder]) == NOTHING
    assert "There is no such model" in answered("tag", "/etc/passwd", "A film.", folders=[folder])


def test_what_is_asked_of_the_page_joins_what_programs_ask():
    folder = bundled_model("sentiment-en")

    async def scenario():
        async with functions(folder, limits=ServingLimits(window=1)) as page:
            sizes = []
            model = page.asker.models["sentiment"]
            model.batcher._on_batch = lambda size, seconds: sizes.append(size)
            deadline = asyncio.get_running_loop().time() + 30
            await asyncio.gather(
                page.asker.ask("sentiment", "A film."), model.answer({"inputs": ["Bad.", "Good."]}, deadline)
            )
            return sizes

    assert asyncio.run(scenario()) == [3]


def test_a_full_queue_is_told():
    folder = bundled_model("sentiment-en")

    async def scenario():
        async with functions(folder, limits=ServingLimits(window=1, max_waiting=1)) as page:
            first = asyncio.ensure_future(page.asker.ask("sentiment", "A film."))
            await asyncio.sleep(0)
            with pytest.raises(RefusedError) as refused:
                await page.asker.ask("sentiment", "Another.")
            await first
            return refused.value.status

    assert asyncio.run(scenario()) == 429


def test_markup_of_a_text_is_shown_and_not_followed(caplog):
    folder = bundled_model("pos-en")
    text = '<script>alert("confidential")</script> ${1} {{value}}'
    with caplog.at_level(logging.INFO, "nlp_lstm"):
        shown = answered("tag", "pos", text, folders=[folder])
    assert "<script" not in shown
    assert not any(mark in shown for mark in ("${", "{{", "`"))
    assert "confidential" in words_of(shown)
    assert "confidential" not in repr([record.__dict__ for record in caplog.records])
    assert html.unescape(escape("{a} $`\\")) == "{a} $`\\"


def test_drawings_keep_three_quarters_of_their_size():
    assert 'style="min-width:300px"' in picture('<svg role="img" width="400" height="10"></svg>')
    assert "sideways" in picture('<svg role="img" width="800" height="10"></svg>')


def test_no_words_are_no_fault():
    assert "There are no words" in show_tags("", [])


# ---- reports


def test_reports_are_found_and_only_they_are_given(tmp_path):
    runs = tmp_path / "runs"
    for name in ("pos", "deep/er/run", "deep/er/too/deep"):
        (runs / name).mkdir(parents=True)
        (runs / name / "report.html").write_text(f"<p>{name}</p>", encoding="utf-8")
    figures = {"Accuracy": {"text": "96 %"}}
    metrics = json.dumps({"title": "Tags <b>", "subtitle": "ours", "figures": figures})
    (runs / "pos" / "metrics.json").write_text(metrics, encoding="utf-8")
    (tmp_path / "report.html").write_text("outside", encoding="utf-8")
    (runs / "linked").mkdir()
    (runs / "linked" / "report.html").symlink_to(tmp_path / "report.html")
    reports = Reports(runs)
    assert {report.name for report in reports.find()} == {"pos", "deep/er/run"}
    assert reports.content("pos") == b"<p>pos</p>"
    assert all(reports.content(name) is None for name in ("..", "linked", "pos/../pos", "", str(tmp_path), "nothing"))
    shown = answered("list_reports", folders=[], reports=runs)
    assert "Tags <b> ours" in words_of(shown.replace("&lt;b&gt;", "&lt;b&gt; "))
    assert "Accuracy 96 %" in words_of(shown)
    assert "There are no reports yet" in answered("list_reports", folders=[], reports=tmp_path / "none")
    assert Reports(None).find() == []
