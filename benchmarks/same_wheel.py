"""Whether the wheel is the same to the byte when it is built again, elsewhere and later; it stays in dist/.

The second build takes a copy of the checkout in another folder, whose files are as old as the copy, have other modes,
and lie in another order on the disk.

python benchmarks/same_wheel.py [--output dist]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from nlp_lstm.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("nlp_lstm", "pipelines", "models", "pyproject.toml", "README.md", "LICENSE")
DATE = "1577836800"  # 2020-01-01, in seconds; of every file in the wheel
LARGEST = 95_000_000  # bytes


def main() -> None:
    """Build, compare, say the sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        first = build(ROOT, Path(folder) / "first")
        second = build(copy(Path(folder) / "elsewhere"), Path(folder) / "second")
        different = compare(first, second)
        for line in different:
            print(line)
        size = first.stat().st_size
        if different or sha256_of(first) != sha256_of(second) or size >= LARGEST:
            sys.exit(f"{first.name}: {size:,} bytes (at most {LARGEST:,}); the two builds differ, or it is too large")
        output.mkdir(parents=True, exist_ok=True)
        print(f"{shutil.copy(first, output)}: {size:,} bytes, sha256 {sha256_of(first)}, the same twice")


def build(root: Path, output: Path) -> Path:
    """Build the wheel of a checkout."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output), str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": DATE})
    return next(output.glob("*.whl"))


def copy(folder: Path) -> Path:
    """Copy what the wheel is made of, the last files first and with modes of another umask."""
    for part in PARTS:
        source = ROOT / part
        files = [source] if source.is_file() else sorted(source.rglob("*"), reverse=True)
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                target = folder / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
                target.chmod(0o600)
    return folder


def compare(first: Path, second: Path) -> list[str]:
    """Return what differs between two wheels."""
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        names, others = one.namelist(), other.namelist()
        if names != others:
            return [f"files or their order: {sorted(set(names) ^ set(others))[:10]}"]
        different = []
        for name in names:
            facts = [(file.getinfo(name).date_time, file.getinfo(name).external_attr >> 16) for file in (one, other)]
            if one.read(name) != other.read(name) or facts[0] != facts[1]:
                different.append(
                    f"{name}: {facts[0]} and {facts[1]}, content same: {one.read(name) == other.read(name)}"
                )
        return different


if __name__ == "__main__":
    main()
