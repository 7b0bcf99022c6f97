"""Where time goes is found by looking, and drawn as it was found."""

import time
from xml.etree import ElementTree as ET

from bench import picture
from bench.report import Figure, Section
from bench.sampling import REST, Piece, sampled

SVG = "{http://www.w3.org/2000/svg}"


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def asleep(seconds):
    time.sleep(seconds)


def test_time_goes_to_the_piece_on_the_stack():
    """Work and waiting count for the piece that is on the stack, and anything else for the rest."""
    pieces = (
        Piece(name="elsewhere", file="/no/such/file.py", function="busy"),
        Piece(name="work", function="busy"),
        Piece(name="waiting", file="/test_sampling.py", function="asleep"),
    )

    with sampled(pieces) as seconds:
        busy(0.1)
        asleep(0.1)
        sum(range(2_000_000))

    assert {"work", "waiting", REST} == set(seconds)
    assert all(seconds[name] > 0.05 for name in ("work", "waiting"))


def test_nothing_is_looked_at_afterwards():
    """When it is over, no time is added any more."""
    with sampled([Piece(name="work", function="busy")]) as seconds:
        busy(0.01)
    found = dict(seconds)

    busy(0.02)

    assert found == dict(seconds)


def test_picture():
    """The picture says in words what it shows, and a bar is as long as its pieces together."""
    figures = [
        Figure(what="door: transport", value=200.0, unit="us"),
        Figure(what="door: <itself>", value=100.0, unit="us"),
        Figure(what="decider: SQL & commit", value=150.0, unit="us"),
    ]
    section = Section(title="Where", note="32 in flight", figures=tuple(figures))

    drawn = ET.fromstring(picture.draw(section))

    assert "Where" == drawn.findtext(f"{SVG}title")
    assert (
        "door: transport 200 us, <itself> 100 us; decider: SQL & commit 150 us"
        == drawn.findtext(f"{SVG}desc")
    )
    widths = [
        float(bar.get("width"))
        for bar in drawn.iter(f"{SVG}rect")
        if bar.find(f"{SVG}title") is not None
    ]
    assert [2.0, 1.0, 1.5] == [round(width / widths[1], 1) for width in widths]
    assert sum(widths[:2]) < picture.WIDTH
