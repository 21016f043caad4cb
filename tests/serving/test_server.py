"""The process: its address, its token, how it starts and stops."""

import http.client
import importlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import bundled_model
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.errors import ConfigError
from nlp_lstm.serving.app import create_app
from nlp_lstm.serving.server import TOKEN_VARIABLE, check_address, is_loopback, listen, read_token

TEXT = "A quiet, wonderful and confidential film."


def test_a_process_serves_without_torch_and_finishes_what_it_accepted(tmp_path):
    bundled_model("sentiment-en")
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "nlp_lstm", "serve", "sentiment", "--port", "0", "--deadline", "60"]
        process = subprocess.Popen(command, stderr=file, stdout=file)
    try:
        port = wait_for(lambda: json.loads(log.read_text(encoding="utf-8").partition("\n")[0])["port"], process)
        wait_for(lambda: ask(port, "GET", "/readyz")[0] == 200 or None, process)
        assert ask(port, "POST", "/v1/sentiment", {"inputs": TEXT})[1]["label"] == "POSITIVE"
        libraries = Path(f"/proc/{process.pid}/maps")
        assert not libraries.exists() or "libtorch" not in libraries.read_text(encoding="utf-8")

        slow = socket.create_connection(("127.0.0.1", port))  # accepted, but its body is not here yet
        body = json.dumps({"inputs": TEXT}).encode()
        head = (
            f"POST /v1/sentiment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        slow.sendall(f"{head}\r\n\r\n".encode() + body[:5])
        wait_for(lambda: ask(port, "GET", "/healthz")[0] == 200 or None, process)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: cannot_connect(port) or None, process)
        slow.sendall(body[5:])
        answer = http.client.HTTPResponse(slow)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["label"]) == (200, "POSITIVE")
        slow.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in (lines[0], lines[-1])] == ["listening", "stopped"]
    assert [line["status"] for line in lines if line.get("path") == "/v1/sentiment"] == [200, 200]
    assert "confidential" not in log.read_text(encoding="utf-8")


def wait_for(found, process):
    """Return what `found` gives once it gives something."""
    for _ in range(2_000):
        assert process.poll() is None
        try:
            if (value := found()) is not None:
                return value
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    return pytest.fail("the server did not come so far")


def ask(port, method, path, content=None):
    """Return the status and the content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def cannot_connect(port):
    """Whether nobody listens any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def run_serve(*arguments):
    """Run `nlp-lstm serve` up to its first error; return it."""
    return CliRunner().invoke(app, ["serve", *arguments]).exception


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_another_address_needs_a_token(host, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    error = run_serve("pos", "--host", host)
    assert isinstance(error, ConfigError)
    assert f"set {TOKEN_VARIABLE} or give --token-file" in str(error)
    check_address(host, "0123456789abcdef")


def test_addresses_of_this_machine_need_none():
    check_address("127.0.0.1", None)
    assert is_loopback("::1")
    assert is_loopback("localhost")
    with pytest.raises(ConfigError):
        is_loopback("no such host")


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert read_token(None) is None
    monkeypatch.setenv(TOKEN_VARIABLE, "0123456789abcdef")
    assert read_token(None) == "0123456789abcdef"
    file = tmp_path / "token"
    file.write_text("fedcba9876543210\n", encoding="utf-8")
    assert read_token(file) == "fedcba9876543210"


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "ein schöner Schlüssel"])
def test_a_token_that_is_short_or_no_header_is_refused_and_not_shown(token, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(ConfigError) as refused:
        read_token(None)
    assert not token or token not in str(refused.value)
    with pytest.raises(ConfigError):
        read_token(Path("no such file"))


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = run_serve("pos", "--port", str(port))
    assert isinstance(error, ConfigError)
    assert re.match(f"127.0.0.1 port {port} cannot be listened on: ", str(error))
    listen("127.0.0.1", 0).close()


def test_a_missing_library_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("nlp_lstm.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    error = run_serve("pos")
    assert isinstance(error, ConfigError)
    assert str(error) == "uvicorn is not installed; pip install 'nlp-lstm[serve]'"


@pytest.mark.parametrize(
    ("is_here", "flags", "has_page", "says"),
    [(None, [], False, True), (1, [], True, False), (1, ["--no-page"], False, False)],
)
def test_without_gradio_the_server_has_no_page_and_says_what_to_install(
    is_here, flags, has_page, says, monkeypatch, caplog
):
    bundled_model("pos-en")
    made = []

    def create(*arguments, **options):
        made.append(options["has_page"])
        return create_app(*arguments, **options)

    server_module = importlib.import_module("nlp_lstm.serving.server")
    monkeypatch.setattr(server_module, "find_spec", lambda name: is_here)
    monkeypatch.setattr(server_module, "create_app", create)
    monkeypatch.setattr(server_module, "write_logs", lambda: None)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: sockets[0].close())
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with caplog.at_level("INFO", "nlp_lstm"):
        assert run_serve("pos", "--port", "0", *flags) is None
    assert made == [has_page]
    assert ("pip install 'nlp-lstm[page]'" in caplog.text) == says
