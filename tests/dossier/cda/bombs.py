"""A program that reads files made to do harm, and tells as JSON what each of them cost.

It runs apart, so that its memory and the files that it opens are its own.
"""

import binascii
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dossier.cda.markup import MAX_BYTES
from tests.dossier.cda.samples import GOOD, mistakes

HEAD = b'<ClinicalDocument xmlns="urn:hl7-org:v3">'
TAIL = b"</ClinicalDocument>"
LAUGHS = b"".join(b'<!ENTITY l%d "%b">' % (i + 1, b"&l%d;" % i * 10) for i in range(9))
opened: list[str] = []


def fill(piece: bytes, size: int = MAX_BYTES - 200) -> bytes:
    """A document of nothing but one piece, as large as is taken."""
    return HEAD + piece * (size // len(piece)) + TAIL


def numbered(form: str, count: int) -> bytes:
    """Many pieces, each another."""
    return "".join(form % i for i in range(count)).encode()


def in_body(content: bytes) -> bytes:
    """The good document with a body of this content."""
    start = GOOD.index(b"<structuredBody>") + len(b"<structuredBody>")
    return GOOD[:start] + content + GOOD[GOOD.index(b"</structuredBody>") :]


def bombs() -> Iterator[tuple[str, bytes]]:
    """The files, each with what it tries."""
    yield "too large", b" " * (MAX_BYTES * 10)
    yield "billion laughs", b'<!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b"]><x>&l9;</x>"
    yield (
        "quadratic blow-up",
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><x>' + b"&a;" * 50_000 + b"</x>",
    )
    yield "external entity", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    yield "external subset", b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>'
    yield "parameter entity", b'<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><x/>'
    yield "many elements", fill(b"<a/>")
    yield "many elements below", in_body(b"<a/>" * 2_000_000)
    yield "deep", b"<a>" * 3_000_000
    yield "deep below", in_body(b"<a>" * 2_000_000)
    yield "many attributes", HEAD + b"<a " + numbered("a%d='' ", 900_000) + b"/>" + TAIL
    yield (
        "as many attributes as may be",
        HEAD + b"<a " + numbered("a%d='' ", 299_000) + b"/>" + TAIL,
    )
    yield "many namespaces", HEAD + b"<a " + numbered("xmlns:a%d='u' ", 299_000) + b"/>" + TAIL
    yield "many names", in_body(numbered("<n%d-which-is-a-long-name-for-one/>", 190_000))
    yield "long name", HEAD + b"<" + b"a" * 9_000_000 + b"/>" + TAIL
    chain = b"".join(b"<n%d%b>" % (i, b"x" * 250) for i in range(190))
    yield "many long paths", HEAD + chain + b"<a/>" * 19_000
    yield "long value", HEAD + b"<a b='" + b"x" * 9_000_000 + b"'/>" + TAIL
    yield "long text", HEAD + b"<title>" + b"x" * 9_000_000 + b"</title>" + TAIL
    yield "many lines", HEAD + b"<title>" + b"\n" * 9_000_000 + b"</title>" + TAIL
    yield "many references", HEAD + b"<title>" + b"&#65;" * 1_800_000 + b"</title>" + TAIL
    yield "many comments", fill(b"<!---->")
    yield "many instructions", fill(b"<?a?>")
    yield "many sections of text", fill(b"<![CDATA[]]>")
    yield "many authors", HEAD + b"<author/>" * 19_000 + TAIL
    yield "many patients", HEAD + b"<recordTarget/>" * 19_000 + TAIL
    scan = b"<nonXMLBody><text mediaType='image/jpeg' representation='B64'>%b</text></nonXMLBody>"
    junk = binascii.b2a_base64(b"\x00" * 7_000_000, newline=False)
    start, end = GOOD.index(b"<structuredBody>"), GOOD.index(b"</component>\n</Cl")
    yield "a large file that is none", GOOD[:start] + scan % junk + GOOD[end:]
    yield "no base 64", GOOD[:start] + scan % (b"=" * 250_000 + b"!" * 9_000_000) + GOOD[end:]


def status(field: str) -> int:
    """A field of what the kernel knows of this process, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def watch(event: str, args: tuple[object, ...]) -> None:
    """Notes what is opened or connected to."""
    if event in {"open", "socket.connect", "subprocess.Popen"}:
        opened.append(f"{event} {args[0]}")


def main() -> None:
    """Reads them all; a line a file."""
    mistakes(GOOD)
    sys.addaudithook(watch)
    for name, data in bombs():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = status("VmRSS")
        opened.clear()
        begun = time.perf_counter()
        found = mistakes(data)
        cost = {
            "name": name,
            "seconds": round(time.perf_counter() - begun, 3),
            "opened": opened.copy(),
            "grown_mb": (status("VmHWM") - before) >> 20,
            "wrong": [one.wrong for one in found],
            "told": sum(len(str(one)) for one in found),
        }
        sys.stdout.write(json.dumps(cost) + "\n")


if __name__ == "__main__":
    main()
