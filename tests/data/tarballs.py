"""Tarballs for the tests of fetched packages."""

import io
import tarfile


def debian_package(members, *, kind="xz"):
    """A Debian package whose files are these members; its other parts are empty tarballs."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tarball({}, kind="xz"),
        f"data.tar.{kind}": tarball(members, kind=kind),
    }
    package = b"!<arch>\n"
    for name, content in parts.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        package += content + b"\n" * (len(content) % 2)
    return package


def tarball(members, *, kind="gz"):
    """A compressed tarball: name to text or bytes, or to a ready TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
