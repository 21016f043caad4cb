"""The tabs of the page: one for each thing that the served models can do. This module imports Gradio."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.page.functions import EXAMPLES, PageFunctions

_LOOKED_INTO = ("pos", "sentiment", "lm", "translate")  # tasks whose networks read words
_LONGEST_LOOKED = 2_000  # characters
_DRAWN_SEED = "Math.floor(Math.random() * 2 ** 31)"  # in the browser
_TOO_LARGE = '<p class="nl-problem" id="nl-too-large" role="alert"></p>'


class _TextTab(NamedTuple):
    """A tab with a box for a text and an answer below.

    Args:
        title: of the tab.
        lead: what it is for.
        tasks: whose models it has.
        button: what the button says.
        hint: in the empty box.
        examples: in English.
    """

    title: str
    lead: str
    tasks: tuple[str, ...]
    button: str
    hint: str
    examples: tuple[str, ...]


_WORDS = _TextTab(
    "Words",
    "Which class each word belongs to: noun, verb, adjective …",
    ("pos",),
    "Show the classes",
    "A sentence or two",
    (
        "Please book that flight!",
        "I read the book that you left on the train.",
        "Time flies like an arrow; fruit flies like a banana.",
    ),
)
_OPINION = _TextTab(
    "Opinion",
    "What a text says as a whole, such as praise or blame, and which words moved the decision.",
    ("sentiment",),
    "Judge it",
    "A review, for example",
    (
        "A quiet, wonderful film.",
        "The plot is dull, but the actors are a delight.",
        "Two hours of my life that nobody will give back to me.",
    ),
)
_TRANSLATE = _TextTab(
    "Translate",
    "A translation, and where in your sentence the model looked as it wrote each piece.",
    ("translate",),
    "Translate",
    "A sentence or two",
    ("The old dog sleeps in the garden.", "Where is the station?", "She reads a book every evening."),
)
_SURPRISE = _TextTab(
    "Surprise",
    "How little a model that reads from left to right expected each word.",
    ("lm",),
    "Show the surprise",
    "A paragraph, for example",
    (
        "The king of the country died in the year of the great war.",
        "The king of the country ate his bicycle in the year of the great war.",
        "The ship was built in 1912 and sank in the Atlantic Ocean.",
    ),
)
_LOOK = _TextTab(
    "Look inside",
    "What a network remembers while it reads: how far a word reaches, who feels whom, and its gates.",
    _LOOKED_INTO,
    "Look inside",
    "A sentence; of a long text one sentence is looked at",
    ("The old ferry leaves the harbour at six.", "The film that the critics hated is a quiet wonder."),
)


def add_tabs(functions: PageFunctions) -> None:
    """Add a tab for each thing that the served models can do, and one for the reports of runs."""
    asker = functions.asker
    with gr.Tabs(elem_id="nl-tabs"):
        if asker.names("pos"):
            _text_tab(functions, _WORDS, functions.tag)
        if asker.names("sentiment"):
            _text_tab(functions, _OPINION, functions.judge)
        if asker.names("translate"):
            _text_tab(functions, _TRANSLATE, functions.translate)
        if asker.names("lm"):
            _write_tab(functions)
            _text_tab(functions, _SURPRISE, functions.surprise)
        if asker.names("topics"):
            _topic_tab(functions)
        if asker.names("caption"):
            _picture_tab(functions)
        if asker.names("video"):
            _clip_tab(functions)
        if asker.names("series"):
            _series_tab(functions)
        if asker.names(*_LOOKED_INTO):
            _text_tab(functions, _LOOK, functions.look, longest=_LONGEST_LOOKED)
        _reports_tab(functions)


def _text_tab(
    functions: PageFunctions,
    tab: _TextTab,
    answer: Callable[[str, str], Awaitable[str]],
    *,
    longest: int | None = None,
) -> None:
    with gr.Tab(tab.title):
        _lead(tab.lead)
        model = _choice(functions, *tab.tasks)
        text = _text_box("Your text", tab.hint, longest or functions.asker.limits.max_text)
        button = gr.Button(tab.button, variant="primary")
        examples = _examples(functions, tab.tasks, tab.examples)
        shown = gr.HTML(elem_classes="nl-out")
        asked: dict[str, Any] = {"fn": answer, "inputs": [model, text], "outputs": shown, "show_progress": "minimal"}
        for event in (button.click, text.submit):
            event(**asked, api_visibility="private")
        for example, given in examples:
            _fill(example, text, given).then(**asked, api_visibility="private")


def _write_tab(functions: PageFunctions) -> None:
    limits = functions.asker.limits
    with gr.Tab("Write on"):
        _lead("Begin a text, and the model goes on, word by word. It knows what words go together, not what is true.")
        model = _choice(functions, "lm")
        text = _text_box("Your beginning", "The first words, or nothing", limits.max_text)
        with gr.Row(elem_classes="nl-sliders"):
            length = _length_slider(limits)
            daring = gr.Slider(0.2, 1.5, 0.8, step=0.1, label="How daring: low repeats, high rambles", buttons=[])
        seed = gr.Number(0, visible=False)
        button, stop = _write_buttons("Write on")
        examples = _examples(
            functions, ("lm",), ("The old man", "In 1912 the ship", "The film was directed by"), goes_on=True
        )
        shown = gr.HTML(elem_classes="nl-out")
        asked: dict[str, Any] = {
            "fn": functions.write,
            "inputs": [model, text, length, daring, seed],
            "outputs": shown,
            "js": f"(...given) => [...given.slice(0, 4), {_DRAWN_SEED}]",
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        writing: list[Any] = [event(**asked) for event in (button.click, text.submit)]
        writing += [_fill(example, text, given).then(**asked) for example, given in examples]
        stop.click(None, cancels=writing, api_visibility="private")


def _topic_tab(functions: PageFunctions) -> None:
    limits = functions.asker.limits
    with gr.Tab("Write about") as tab:
        _lead("Choose a topic, and the model writes about it, on a beginning of yours or on its own.")
        model = _choice(functions, "topics")
        topic = gr.Dropdown([], label="Topic", allow_custom_value=True, filterable=False)
        text = _text_box("Your beginning", "The first words, or nothing", limits.max_text)
        with gr.Row(elem_classes="nl-sliders"):
            length = _length_slider(limits)
            guidance = gr.Slider(0, 6, 2.5, step=0.5, label="How much more the topic weighs", buttons=[])
        seed = gr.Number(0, visible=False)
        button, stop = _write_buttons("Write about it")
        shown = gr.HTML(elem_classes="nl-out")
        asked: dict[str, Any] = {
            "fn": functions.write_about,
            "inputs": [model, text, topic, length, guidance, seed],
            "outputs": shown,
            "js": f"(...given) => [...given.slice(0, 5), {_DRAWN_SEED}]",
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        writing: list[Any] = [event(**asked) for event in (button.click, text.submit)]
        stop.click(None, cancels=writing, api_visibility="private")
        for event in (tab.select, model.change):
            event(_choose_topic(functions), model, topic, show_progress="hidden", api_visibility="private")


def _length_slider(limits: ServingLimits) -> gr.Slider:
    most = min(200, limits.max_new_tokens)
    return gr.Slider(1, most, min(60, most), step=1, label="How many words at most", buttons=[])


def _write_buttons(name: str) -> tuple[gr.Button, gr.Button]:
    """Return what begins writing and what stops it."""
    with gr.Row(elem_classes="nl-buttons"):
        return gr.Button(name, variant="primary"), gr.Button("Stop", variant="secondary")


def _choose_topic(functions: PageFunctions) -> Callable[[str], Any]:
    def choose(model: str) -> Any:
        topics = functions.topics(model)
        return gr.Dropdown(topics, value=topics[0] if topics else None)

    return choose


def _picture_tab(functions: PageFunctions) -> None:
    with gr.Tab("Pictures"):
        _lead("A sentence about a picture, and where in it the model looked for each word.")
        accepted = "image/png,image/jpeg,image/gif,image/webp,image/bmp"
        _described_tab(functions, "caption", "picture", accepted, functions.describe)


def _clip_tab(functions: PageFunctions) -> None:
    with gr.Tab("Clips"):
        _lead("A sentence about a short clip, and which of its frames the model looked at for each word.")
        accepted = "image/gif,image/webp,image/png,video/mp4,video/webm"
        _described_tab(functions, "video", "clip", accepted, functions.describe_clip)


def _described_tab(
    functions: PageFunctions, task: str, kind: str, accepted: str, describe: Callable[[str, str], Awaitable[str]]
) -> None:
    """Fill a tab with what takes a picture or a clip, which page.js knows by its kind, and the examples of its kind."""
    model = _choice(functions, task)
    gr.HTML(
        f'<div class="nl-file" data-takes="{kind}"><label for="nl-{kind}">Choose a {kind}, drop one here, or paste it'
        f'</label><input type="file" id="nl-{kind}" accept="{accepted}">'
        f'<img id="nl-preview-{kind}" alt="the {kind} that you have chosen" hidden>'
        f"{_TOO_LARGE if kind == 'clip' else ''}</div>"
    )
    button = gr.Button("Describe it", variant="primary", elem_id=f"nl-describe-{kind}")
    gr.HTML('<p class="nl-or">or try one:</p>')
    names = [name for name, file in EXAMPLES.items() if file.endswith(".gif") == (kind == "clip")]
    with gr.Row(elem_classes="nl-examples"):
        examples = [(gr.Button(name, size="sm"), name) for name in names]
    content = gr.Textbox(visible=False)
    shown = gr.HTML(elem_classes="nl-out")
    asked: dict[str, Any] = {"outputs": shown, "show_progress": "minimal", "api_visibility": "private"}
    button.click(describe, [model, content], **asked, js=f"async (model) => [model, await nl.{kind}()]")
    for example, name in examples:
        example.click(partial(functions.describe_example, name=name), model, **asked)


def _series_tab(functions: PageFunctions) -> None:
    with gr.Tab("Series"):
        _lead("A table with a line for each step, or a string of symbols: the model answers after each step.")
        model = _choice(functions, "series")
        text = gr.Textbox(
            label="Your series",
            placeholder="day,price\n1,100.5\n2,101.2",
            lines=6,
            max_lines=12,
            max_length=functions.asker.limits.max_body // 2,
            elem_id="nl-series",
        )
        gr.HTML(
            '<div class="nl-file"><label for="nl-table">Or take a file (CSV)</label>'
            '<input type="file" id="nl-table" accept=".csv,.tsv,.txt,text/csv"></div>'
        )
        button = gr.Button("Read it", variant="primary")
        with gr.Row(elem_classes="nl-examples"):
            example = gr.Button("An example made up by chance", size="sm")
        shown = gr.HTML(elem_classes="nl-out")
        asked: dict[str, Any] = {
            "fn": functions.read_series,
            "inputs": [model, text],
            "outputs": shown,
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        button.click(**asked)
        filled = example.click(functions.example_series, model, text, show_progress="hidden", api_visibility="private")
        filled.then(**asked)


def _reports_tab(functions: PageFunctions) -> None:
    with gr.Tab("Reports") as tab:
        _lead("What each training run has left: scores, errors in context, how it learnt. Click one to unfold it.")
        shown = gr.HTML(elem_classes="nl-out")
        button = gr.Button("Look again", size="sm")
        for event in (tab.select, button.click):
            event(functions.list_reports, None, shown, show_progress="minimal", api_visibility="private")


def _lead(text: str) -> None:
    gr.HTML(f'<p class="nl-intro">{text}</p>')


def _choice(functions: PageFunctions, *tasks: str) -> gr.Dropdown:
    """Return the choice of a model, which is shown where there are several."""
    names = functions.asker.names(*tasks)
    return gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1, filterable=False)


def _text_box(label: str, hint: str, longest: int) -> gr.Textbox:
    """Return a box for a text, in which Enter asks and Shift+Enter begins a line."""
    return gr.Textbox(
        label=label, placeholder=hint, info="Enter asks, Shift+Enter begins a new line.", lines=1, max_lines=10,
        max_length=longest, autofocus=False,
    )  # fmt: skip


def _examples(
    functions: PageFunctions, tasks: Sequence[str], examples: Sequence[str], *, goes_on: bool = False
) -> list[tuple[gr.Button, str]]:
    """Return a button for each example; none where no model reads English."""
    models = functions.asker.models
    if not any(models[name].config.language == "en" for name in functions.asker.names(*tasks)):
        return []
    with gr.Row(elem_classes="nl-examples"):
        return [(gr.Button(text + (" …" if goes_on else ""), size="sm"), text) for text in examples]


def _fill(button: gr.Button, text: gr.Textbox, given: str) -> Any:
    """Make a button fill a box, in the browser alone."""
    return button.click(None, None, text, js=f"() => {json.dumps(given)}", api_visibility="private")
