"""Load on the server: how many requests a second, how late, nothing lost or mixed up, and what overload does.

joined     `nlp-lstm serve` as it is
alone      the same with --no-joining
constant   the same route, but it answers each request with the same bytes, the answer to a text in the middle

Each of these runs in a process of its own, one after the other, and is asked by --clients clients that send a request
when their last one is answered, for --seconds. Every answer is compared with the Pipeline's own: labels and words must
be equal, numbers within 1e-5. Then `joined` is asked at a fixed rate, --overload times what it managed, whatever it
answers; its memory is read all the while, and afterwards the time is taken until it answers as before.

The clients run in --processes processes beside the server, on the same cores: what they take, the server lacks.

    python benchmarks/serving.py [--model sentiment] [--seconds 60] [--clients 64] [--processes 1]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAYS = ("joined", "alone", "constant")
DATA = {"pos": "ud-english-ewt", "sentiment": "sst2"}
NUM_TEXTS = 1_000
TOLERANCE = 1e-5
MOST_CONNECTIONS = 600  # of a client process that keeps a rate
PROBES = 20


def main() -> None:
    """Measure all ways, then overload, and print what was found; end with 1 if an answer was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sentiment", choices=DATA)
    parser.add_argument("--seconds", type=float, default=60, help="of each way")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--processes", type=int, default=1, help="that the clients run in")
    parser.add_argument("--words", type=int, default=0, help="only sentences of up to so many words; 0 for all")
    parser.add_argument("--overload", type=float, default=2.0, help="times the capacity; 0 leaves it out")
    parser.add_argument("--overload-seconds", type=float, default=None, help="default as --seconds")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--role", choices=("client", "constant"), help="be one of the processes")
    parser.add_argument("--port", type=int)
    parser.add_argument("--rate", type=float, default=0, help="of a client process: requests a second")
    parser.add_argument("--texts", type=Path, help="of a client process: the texts with the right answers")
    parser.add_argument("--unchecked", action="store_true", help="of a client process: any answer is right")
    arguments = parser.parse_args()
    if arguments.role == "constant":
        serve_constant(arguments.texts)
    elif arguments.role == "client":
        print(json.dumps(asyncio.run(Client(arguments).run())))
    else:
        sys.exit(measure(arguments))


# ---- the whole


def measure(arguments: argparse.Namespace) -> int:
    """Run the ways and the overload; return the exit code."""
    overloaded: dict[str, Any] = {"lost": 0, "wrong": 0}
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        rows = right_answers(arguments.model, arguments.words)
        texts.write_text(json.dumps(rows), encoding="utf-8")
        words = statistics.mean(len(text.split()) for text, _ in rows)
        print(
            f"{len(rows):,} texts of {words:.1f} words; {arguments.clients} clients in {arguments.processes} processes "
            f"on {len(os.sched_getaffinity(0))} cores shared with the server"
        )
        print(
            f"{'':<9}{'requests/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'answered':>10}{'other':>7}{'lost':>6}{'wrong':>7}",
            end="",
        )
        print(f"{'server CPU':>12}{'client CPU':>12}")
        found = {}
        for way in arguments.ways:
            with server(way, arguments.model, texts) as (process, port):
                arguments.unchecked = way == "constant"
                ask(arguments, port, texts, seconds=min(2.0, arguments.seconds))  # warm
                began = cpu_seconds(process.pid)
                found[way] = ask(arguments, port, texts, seconds=arguments.seconds)
                print_row(way, found[way], cpu_seconds(process.pid) - began)
                if way == "joined" and arguments.overload:
                    overloaded = overload(arguments, process.pid, port, texts, found[way]["rate"] * arguments.overload)
        if {"joined", "alone"} <= found.keys():
            print(f"joined / alone    {found['joined']['rate'] / found['alone']['rate']:.2f}")
        if {"joined", "constant"} <= found.keys():
            print(f"joined / constant {found['joined']['rate'] / found['constant']['rate']:.2f}")
        if "joined" in found and arguments.overload:
            print_overload(overloaded)
    is_good = not any(way["lost"] or way["wrong"] or way["statuses"].keys() - {"200"} for way in found.values())
    return int(not is_good or bool(overloaded["lost"] or overloaded["wrong"]))


def right_answers(model: str, most_words: int) -> list[tuple[str, Any]]:
    """Return texts with the Pipeline's own answers, each text asked by itself."""
    from nlp_lstm import Pipeline
    from nlp_lstm.data.catalogue import find_data

    examples = find_data([DATA[model]]).read_splits(("test",))["test"]
    texts = [text for example in examples if 0 < len((text := example.document.text).split()) <= (most_words or 1_000)]
    pipeline = Pipeline(model)
    return [(text, pipeline.predict(text)) for text in dict.fromkeys(texts[:NUM_TEXTS])]


def print_row(way: str, found: dict[str, Any], server_cpu: float) -> None:
    """Print a way's line."""
    answered = found["statuses"].get("200", 0)
    print(
        f"{way:<9}{found['rate']:>11,.0f}{found['p50']:>8.1f}{found['p99']:>8.1f}{answered:>10,}"
        f"{sum(found['statuses'].values()) - answered:>7,}{found['lost']:>6,}{found['wrong']:>7,}"
        f"{server_cpu / found['seconds']:>12.2f}{found['cpu'] / found['seconds']:>12.2f}",
        flush=True,
    )


def print_overload(found: dict[str, Any]) -> None:
    """Print what overload did."""
    sizes = found["memory"]
    tenth = max(1, len(sizes) // 10)
    print(
        f"overload: {found['wanted']:,.0f} requests/s wanted, {found['offered']:,.0f} sent for "
        f"{found['seconds']:.0f} s; a request that finds all {MOST_CONNECTIONS} connections busy is not sent\n"
        f"  answers: {', '.join(f'{status} {count:,}' for status, count in sorted(found['statuses'].items()))}; "
        f"lost {found['lost']}, wrong {found['wrong']}; answered 200 {found['rate']:,.0f} a second, "
        f"p99 {found['p99']:.0f} ms\n"
        f"  resident memory, MB: at the start {sizes[0]:.1f}, mean of the second tenth of the time "
        f"{statistics.mean(sizes[tenth : 2 * tenth] or sizes):.1f}, of the last {statistics.mean(sizes[-tenth:]):.1f}, "
        f"most {max(sizes):.1f}\n"
        f"  afterwards: answered after {found['recovery']:.3f} s; of the next {PROBES} requests {found['probes']} are "
        f"answered, the slowest in {found['slowest']:.1f} ms"
    )


# ---- the server's process


@contextmanager
def server(way: str, model: str, texts: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server, wait until it is ready, give its process and port, and stop it."""
    command = [sys.executable, "-m", "nlp_lstm", "serve", model, "--port", "0"]
    if way == "alone":
        command.append("--no-joining")
    if way == "constant":
        command = [sys.executable, __file__, "--role", "constant", "--model", model, "--texts", str(texts)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            port = 0
            while not port:
                if process.poll() is not None:
                    log.seek(0)
                    sys.exit(log.read().decode())
                time.sleep(0.1)
                log.seek(0)
                for line in log.read().splitlines():
                    port = port or json.loads(line).get("port", 0)
                log.seek(0, os.SEEK_END)
            while asyncio.run(get(port, "/readyz")) != 200:
                time.sleep(0.1)
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            if process.wait() != 0:
                print(f"{way}: the server ended with {process.returncode}")


def serve_constant(texts: Path) -> None:
    """Serve as `nlp-lstm serve` does, each request with the same answer."""
    from nlp_lstm.serving import models
    from nlp_lstm.serving.limits import ServingLimits
    from nlp_lstm.serving.server import serve

    rows = json.loads(texts.read_text(encoding="utf-8"))
    usual = sorted((json.dumps(answer).encode() for _, answer in rows), key=len)[len(rows) // 2]

    async def answer(self: Any, values: Any, deadline: float) -> tuple[int, bytes, int]:
        return 200, usual, 1

    models.ServedModel.answer = answer  # type: ignore[method-assign]
    model = "pos" if isinstance(rows[0][1], list) else "sentiment"
    serve([model], host="127.0.0.1", port=0, token_file=None, threads=1, limits=ServingLimits())


def cpu_seconds(pid: int) -> float:
    """Return what a process has used of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


# ---- asking


def ask(arguments: argparse.Namespace, port: int, texts: Path, *, seconds: float, rate: float = 0) -> dict[str, Any]:
    """Let the client processes ask, and return what they found together."""
    workers = start_clients(arguments, port, texts, seconds=seconds, rate=rate)
    return joined([json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers], seconds)


def start_clients(
    arguments: argparse.Namespace, port: int, texts: Path, *, seconds: float, rate: float = 0
) -> list[subprocess.Popen[bytes]]:
    """Start the client processes."""
    count = arguments.processes
    return [
        subprocess.Popen(
            [
                *(sys.executable, __file__, "--role", "client", "--model", arguments.model, "--texts", str(texts)),
                *("--port", str(port), "--seconds", str(seconds), "--rate", str(rate / count)),
                *("--clients", str(arguments.clients // count + (number < arguments.clients % count))),
                *(["--unchecked"] if arguments.unchecked else []),
            ],
            stdout=subprocess.PIPE,
        )
        for number in range(count)
    ]


def joined(parts: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what several client processes found as one."""
    statuses: Counter[str] = Counter()
    for part in parts:
        statuses.update(part["statuses"])
    waits = sorted(wait for part in parts for wait in part["waits"])
    return {
        "statuses": dict(statuses),
        "rate": sum(part["in_time"] for part in parts) / seconds,
        "p50": percentile(waits, 0.5),
        "p99": percentile(waits, 0.99),
        "seconds": seconds,
        **{key: sum(part[key] for part in parts) for key in ("lost", "wrong", "sent", "unsent", "cpu")},
    }


def percentile(ordered: list[float], share: float) -> float:
    """Return the smallest value, in milliseconds, that at least this share of ordered seconds is not above."""
    return 1_000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def overload(arguments: argparse.Namespace, pid: int, port: int, texts: Path, rate: float) -> dict[str, Any]:
    """Ask at a fixed rate, watch the memory, and then see how soon the server answers as before."""
    seconds = arguments.overload_seconds or arguments.seconds
    workers = start_clients(arguments, port, texts, seconds=seconds, rate=rate)
    for worker in workers:
        worker.stdout.readline()  # type: ignore[union-attr]
    began = time.perf_counter()
    memory = [megabytes(pid)]
    while time.perf_counter() < began + seconds:
        time.sleep(0.2)
        memory.append(megabytes(pid))
    for worker in workers:
        worker.stdout.readline()  # type: ignore[union-attr]
    recovered = asyncio.run(recover(arguments.model, port, json.loads(texts.read_text(encoding="utf-8"))[0][0]))
    found = joined([json.loads(worker.communicate()[0]) for worker in workers], seconds)
    return {**found, **recovered, "memory": memory, "wanted": rate, "offered": found["sent"] / seconds}


async def recover(model: str, port: int, text: str) -> dict[str, Any]:
    """Return the seconds to the first answer, and how the next requests fare."""
    began = time.perf_counter()
    connection = await Connection.open(port)
    request = make_request(model, text)
    while (await connection.ask(request))[0] != 200:
        await asyncio.sleep(0.01)
    recovery = time.perf_counter() - began
    waits, answered = [], 0
    for _ in range(PROBES):
        sent = time.perf_counter()
        answered += (await connection.ask(request))[0] == 200
        waits.append(1_000 * (time.perf_counter() - sent))
    connection.close()
    return {"recovery": recovery, "probes": answered, "slowest": max(waits)}


async def get(port: int, path: str) -> int:
    """Return the status of a GET."""
    connection = await Connection.open(port)
    status, _ = await connection.ask(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    connection.close()
    return status


def make_request(model: str, text: str) -> bytes:
    """Return the bytes of a request."""
    body = json.dumps({"inputs": text}).encode()
    head = f"POST /v1/{model} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# ---- a client process


class Connection(asyncio.Protocol):
    """A connection that is kept, with one request at a time: as little work as can be beside the server."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: Any = None

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Return an open connection."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the future gives status and body, or ConnectionError."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answer.set_exception(ConnectionError("closed"))
        else:
            self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = received[:end].lower()
        place = head.index(b"content-length:") + len(b"content-length:")
        length = int(head[place:].split(b"\r\n", 1)[0])
        body = received[end + 4 :]
        if len(body) >= length:
            self._received = b""
            if self._answer is not None and not self._answer.done():
                self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("lost"))


class Client:
    """The clients of one process.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        rows = json.loads(arguments.texts.read_text(encoding="utf-8"))
        self._arguments = arguments
        self._right = [answer for _, answer in rows]
        self._requests = [make_request(arguments.model, text) for text, _ in rows]
        self._answers: list[Counter[bytes]] = [Counter() for _ in rows]
        self._statuses: Counter[int] = Counter()
        self._waits: list[float] = []
        self._sent = self._lost = self._unsent = self._in_time = 0
        self._end = 0.0

    async def run(self) -> dict[str, Any]:
        """Ask until the time is over, then compare, and return what was found."""
        rate = self._arguments.rate
        count = MOST_CONNECTIONS if rate else self._arguments.clients
        connections = [await Connection.open(self._arguments.port) for _ in range(count)]
        print("begin", flush=True)
        cpu = time.process_time()
        self._end = time.perf_counter() + self._arguments.seconds
        if rate:
            await self._keep_rate(connections, rate)
        else:
            await asyncio.gather(
                *(self._keep_asking(connection, start) for start, connection in enumerate(connections))
            )
        cpu = time.process_time() - cpu
        wrong = 0 if self._arguments.unchecked else sum(map(self._count_wrong, range(len(self._right))))
        return {
            "statuses": self._statuses,
            "waits": self._waits,
            "sent": self._sent,
            "lost": self._lost,
            "unsent": self._unsent,
            "in_time": self._in_time,
            "wrong": wrong,
            "cpu": cpu,
        }

    async def _keep_asking(self, connection: Connection, start: int) -> None:
        place = start * 7
        while time.perf_counter() < self._end:
            await self._ask(connection, place % len(self._requests))
            place += 1

    async def _keep_rate(self, connections: list[Connection], rate: float) -> None:
        """Send at even distances; what is late is sent at once."""
        free = list(connections)
        asking: set[asyncio.Task[None]] = set()
        began = time.perf_counter()
        due = 0
        while (now := time.perf_counter()) < self._end:
            while due < (now - began) * rate:
                if free:
                    task = asyncio.ensure_future(self._ask_and_free(free.pop(), due % len(self._requests), free))
                    asking.add(task)
                    task.add_done_callback(asking.discard)
                else:
                    self._unsent += 1
                due += 1
            await asyncio.sleep(0.001)
        print("end", flush=True)
        await asyncio.gather(*asking)

    async def _ask_and_free(self, connection: Connection, place: int, free: list[Connection]) -> None:
        await self._ask(connection, place)
        free.append(connection)

    async def _ask(self, connection: Connection, place: int) -> None:
        began = time.perf_counter()
        self._sent += 1
        try:
            status, body = await connection.ask(self._requests[place])
        except ConnectionError:
            self._lost += 1
            return
        now = time.perf_counter()
        self._statuses[status] += 1
        if status == 200:
            self._waits.append(now - began)
            self._in_time += now <= self._end
            self._answers[place][body] += 1

    def _count_wrong(self, place: int) -> int:
        """Return how many answers to a text are not the Pipeline's. Equal ones are compared once."""
        right = self._right[place]
        return sum(count for body, count in self._answers[place].items() if not is_same(json.loads(body), right))


def is_same(found: Any, right: Any) -> bool:
    """Return whether an answer is the right one: numbers within the tolerance, everything else equal."""
    if isinstance(right, float):
        return isinstance(found, (int, float)) and abs(found - right) <= TOLERANCE
    if isinstance(right, list):
        return isinstance(found, list) and len(found) == len(right) and all(map(is_same, found, right))
    if isinstance(right, dict):
        return (
            isinstance(found, dict)
            and found.keys() == right.keys()
            and all(is_same(found[key], right[key]) for key in right)
        )
    return found == right


if __name__ == "__main__":
    main()
