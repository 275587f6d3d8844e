"""The words on the pages of a PDF that typst wrote, read back through its fonts' ToUnicode maps."""

import re
import zlib

_OBJECT = re.compile(rb"(?s)\b(\d+) 0 obj\s(.*?)endobj")
# Balanced brackets may stand in a string as they are: one level of them is enough here.
_STRING = rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)"
_TOKEN = re.compile(rb"(?s)/(\w+) [\d.]+ Tf|" + _STRING + rb"|<([0-9A-Fa-f]+)>")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def text_of(pdf: bytes) -> str:
    """All words in the order of the content streams."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    fonts: dict[bytes, dict[int, str]] = {}
    for body in objects.values():
        for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", body):
            found = re.search(rb"/ToUnicode (\d+) 0 R", objects[int(number)])
            if found:
                fonts[name] = _characters(_stream(objects[int(found[1])]))
    pages = [int(number) for body in objects.values() for number in re.findall(rb"/Contents (\d+) 0 R", body)]
    return "\n".join(_words(_stream(objects[page]), fonts) for page in pages)


def page_count(pdf: bytes) -> int:
    """How many pages the metadata tell of."""
    found = re.search(rb"<xmpTPg:NPages>(\d+)<", pdf)
    assert found
    return int(found[1])


def _stream(body: bytes) -> bytes:
    data = body[body.index(b"stream") + 6 : body.rindex(b"endstream")].lstrip(b"\r\n")
    return zlib.decompressobj().decompress(data) if b"FlateDecode" in body else data


def _characters(cmap: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for block in re.findall(rb"(?s)beginbfchar(.*?)endbfchar", cmap):
        for code, value in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            found[int(code, 16)] = bytes.fromhex(value.decode()).decode("utf-16-be")
    return found


def _words(content: bytes, fonts: dict[bytes, dict[int, str]]) -> str:
    font: dict[int, str] = {}
    pieces: list[str] = []
    for match in _TOKEN.finditer(content):
        if match[1]:
            font = fonts.get(match[1], {})
            pieces.append(" ")
            continue
        data = bytes.fromhex(match[2].decode()) if match[2] else _unescaped(match[0][1:-1])
        codes = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
        pieces.append("".join(font.get(code, "") for code in codes))
    return "".join(pieces)


def _unescaped(data: bytes) -> bytes:
    def replaced(match: "re.Match[bytes]") -> bytes:
        mark = match[1]
        return bytes([int(mark, 8) & 255]) if mark[:1].isdigit() else _ESCAPES.get(mark, mark)

    return re.sub(rb"(?s)\\([0-7]{1,3}|.)", replaced, data)
