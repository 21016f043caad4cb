"""What it takes to tag ten billion sentences, from what tagging some takes on this machine.

The sentences of a test split, over and over, go through `nlp-lstm annotate` in each precision, on all cores, start and
end included. What more sentences take is proportional: files are cut into shards that have nothing to do with each
other, here and on a cluster.

    python benchmarks/bulk.py [--copies 40] [--sentences 10_000_000_000] [--cores 64] [--price 0.05]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from script import run_script

from nlp_lstm.data.catalogue import find_data
from nlp_lstm.speed import num_cores

DATA = "ud-english-ewt"
MODEL = "pos"
GIGABYTE = 1e9


def main() -> None:
    """Annotate, and print what it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=40, help="of the test split that are tagged")
    parser.add_argument("--precision", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--sentences", type=lambda text: int(text.replace("_", "")), default=10_000_000_000)
    parser.add_argument("--cores", type=int, default=64, help="of a cluster")
    parser.add_argument("--price", type=float, default=0.05, help="dollars of a core for an hour")
    arguments = parser.parse_args()
    examples = find_data([DATA]).read("test")
    lines = [example.document.text.replace("\n", " ") for example in examples]
    num_words = sum(len(example.document) for example in examples) / len(lines)
    workers, total = num_cores(), arguments.copies * len(lines)
    print(f"{total:,} sentences of {num_words:.1f} words, {workers} processes of one thread")
    print(f"{arguments.sentences:,} sentences; hours are on {arguments.cores} cores, in and out are gigabytes of text")
    print(f"{'':<8}{'sentences/s':>12}{'core-hours':>12}{'hours':>8}{'dollars':>9}{'in':>8}{'out':>8}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "sentences.txt"
        source.write_text("\n".join(lines * arguments.copies) + "\n", encoding="utf-8")
        for precision in arguments.precision:
            output = Path(folder) / precision
            command = [sys.executable, "-m", "nlp_lstm", "annotate", str(source), str(output), "--model", MODEL]
            started = time.perf_counter()
            subprocess.run(
                [*command, "--format", "text", "--precision", precision], check=True, stdout=subprocess.DEVNULL
            )
            rate = total / (time.perf_counter() - started)
            hours = arguments.sentences / rate * workers / 3600
            sizes = [
                sum(file.stat().st_size for file in files) / total * arguments.sentences / GIGABYTE
                for files in ([source], output.glob("shard-*"))
            ]
            print(
                f"{precision:<8}{rate:>12,.0f}{hours:>12,.0f}{hours / arguments.cores:>8,.0f}"
                f"{hours * arguments.price:>9,.0f}{sizes[0]:>8,.0f}{sizes[1]:>8,.0f}"
            )


if __name__ == "__main__":
    run_script(main)
