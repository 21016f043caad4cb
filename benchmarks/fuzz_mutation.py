"""How sound files are spoilt for `benchmarks/fuzz.py`: bytes, numbers and words, and parts of known structures.

Everything is drawn from the generator that is given, so the same generator spoils a file in the same way.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

Mutator: TypeAlias = Callable[[random.Random, Sequence[bytes]], bytes]
"""Takes a generator and sound files and gives a spoilt one."""

LARGEST_INPUT = 1 << 18  # bytes
MOST_CHANGES = 6

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
NUMBERS = (
    *(b"0", b"1", b"-1", b"2", b"65", b"127", b"128", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648"),
    *(b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"1e308", b"1e999"),
    *(b"-0.0", b"0.5", b"nan", b"inf", b"-inf", b"1_0", b"0x7f", b"007", b"9" * 400, b"1" * 5000, b"0.1e-400"),
    *("²".encode(), "٣".encode(), b"1000000", b"1000000000"),
)
WORDS = (
    *(b"\0", b"\r", b"\n", b"\r\n", b"\n\n", b"\t", b" ", b'"', b"'", b"\\", b"/", b"#", b"\x1a", b"\x0c", b"\x85"),
    *(b"\xef\xbb\xbf", b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8"),
    *("é".encode(), "\u0301".encode(), "\u202e".encode(), "🙂".encode(), "ﬀİß".encode(), "\u200b".encode()),
    *(b"[", b"]", b"{", b"}", b"(", b")", b":", b",", b";", b"null", b"true", b"..", b"../../x", b"%s", b"{0}"),
    *(b"a" * 300, b"\\ud800", b"\\u0000", b"&amp;", b"<br />"),
)


def spoil_bytes(generator: random.Random, sounds: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """Return a file with some of its bytes changed, moved, left out or put in."""
    content = bytearray(generator.choice(sounds))
    for _ in range(min(MOST_CHANGES, 1 + int(generator.expovariate(0.7)))):
        place = generator.randrange(len(content) + 1)
        change = generator.randrange(12)
        if change == 0 and content:
            content[place % len(content)] ^= 1 << generator.randrange(8)
        elif change == 1 and content:
            content[place % len(content)] = generator.randrange(256)
        elif change == 2:
            content[place:place] = generator.randbytes(1 + int(generator.expovariate(0.3)))
        elif change == 3:
            del content[place : place + 1 + int(generator.expovariate(0.05))]
        elif change == 4 and generator.random() < 0.5:
            del content[place:]
        elif change == 5:
            piece = content[place : place + 1 + int(generator.expovariate(0.05))]
            other = generator.randrange(len(content) + 1)
            content[other:other] = piece
        elif change == 6:
            other_file = generator.choice(sounds)
            start = generator.randrange(len(other_file) + 1)
            content[place : place + generator.choice((0, 8, 1 << 30))] = other_file[start : start + 400]
        elif change == 7 and generator.random() < 0.3:
            piece = content[place : place + 1 + int(generator.expovariate(0.1))]
            content[place:place] = piece * generator.choice((2, 20, 300, 3000))
        elif change == 8:
            replace_number(generator, content)
        else:
            content[place : place + generator.choice((0, 0, 1))] = generator.choice(
                words if words and generator.random() < 0.6 else WORDS
            )
    return bytes(content[:LARGEST_INPUT])


def replace_number(generator: random.Random, content: bytearray) -> None:
    """Put another number in the place of one."""
    found = list(_NUMBER.finditer(content[:20_000]))
    if found:
        chosen = generator.choice(found)
        content[chosen.start() : chosen.end()] = generator.choice(NUMBERS)


def with_words(*words: bytes) -> Mutator:
    """Return `spoil_bytes` with words of a format."""
    return lambda generator, sounds: spoil_bytes(generator, sounds, words)


# ---- JSON


class _Raw(str):
    """JSON as it is to be written, such as a number that Python cannot hold."""


def spoil_json(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
    """Return JSON with some of its values changed, left out or moved; one time in five, with its bytes spoilt."""
    if generator.random() < 0.2:
        return spoil_bytes(generator, sounds)
    value = json.loads(generator.choice(sounds))
    return dump(spoil_value(generator, value))


def spoil_json_lines(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
    """Return lines of JSON of which one is spoilt."""
    if generator.random() < 0.2:
        return spoil_bytes(generator, sounds)
    lines = generator.choice(sounds).splitlines()
    place = generator.randrange(len(lines))
    lines[place] = spoil_json(generator, [lines[place]])
    if generator.random() < 0.2:
        generator.shuffle(lines)
    return b"\n".join(lines)


def spoil_value(generator: random.Random, value: Any) -> Any:
    """Return a value of JSON with some parts changed."""
    for _ in range(min(MOST_CHANGES, 1 + int(generator.expovariate(0.8)))):
        places = list(_places(value))
        if not places or generator.random() < 0.02:
            return _strange_value(generator)
        holder, key = generator.choice(places)
        change = generator.randrange(6)
        if change == 0:
            del holder[key]
        elif change == 1:
            other, from_key = generator.choice(places)
            holder[key] = copy.deepcopy(other[from_key])
        elif change == 2 and isinstance(holder, dict):
            holder[generator.choice(("", "x", "task", "a" * 300, "\ud800", key + " "))] = _strange_value(generator)
        elif change == 3 and isinstance(holder, list):
            holder.insert(key, _strange_value(generator))
        elif change == 4 and isinstance(holder[key], (int, float)):
            holder[key] = _Raw(generator.choice(NUMBERS).decode())
        else:
            holder[key] = _strange_value(generator)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each holder and key in a value, at most some thousand."""
    open_values, given = [value], 0
    while open_values and given < 2_000:
        holder = open_values.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            given += 1
            yield holder, key
            open_values.append(holder[key])


def _strange_value(generator: random.Random) -> Any:
    kind = generator.randrange(9)
    if kind == 0:
        return _Raw(generator.choice(NUMBERS).decode())
    if kind == 1:
        return _Raw(generator.choice(("NaN", "-Infinity", "1e999", "12" * 2000, "1" * 5000, "-0", "0.1e1")))
    if kind == 2:
        depth = generator.choice((3, 100, 900, 960, 980, 990, 3_000, 100_000))
        shape = generator.choice(("[]", "{}"))
        return _Raw("[" * depth + "]" * depth if shape == "[]" else '{"a":' * depth + "1" + "}" * depth)
    if kind == 3:
        return generator.choice((None, True, False, [], {}, "", 0, -1, 0.5, [None], {"": None}, [[]]))
    if kind == 4:
        return generator.choice(("\ud800", "\0", "\n", "🙂", "a" * 5_000, "../../etc/x", "nan", "ſ", "\u202e", " "))
    if kind == 5:
        return [generator.choice((0, "", None, 1.5))] * generator.choice((1, 2, 1_000))
    if kind == 6:
        return {f"k{n}": n for n in range(generator.choice((1, 20, 500)))}
    if kind == 7:
        return generator.randrange(-(2**40), 2**40)
    return "".join(map(chr, generator.choices(range(1, 0x250), k=generator.randrange(1, 12))))


def dump(value: Any) -> bytes:
    """Write a value as JSON; lone surrogates become escapes."""
    if isinstance(value, _Raw):
        return value.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(str(key)).encode() + b":" + dump(one) for key, one in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dump, value)) + b"]"
    return json.dumps(value, ensure_ascii=isinstance(value, str) and not value.isascii()).encode()


# ---- files that know their own sizes


def spoil_safetensors(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
    """Return a weights file with a spoilt header whose stated length is nearly always right, or with spoilt numbers."""
    if generator.random() < 0.2:
        return spoil_bytes(generator, sounds)
    content = generator.choice(sounds)
    (size,) = struct.unpack("<Q", content[:8])
    header, tensors = json.loads(content[8 : 8 + size]), content[8 + size :]
    kind = generator.randrange(5)
    if kind == 0:
        tensors = spoil_bytes(generator, [tensors])
    elif kind < 3:
        entry = header[generator.choice([name for name in header if name != "__metadata__"])]
        change = generator.randrange(4)
        if change == 0:
            entry["dtype"] = generator.choice(TYPES)
        elif change == 1:
            entry["shape"] = [*entry["shape"], *generator.choice(((1,), (1,) * 70, (0, 2**62), (0,), (2**31, 2**33)))]
        elif change == 2:
            generator.shuffle(entry["shape"])
        else:
            entry["data_offsets"][generator.randrange(2)] += generator.choice((-8, -1, 1, 4, 2**40, -(2**40)))
    else:
        header = spoil_value(generator, header)
    written = dump(header)
    stated = len(written) if generator.random() < 0.95 else generator.choice((0, 1, 2**63, 2**64 - 1, len(content)))
    return struct.pack("<Q", stated) + written + tensors


TYPES = (
    *("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64", "BOOL"),
    *("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "C64", "F6_E2M3"),
)


def spoil_protobuf(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
    """Return a message whose fields are spoilt, at any depth, with the sizes around them put right."""
    if generator.random() < 0.15:
        return spoil_bytes(generator, sounds)
    content = generator.choice(sounds)
    for _ in range(min(4, 1 + int(generator.expovariate(1.0)))):
        content = _spoil_message(generator, content)
    return content[:LARGEST_INPUT]


def _spoil_message(generator: random.Random, content: bytes) -> bytes:
    fields = _split_message(content)
    if not fields:
        return spoil_bytes(generator, [content or b"\0"])[:2_000]
    place = generator.randrange(len(fields))
    number, kind, value = fields[place]
    change = generator.randrange(9)
    if change == 0:
        del fields[place]
    elif change == 1:
        fields.insert(generator.randrange(len(fields) + 1), fields[place])
    elif change == 2:
        fields[place] = (generator.choice((1, 2, 3, 4, 5, 8, 9, 13, 14, 20, number + 1)), kind, value)
    elif isinstance(value, int):
        strange = (0, 1, 2, 3, 4, 7, 127, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, value + 1, max(0, value - 1))
        fields[place] = (number, kind, generator.choice(strange))
    elif kind == 2 and change > 3 and _split_message(value):
        fields[place] = (number, kind, _spoil_message(generator, value))
    elif kind == 5:
        bits = (
            b"\0\0\xc0\x7f",
            b"\0\0\x80\x7f",
            b"\0\0\x80\xff",
            b"\0\0\0\0",
            b"\xff\xff\x7f\x7f",
            generator.randbytes(4),
        )
        fields[place] = (number, kind, generator.choice(bits))
    else:
        strange_bytes = (
            b"",
            b"\0",
            "▁".encode(),
            b"<0x41>",
            b"<0xZZ>",
            b"\xff" * 9,
            b"a" * 5_000,
            generator.randbytes(9),
        )
        new = spoil_bytes(generator, [value]) if generator.random() < 0.6 else generator.choice(strange_bytes)
        fields[place] = (number, kind, new)
    return b"".join(_write_field(*field) for field in fields)


def _split_message(content: bytes) -> list[tuple[int, int, int | bytes]]:
    """Return number, kind and value of each field; nothing where the bytes are no message."""
    fields: list[tuple[int, int, int | bytes]] = []
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, place = _read_varint(content, place)
        else:
            size = {1: 8, 5: 4}.get(kind, 0)
            if kind == 2:
                size, place = _read_varint(content, place)
            value, place = content[place : place + size], place + size
        if kind not in (0, 1, 2, 5) or not key >> 3 or place > len(content):
            return []
        fields.append((key >> 3, kind, value))
    return fields


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(content) and shift < 70:
        byte = content[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    return number, len(content) + 1


def _write_varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def _write_field(number: int, kind: int, value: int | bytes) -> bytes:
    key = _write_varint(number << 3 | kind)
    if isinstance(value, int):
        return key + _write_varint(value)
    return key + (_write_varint(len(value)) if kind == 2 else b"") + value


def spoil_png(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
    """Return a PNG whose chunks are spoilt and have the right checksums all the same."""
    if generator.random() < 0.2:
        return spoil_bytes(generator, sounds)
    content = generator.choice(sounds)
    chunks, place = [], 8
    while place + 12 <= len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    for _ in range(generator.randrange(1, 4)):
        number = generator.randrange(len(chunks))
        kind, data = chunks[number]
        change = generator.randrange(6)
        if change == 0:
            del chunks[number : number + 1 if len(chunks) > 1 else number]
        elif change == 1:
            chunks.insert(generator.randrange(len(chunks)), chunks[number])
        elif change == 2:
            chunks[number] = (generator.choice(PNG_CHUNKS), data)
        elif change == 3:
            chunks.insert(1, (generator.choice(PNG_CHUNKS), generator.randbytes(generator.randrange(40))))
        elif kind == b"IHDR" and len(data) == 13:
            sides = struct.pack(">2I", *generator.choices((0, 1, 2, 16, 6_000, 30_000, 2**31 - 1, 2**32 - 1), k=2))
            header = bytes(generator.choice((0, 1, 2, 3, 4, 6, 8, 16)) for _ in range(2)) + data[10:]
            chunks[number] = (kind, (sides if generator.random() < 0.5 else data[:8]) + header)
        else:
            chunks[number] = (kind, spoil_bytes(generator, [data]))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return content[:8] + b"".join(parts)


PNG_CHUNKS = (
    b"tRNS",
    b"PLTE",
    b"iCCP",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"gAMA",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"pHYs",
)


def packed(spoil: Mutator) -> Mutator:
    """Return a mutator whose files are packed with gzip; one in three is spoilt afterwards."""

    def spoil_packed(generator: random.Random, sounds: Sequence[bytes]) -> bytes:
        content = gzip.compress(spoil(generator, sounds), 1, mtime=0)
        return spoil_bytes(generator, [content]) if generator.random() < 0.33 else content

    return spoil_packed
