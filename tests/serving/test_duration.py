"""Calendar durations."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.duration import Duration, parse
from serving.errors import DurationError

COUNTS = st.integers(0, 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P1Y", Duration(years=1)),
        ("P1M", Duration(months=1)),
        ("P30D", Duration(days=30)),
        ("P2W", Duration(days=14)),
        ("PT4H", Duration(seconds=4 * 3600)),
        ("PT5M", Duration(seconds=300)),
        ("PT30S", Duration(seconds=30)),
        ("P1Y2M3DT4H5M6S", Duration(years=1, months=2, days=3, seconds=4 * 3600 + 306)),
        ("P18M", Duration(months=18)),
    ],
)
def test_reads_iso_8601(text, expected):
    """Every unit of ISO 8601 is read, and M is a month before the T and a minute behind it."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1YT",
        "1Y",
        "P1",
        "p1y",
        "P1D1Y",
        "P1Y2W",
        "P-1Y",
        "-P1Y",
        "P1.5Y",
        "P1H",
        "PT1D",
        "P 1Y",
        "P1Y ",
        "P1Y\n",
        "P\u0661Y",
        "P0D",
        "PT0S",
        "P1001Y",
        "P12001M",
        "PT99999999999999S",
        "P" + "9" * 5000 + "Y",
    ],
)
def test_refuses_what_is_no_duration(text):
    """What is not strictly ISO 8601, is nothing, or exceeds a thousand years is refused."""
    with pytest.raises(DurationError, match="write"):
        parse(text)


def test_negative_parts_are_refused():
    """A duration can't be built with a negative part, even when the sum is positive."""
    with pytest.raises(DurationError, match="longer than nothing"):
        Duration(years=1, days=-1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("P1Y", "2026-03-03T10:00:00", "2027-03-03T10:00:00"),
        ("P1Y", "2028-02-29T10:00:00", "2029-02-28T10:00:00"),
        ("P4Y", "2028-02-29T10:00:00", "2032-02-29T10:00:00"),
        ("P1M", "2026-01-31T00:00:00", "2026-02-28T00:00:00"),
        ("P1M", "2026-12-15T00:00:00", "2027-01-15T00:00:00"),
        ("P13M", "2026-12-31T00:00:00", "2028-01-31T00:00:00"),
        ("P1M1D", "2026-01-31T00:00:00", "2026-03-01T00:00:00"),
        ("PT4H", "2026-12-31T22:00:00", "2027-01-01T02:00:00"),
    ],
)
def test_counts_in_the_calendar(text, start, end):
    """Years and months keep the day, or take the month's last one when it lacks that day."""
    began = datetime.fromisoformat(start).replace(tzinfo=UTC)

    ended = parse(text).after(began)

    assert datetime.fromisoformat(end).replace(tzinfo=UTC) == ended


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.datetimes(max_value=datetime(3000, 1, 1)))  # noqa: DTZ001 - made aware below
def test_later_is_later(years, months, days, seconds, start):
    """What ends after a duration ends later than it began, and its text reads as the same one."""
    start = start.replace(tzinfo=UTC)
    if not any((years, months, days, seconds)):
        return
    duration = Duration(years=years, months=months, days=days, seconds=seconds)

    assert start < duration.after(start)
    assert duration == parse(str(duration))
