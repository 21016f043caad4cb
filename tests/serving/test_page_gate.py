"""What passes the gate of the page, and the page as Gradio has it."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import bundled_model
from serving_client import serving

from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.page.gate import Page
from nlp_lstm.serving.page.reports import Reports

TEXT = "Please book that flight!"
TOKEN = "0123456789abcdef"


def test_a_server_without_the_page_goes_on_as_before():
    async def scenario():
        async with serving({bundled_model("pos-en"): ["pos"]}) as client:
            return [(await client.get(path)).status_code for path in ("/", "/page/", "/healthz")]

    assert asyncio.run(scenario()) == [404, 404, 200]


def gated(*requests, **options):
    """Return the answers of a gate in front of an application that tells what it got."""
    seen = []

    async def behind(scope, receive, send):
        if scope["type"] == "http":
            seen.append((scope["path"], scope["query_string"], (await receive()).get("body")))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"answer"})

    async def scenario():
        page = Page(lambda: None, ServingLimits(max_body=2_000), Reports(options.get("reports")))
        page._app = behind
        found = []
        for method, path, body, headers in requests:
            found.append(await asked(page, method, path, body, headers))
        return found

    return asyncio.run(scenario()), seen


async def asked(page, method, path, body, headers):
    """Return the status and the headers of an answer."""
    sent = []
    scope = {
        "type": "http",
        "method": method,
        "path": f"/page{path.partition('?')[0]}",
        "root_path": "/page",
        "query_string": path.partition("?")[2].encode(),
        "headers": [(b"content-type", b"application/json"), (b"host", b"here"), *headers],
    }

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    await page(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


JOIN = "/gradio_api/queue/join"
GOOD = {"data": ["pos", "A text", 3, None, True], "fn_index": 0, "session_hash": "abc", "trigger_id": 5}


def test_only_what_the_page_needs_passes():
    barred = [
        ("POST", "/gradio_api/upload", b"", ()),
        ("GET", "/gradio_api/file=/etc/passwd", b"", ()),
        ("GET", "/gradio_api/proxy=http://elsewhere", b"", ()),
        ("POST", "/gradio_api/run/predict", b"{}", ()),
        ("POST", "/gradio_api/call/tag", b"{}", ()),
        ("POST", "/gradio_api/component_server", b"{}", ()),
        ("GET", "/gradio_api/deep_link", b"", ()),
        ("GET", "/monitoring", b"", ()),
        ("DELETE", "/", b"", ()),
    ]
    found, seen = gated(*barred)
    assert [status for status, _ in found] == [404] * len(barred)
    assert not seen


def test_what_passes_is_bounded_plain_and_told_to_load_nothing():
    body = json.dumps({**GOOD, "event_data": {"path": "/etc/passwd"}, "simple_format": True}).encode()
    found, seen = gated(("POST", JOIN, body, ()), ("GET", "/?deep_link=x", b"", ()))
    assert [status for status, _ in found] == [200, 200]
    assert json.loads(seen[0][2]) == GOOD
    assert seen[1][:2] == ("/page/", b"")
    policy = found[1][1][b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy
    beat, _ = gated(("GET", "/gradio_api/heartbeat/abc", b"", ()))
    assert beat[0][0] == 204


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]}, (), 422),
        ({"data": [["nested"]]}, (), 422),
        ({"data": ["x"] * 11}, (), 422),
        ({"data": ["x" * 3_000]}, (), 413),
        ({"session_hash": "x" * 100}, (), 422),
        ({"session_hash": {"a": 1}}, (), 422),
        ({}, ((b"sec-fetch-site", b"cross-site"),), 403),
        ({}, ((b"origin", b"http://elsewhere"),), 403),
        ({}, ((b"origin", b"http://here"), (b"sec-fetch-site", b"same-origin")), 200),
    ],
)
def test_requests_of_the_page_are_checked(changes, headers, status):
    found, seen = gated(("POST", JOIN, json.dumps({**GOOD, **changes}).encode(), headers))
    assert found[0][0] == status
    assert len(seen) == (status == 200)


def test_reports_are_given_without_the_right_to_run_anything(tmp_path):
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "report.html").write_text("<p>fine</p>", encoding="utf-8")
    found, _ = gated(("GET", "/reports/pos", b"", ()), ("GET", "/reports/../pos", b"", ()), reports=tmp_path)
    assert [status for status, _ in found] == [200, 404]
    assert "sandbox" in found[0][1][b"content-security-policy"].decode()


def test_the_page_asks_for_the_token():
    def basic(password):
        return {"Authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}

    async def scenario():
        async with serving({bundled_model("pos-en"): ["pos"]}, token=TOKEN, has_page=True) as client:
            tries = [{}, basic("0123456789abcdee"), {"Authorization": "Basic ?"}, basic(TOKEN)]
            found = [await client.get("/", headers={"Authorization": "", **headers}) for headers in tries]
            program = await client.post("/v1/pos", json={"inputs": TEXT}, headers=basic(TOKEN))
            return found, program.status_code

    found, program = asyncio.run(scenario())
    assert [answer.status_code for answer in found] == [401, 401, 401, 307]
    assert found[0].headers["WWW-Authenticate"].startswith("Basic")
    assert found[3].headers["location"] == "/page/"
    assert program == 401  # programs send no passwords


# ---- Gradio itself


@pytest.mark.slow
def test_gradio_shows_a_tab_for_each_task_and_writes_no_text_to_the_log():
    pytest.importorskip("gradio")
    bundled_model("pos-en")
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, here / "page_client.py"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    config = found["config"]
    assert "is being opened" in found["first"]
    assert "fonts.googleapis" not in found["page"]
    assert config["analytics_enabled"] is False
    titles = [part["props"]["label"] for part in config["components"] if part["type"] == "tabitem"]
    assert titles == ["Words", "Opinion", "Look inside", "Reports"]
    completed = [line for line in found["right"].splitlines() if "process_completed" in line]
    [answer] = json.loads(completed[0].removeprefix("data: "))["output"]["data"]
    assert "<small>noun</small>" in answer
    assert "<small>noun</small>" not in found["wrong"]
    assert "the page failed" in done.stderr
    assert "confidential" not in done.stderr
