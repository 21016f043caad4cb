"""The routes, asked without a socket, with the bundled models."""

import asyncio
import base64
import json
import logging
import shutil
import threading
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from samples import bundled_model, tagged_examples
from serving_client import send_parts, serving

from nlp_lstm import Pipeline
from nlp_lstm.data.series import SeriesReading
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.serving import answers as answers_module
from nlp_lstm.serving.inputs import read_item, split_inputs
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.logs import JsonFormatter
from nlp_lstm.serving.models import choose_models
from nlp_lstm.serving.shapes import options_type, result_type
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.series_answers import SeriesFacts, SeriesPredictor, SeriesSettings

PATHS = ("/v1/pos", "/v1/sentiment")
TEXT = "Please book that flight!"
TOLERANCE = 1e-5  # of the engine, whatever else is in the batch
TOKEN = "0123456789abcdef"

pytestmark = pytest.mark.filterwarnings("ignore::nlp_lstm.tasks.classification.EmptyTextWarning")


@pytest.fixture(scope="module")
def folders():
    return {bundled_model("pos-en"): ["pos-en", "pos"], bundled_model("sentiment-en"): ["sentiment"]}


@lru_cache(maxsize=8)
def opened(folder):
    """Return a model, opened once for all tests."""
    return Pipeline(folder)


@pytest.fixture(autouse=True)
def _open_once(monkeypatch):
    monkeypatch.setattr("nlp_lstm.serving.models.Pipeline", lambda folder, **options: opened(folder))


@pytest.fixture(scope="module")
def tagger():
    return opened(bundled_model("pos-en"))


@pytest.fixture(scope="module")
def critic():
    return opened(bundled_model("sentiment-en"))


def asked(models, *requests, path="/v1/sentiment", **options):
    """Return the responses to requests that are sent one after the other."""

    async def scenario():
        async with serving(models, **options) as client:
            return [await client.post(path, json=request) for request in requests]

    return asyncio.run(scenario())


def is_same(found, right):
    """Whether an answer is right: numbers within the tolerance, everything else equal."""
    if isinstance(right, float):
        return found == pytest.approx(right, abs=TOLERANCE)
    if isinstance(right, list):
        return len(found) == len(right) and all(map(is_same, found, right))
    if isinstance(right, dict):
        return list(found) == list(right) and all(is_same(found[key], right[key]) for key in right)
    return found == right


# ---- answers


@pytest.mark.parametrize(
    ("request_", "arguments"),
    [
        ({"inputs": TEXT}, {}),
        ({"inputs": [TEXT, ""]}, {}),
        ({"inputs": [TEXT], "label": "xpos"}, {"label": "xpos"}),
        ({"inputs": ["Dogs", "bark"], "pretokenized": True}, {"pretokenized": True}),
        ({"inputs": [["Dogs", "bark"], [], ["Yes"]], "pretokenized": True}, {"pretokenized": True}),
        ({"inputs": []}, {}),
    ],
)
def test_a_tagger_answers_as_the_pipeline_does(folders, tagger, request_, arguments):
    [response] = asked(folders, request_, path="/v1/pos")
    assert response.status_code == 200
    assert is_same(response.json(), tagger.predict(request_["inputs"], **arguments))


def test_a_classifier_answers_as_the_pipeline_does(folders, critic):
    texts = ["A quiet, wonderful film.", ""]
    one, every, blank = asked(
        folders, {"inputs": texts}, {"inputs": texts, "top_k": None}, {"inputs": " "}, path="/v1/sentiment"
    )
    assert is_same(one.json(), critic.predict(texts))
    assert is_same(every.json(), critic.predict(texts, top_k=None))
    assert is_same(blank.json(), critic.predict(" "))


def test_a_language_model_writes_as_the_pipeline_does():
    folder = bundled_model("lm-en")
    options = {"max_new_tokens": 4, "temperature": 0.8, "seed": 3}
    right = opened(folder).predict("The old man", **options)
    good, long, broad = asked(
        {folder: ["generate"]},
        {"inputs": ["The old man", "He"], **options},
        {"inputs": "The", "max_new_tokens": 501},
        {"inputs": "The", "num_beams": 17},
        path="/v1/generate",
    )
    assert good.json()[0] == right
    assert long.status_code == broad.status_code == 422
    assert "max_new_tokens is 501; this server takes up to 500" in long.json()["error"]
    assert "num_beams is 17" in broad.json()["error"]


def test_a_bad_item_is_answered_in_place(folders, critic):
    body = json.dumps({"inputs": ["Good.", 5, None, "\ud800", "word " * 3_000, "Bad."]})

    async def scenario():
        async with serving(folders) as client:
            return await client.post("/v1/sentiment", content=body, headers={"Content-Type": "application/json"})

    response = asyncio.run(scenario())
    assert response.status_code == 200
    good, number, nothing, half, cut, bad = response.json()
    assert is_same([good, bad], critic.predict(["Good.", "Bad."]))
    assert number == {"error": "input 1 is 5 (int); give a string"}
    assert nothing["error"].startswith("input 2 is None")
    assert "lone surrogate" in half["error"]
    assert cut["error"] == "input 4 has 15,000 characters; this server takes up to 10,000. Cut it"


def test_many_clients_at_once_each_get_their_own_answers(folders, tagger, critic):
    texts = [example.document.text for example in tagged_examples()][:24]
    right = {
        "/v1/pos": {text: tagger.predict(text) for text in texts},
        "/v1/sentiment": {text: critic.predict(text) for text in texts},
    }

    async def scenario():
        async with serving(folders) as client:

            async def ask(number):
                wrong = 0
                for place in range(3):
                    text = texts[(number * 5 + place) % len(texts)]
                    path = ("/v1/pos", "/v1/sentiment")[(number + place) % 2]
                    other = texts[number % len(texts)]
                    inputs = [text, other] if number % 3 == 0 else text
                    answer = (await client.post(path, json={"inputs": inputs})).json()
                    wanted = [right[path][text], right[path][other]] if number % 3 == 0 else right[path][text]
                    wrong += not is_same(answer, wanted)
                return wrong

            wrong = await asyncio.gather(*(ask(number) for number in range(48)))
            return sum(wrong), (await client.get("/metrics")).text

    wrong, metrics = asyncio.run(scenario())
    assert wrong == 0
    samples = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    num_texts = {
        name: float(samples[f'nlp_lstm_texts_total{{model="{name}",outcome="answered"}}'])
        for name in ("pos-en", "sentiment")
    }
    assert sum(num_texts.values()) == 3 * (48 + 16)
    for name, count in num_texts.items():
        assert float(samples[f'nlp_lstm_batch_texts_sum{{model="{name}"}}']) == count
        assert float(samples[f'nlp_lstm_batch_texts_count{{model="{name}"}}']) < count  # some were joined


# ---- refusals


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"inputs": 5}, "input is 5 (int); give a string or a list of strings"),
        ({"inputs": {"text": "x"}}, "give a string or a list of strings"),
        ({}, '"inputs" is missing'),
        ([], "the request is no JSON object"),
        ({"inputs": "x", "tok_k": 2}, 'unknown key "tok_k"; known keys: explain, inputs, pretokenized, top_k. Did you'),
        ({"inputs": "x", "top_k": "2"}, "top_k is '2'"),
        ({"inputs": "x", "top_k": 0}, "top_k is 0"),
        ({"inputs": "x", "top_k": 2, "explain": True}, "leave out top_k"),
        ({"inputs": "x" * 10_001}, "input has 10,001 characters; this server takes up to 10,000. Cut it"),
        ({"inputs": ["x"] * 101}, "101 inputs in one request; this server takes up to 100. Send fewer"),
        ({"inputs": ["x"], "pretokenized": 1}, "pretokenized is 1"),
        ({"inputs": ["good", ""], "pretokenized": True}, "token 1 is empty"),
    ],
)
def test_a_request_that_cannot_be_answered_gets_the_reason(folders, request_, reason):
    [response] = asked(folders, request_)
    assert response.status_code == 422
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 422, "at character 1"),
        (b'{"inputs": "\xff"}', 422, "at byte 12"),
        (b'{"inputs": NaN}', 422, "NaN is no number of JSON"),
        (b"[" * 100_000, 422, "nested too deeply"),
        (b"x" * 2_000_000, 413, "larger than the 1,048,576 bytes"),
    ],
)
def test_a_body_that_is_no_json_or_too_large_is_refused(folders, body, status, reason):
    async def scenario():
        async with serving(folders) as client:
            return await client.post("/v1/pos", content=body, headers={"Content-Type": "application/json"})

    response = asyncio.run(scenario())
    assert response.status_code == status
    assert reason in response.json()["error"]


def test_a_body_is_bounded_while_it_comes_in(folders):
    async def scenario():
        async with serving(folders, limits=ServingLimits(max_body=10_000)) as client:
            num_parts = 0

            async def receive():
                nonlocal num_parts
                num_parts += 1
                return {"type": "http.request", "body": b"x" * 4_000, "more_body": True}  # without end

            return await send_parts(client.app, "/v1/pos", receive), num_parts

    (status, _), num_parts = asyncio.run(scenario())
    assert status == 413
    assert num_parts == 3


def test_bodies_are_bounded_together(folders):
    async def scenario():
        async with serving(folders, limits=ServingLimits(max_body=10_000, max_bodies=10_000)) as client:
            waits, has_begun = asyncio.Event(), asyncio.Event()
            parts = [{"type": "http.request", "body": b'{"inputs": "' + b"x" * 6_000, "more_body": True}]

            async def receive():
                if parts:
                    return parts.pop()
                has_begun.set()
                await waits.wait()
                return {"type": "http.request", "body": b'"}'}

            first = asyncio.ensure_future(send_parts(client.app, "/v1/pos", receive))
            await has_begun.wait()
            second = await client.post("/v1/pos", json={"inputs": "y" * 6_000})
            waits.set()
            return await first, second, await client.post("/v1/pos", json={"inputs": "y" * 6_000})

    (status, _), second, third = asyncio.run(scenario())
    assert (status, second.status_code, third.status_code) == (200, 429, 200)


def test_a_body_that_does_not_come_in_time_is_not_waited_for(folders):
    async def scenario():
        async with serving(folders, limits=ServingLimits(deadline=0.05)) as client:
            return await send_parts(client.app, "/v1/pos", asyncio.Event().wait)

    status, body = asyncio.run(scenario())
    assert status == 408
    assert "send it at once" in json.loads(body)["error"]


def test_only_json_is_taken_and_wrong_paths_say_what_there_is(folders):
    async def scenario():
        async with serving(folders) as client:
            form = await client.post("/v1/pos", data={"inputs": "x"})
            nowhere = await client.post("/v1/poss", json={"inputs": "x"})
            return form, nowhere, await client.get("/v1/pos"), await client.get("/v1")

    form, nowhere, got, models = asyncio.run(scenario())
    assert (form.status_code, nowhere.status_code, got.status_code) == (415, 404, 405)
    assert nowhere.json() == {"error": "nothing is here; there are /v1/pos-en, /v1/pos, /v1/sentiment"}
    assert models.json()[0] == {"names": ["pos-en", "pos"], "task": "pos", "language": "en", "is_ready": True}


class Gate:
    """Holds every batch until it is opened."""

    def __init__(self, monkeypatch):
        self.open, self.begun, self.computed = threading.Event(), threading.Event(), []
        answer_items = answers_module.answer_items

        def wait(pipeline, items, alike):
            self.begun.set()
            self.open.wait(10)
            self.computed += [item.value for item in items]
            return answer_items(pipeline, items, alike)

        monkeypatch.setattr("nlp_lstm.serving.models.answer_items", wait)


async def until_waiting(client, count):
    """Wait until so many texts wait for the tagger."""
    while f'nlp_lstm_waiting_texts{{model="pos-en"}} {count}.0' not in (await client.get("/metrics")).text:
        await asyncio.sleep(0.01)


def test_a_full_queue_answers_429_and_recovers(folders, monkeypatch):
    gate = Gate(monkeypatch)

    async def scenario():
        async with serving(folders, limits=ServingLimits(max_waiting=2, window=0)) as client:
            first = asyncio.ensure_future(client.post("/v1/pos", json={"inputs": "One."}))
            await asyncio.to_thread(gate.begun.wait, 10)
            waiting = [asyncio.ensure_future(client.post("/v1/pos", json={"inputs": "Two."})) for _ in range(2)]
            await until_waiting(client, 2)
            refused = await client.post("/v1/pos", json={"inputs": "Three."})
            gate.open.set()
            accepted = await asyncio.gather(first, *waiting)
            return (
                refused,
                [response.status_code for response in accepted],
                await client.post("/v1/pos", json={"inputs": "Four."}),
            )

    refused, accepted, last = asyncio.run(scenario())
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert accepted == [200, 200, 200]
    assert last.status_code == 200
    assert "Three." not in gate.computed


def test_the_deadline_answers_504_and_what_had_not_begun_is_not_computed(folders, monkeypatch):
    gate = Gate(monkeypatch)

    async def scenario():
        async with serving(folders, limits=ServingLimits(deadline=1, window=0)) as client:
            first = asyncio.ensure_future(client.post("/v1/pos", json={"inputs": "One."}))
            await asyncio.to_thread(gate.begun.wait, 10)
            second = await client.post("/v1/pos", json={"inputs": "Two."})
            gate.open.set()
            return await first, second

    first, second = asyncio.run(scenario())
    assert first.status_code == second.status_code == 504
    assert "no answer within 1 seconds" in second.json()["error"]
    assert gate.computed == ["One."]


def test_a_stop_finishes_what_was_accepted(folders, monkeypatch):
    gate = Gate(monkeypatch)

    async def scenario():
        async with serving(folders, limits=ServingLimits(window=0)) as client:
            asking = [asyncio.ensure_future(client.post("/v1/pos", json={"inputs": f"{n}."})) for n in range(3)]
            await until_waiting(client, 2)
            threading.Timer(0.05, gate.open.set).start()
        return [response.status_code for response in await asyncio.gather(*asking)]

    assert asyncio.run(scenario()) == [200, 200, 200]
    assert sorted(gate.computed) == ["0.", "1.", "2."]


# ---- models


def test_before_a_model_is_open_readyz_and_requests_say_so(folders, monkeypatch):
    go = threading.Event()

    def open_late(folder, **options):
        go.wait(10)
        return opened(folder)

    monkeypatch.setattr("nlp_lstm.serving.models.Pipeline", open_late)

    async def scenario():
        async with serving(folders, is_awaited=False) as client:
            early = await client.get("/readyz"), await client.post("/v1/pos", json={"inputs": TEXT})
            healthy = await client.get("/healthz")
            go.set()
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.01)
            return *early, healthy, await client.post("/v1/pos", json={"inputs": TEXT})

    ready, early, healthy, late = asyncio.run(scenario())
    assert (ready.status_code, ready.json()) == (503, {"status": "opening", "missing": ["pos-en", "sentiment"]})
    assert (early.status_code, early.headers["Retry-After"]) == (503, "1")
    assert healthy.status_code == late.status_code == 200


def test_a_damaged_model_is_never_ready(tmp_path, monkeypatch):
    folder = shutil.copytree(bundled_model("pos-en"), tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    failures = []
    monkeypatch.setattr("nlp_lstm.serving.models.Pipeline", Pipeline)

    async def scenario():
        async with serving({folder: ["pos"]}, on_failure=failures.append) as client:
            return await client.get("/readyz"), await client.post("/v1/pos", json={"inputs": TEXT})

    ready, answer = asyncio.run(scenario())
    assert (ready.status_code, ready.json()) == (503, {"status": "failed", "missing": ["pos"]})
    assert answer.status_code == 503
    assert isinstance(failures[0], CheckpointError)


def test_a_text_that_makes_the_model_fail_harms_no_other_and_is_not_logged(folders, monkeypatch, caplog):
    predict = Pipeline.predict

    def refuse_some(self, inputs, **options):
        if any("secret" in text for text in inputs):
            raise RuntimeError(f"cannot read {inputs}")
        return predict(self, inputs, **options)

    monkeypatch.setattr(Pipeline, "predict", refuse_some)
    with caplog.at_level(logging.INFO):
        both, alone = asked(folders, {"inputs": ["my secret", "Good."]}, {"inputs": "my secret"})
    assert (both.status_code, alone.status_code) == (200, 500)
    assert "the server's log says how" in both.json()[0]["error"]
    assert both.json()[1]["label"]
    lines = [JsonFormatter().format(record) for record in caplog.records if record.name.startswith("nlp_lstm")]
    assert any(json.loads(line).get("error") == "RuntimeError" for line in lines)
    assert not any("secret" in line for line in lines)


def test_logs_have_a_line_a_request_without_its_text_or_an_unknown_path(folders, caplog):
    with caplog.at_level(logging.INFO, "nlp_lstm"):
        asked(folders, {"inputs": ["confidential", "x"]}, path="/v1/pos")
        asked(folders, {"inputs": "x"}, path="/v1/confidential")
    lines = [JsonFormatter().format(record) for record in caplog.records]
    requests = [json.loads(line) for line in lines if "/readyz" not in line]
    assert [(line["event"], line["path"], line["status"]) for line in requests] == [
        ("request", "/v1/pos", 200),
        ("request", "?", 404),
    ]
    assert (requests[0]["model"], requests[0]["texts"]) == ("pos-en", 2)
    assert not any("confidential" in line for line in lines)


# ---- the token


def test_with_a_token_only_health_is_answered_without_it(folders):
    async def scenario():
        async with serving(folders, token=TOKEN) as client:
            paths = ("/healthz", "/readyz", "/v1", "/metrics", "/openapi.json")
            found = {}
            for header in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"bearer {TOKEN}"):
                client.headers["Authorization"] = header
                statuses = [(await client.get(path)).status_code for path in paths]
                answer = await client.post("/v1/pos", json={"inputs": TEXT})
                found[header] = [*statuses, answer.status_code]
            client.headers["Authorization"] = ""
            return found, (await client.post("/v1/pos", json={"inputs": TEXT})).headers["WWW-Authenticate"]

    found, challenge = asyncio.run(scenario())
    assert found.pop(f"bearer {TOKEN}") == [200] * 6
    assert set(map(tuple, found.values())) == {(200, 200, 401, 401, 401, 401)}
    assert challenge == "Bearer"


# ---- what is said of requests and answers


@pytest.mark.parametrize("name", list(tasks))
def test_the_options_of_every_task_are_those_of_the_pipeline(name):
    assert set(options_type(tasks.get(name)).model_fields) == set(tasks.get(name).option_names)


def test_openapi_has_the_models_of_requests_and_results(folders):
    async def scenario():
        async with serving(folders, token=TOKEN) as client:
            return (await client.get("/openapi.json")).json()

    document = asyncio.run(scenario())
    assert {"/v1/pos", "/v1/pos-en", "/v1/sentiment", "/v1", "/healthz", "/readyz", "/metrics"} == set(
        document["paths"]
    )
    route = document["paths"]["/v1/sentiment"]["post"]
    body = route["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"inputs", "pretokenized", "top_k", "explain"}
    assert body["required"] == ["inputs"]
    assert not body["additionalProperties"]
    result = json.dumps(route["responses"]["200"]["content"]["application/json"]["schema"])
    assert "#/components/schemas/Label" in result
    assert "#/components/schemas/ItemError" in result
    assert {"Label", "Token", "ItemError"} <= set(document["components"]["schemas"])
    assert {"413", "422", "429", "504"} <= set(route["responses"])
    assert document["security"] == [{"token": []}]
    references = {found for found in json.dumps(document).split('"') if found.startswith("#/components/schemas/")}
    assert {found.rpartition("/")[2] for found in references} <= set(document["components"]["schemas"])


def test_answers_have_the_shape_that_openapi_says(folders):
    inputs = [TEXT, 5]
    tagged, single = asked(folders, {"inputs": inputs}, {"inputs": TEXT}, path="/v1/pos")
    labelled, every = asked(folders, {"inputs": inputs}, {"inputs": TEXT, "top_k": None})
    for task, responses in (("pos", (tagged, single)), ("sentiment", (labelled, every))):
        adapter = TypeAdapter(result_type(task))
        for response in responses:
            read = adapter.validate_json(response.content, strict=True)
            assert json.loads(adapter.dump_json(read, exclude_none=True)) == response.json()


# ---- files


def test_no_path_in_a_request_is_opened(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("price\n1\n2\n", encoding="utf-8")
    facts = SeriesFacts(
        columns=("price",),
        means=(0.0,),
        scales=(1.0,),
        symbols=None,
        labels=None,
        shares=(),
        limits=(),
        ahead=(0.0, 1.0),
        reading=SeriesReading(),
    )
    series = SeriesPredictor(SeriesSettings(answers="value"), facts)
    for inputs in (str(path), [str(path)], [[str(path)]]):
        values, _ = split_inputs(series, inputs, is_pretokenized=False)
        item = read_item(series, values[0], "input", max_text=100)
        assert "The server opens no files" in item.fault
        assert item.value is None
    table = {"price": [1.0, 2.0]}
    assert split_inputs(series, table, is_pretokenized=False) == ([table], True)
    assert read_item(series, table, "input", max_text=100).value == table
    assert read_item(series, {"price": [1.0] * 101}, "input", max_text=100).fault.startswith("input has 101")


@pytest.mark.parametrize("task", ["caption", "video"])
def test_a_picture_or_clip_comes_as_base64_and_not_as_a_path(task, tmp_path):
    describer = tasks.get(task)
    content = b"\x89PNG of a sort"
    item = read_item(describer, base64.b64encode(content).decode(), "input", max_text=1)
    assert (item.value, item.fault) == (content, "")
    for value in (str(tmp_path / "picture.png"), "", 5, {"path": "x"}, "Zm9v\n"):
        item = read_item(describer, value, "input", max_text=100)
        assert item.value is None
        assert item.fault


# ---- which models


def test_models_are_served_by_name_and_by_task(tmp_path):
    tagger, critic = bundled_model("pos-en"), bundled_model("sentiment-en")
    own = shutil.copytree(tagger, tmp_path / "model")
    assert choose_models(["pos"]) == {tagger: ["pos-en", "pos"]}
    assert choose_models(["sentiment-en", "pos"]) == {critic: ["sentiment-en", "sentiment"], tagger: ["pos-en", "pos"]}
    assert choose_models([str(own)]) == {own: ["pos"]}
    assert choose_models([f"mine={own}", "pos"]) == {own: ["mine"], tagger: ["pos-en", "pos"]}
    assert choose_models([f"mine={own}"]) == {own: ["mine", "pos"]}
    assert {"pos-en", "sentiment-en"} <= {names[0] for names in choose_models([]).values()}
    for wrong in (["pos", "pos-en"], ["pos", str(own)], [f"pos-en={own}", "pos"], [f"a/b={own}"]):
        with pytest.raises(ConfigError):
            choose_models(wrong)


# ---- anything at all

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
names = st.sampled_from(["inputs", "pretokenized", "label", "top_k", "explain", "other"])


@given(st.lists(st.dictionaries(names, values, max_size=4) | values, min_size=20, max_size=20))
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
def test_whatever_json_comes_is_answered_or_refused_with_a_reason(folders, requests):
    async def scenario():
        async with serving(folders) as client:
            client.headers["Content-Type"] = "application/json"
            bodies = map(json.dumps, requests)
            return [await client.post(path, content=body) for body in bodies for path in PATHS]

    for response in asyncio.run(scenario()):
        assert response.status_code in (200, 422)
        assert response.status_code == 200 or response.json()["error"]
