"""Follows the log for as long as somebody looks, over as many streams as it takes."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from audit.v1 import audit_pb2 as pb
from clients import sdk
from clients.cli.audit.procedures import FOLLOW, QUERY
from clients.cli.audit.session import Session
from clients.cli.link import UnreachableError

STREAM_S: Final = 840.0
"""So long a stream lasts before another takes its place; the service would end it a little later."""

_PAGE: Final = 500


def followed(session: Session, wanted: pb.Filter, *, last: int) -> Iterator[list[pb.Entry]]:
    """The last entries first, then all that come, in portions; none twice.

    Args:
        session: who looks, and where.
        wanted: which entries.
        last: how many of those that are there already.

    Raises:
        Error: as `Session.stream`; never because a stream was over.
    """
    request = pb.FollowRequest(subject=session.subject, filter=wanted)
    newest: pb.Entry | None = None
    ends: dict[str, int] = {}  # each log comes in its own order
    while True:
        stream = session.stream(FOLLOW, request, timeout_s=STREAM_S)
        next(stream, None)  # from here on nothing is missed
        there = _since(session, wanted, newest) if newest else _latest(session, wanted, last)
        for entries in chain([there], _until_over(stream)):
            new = [one for one in entries if one.index > ends.get(one.log, -1)]
            ends |= {one.log: one.index for one in new}
            newest = new[-1] if new else newest
            yield new


def _until_over(stream: Iterator[pb.QueryResponse]) -> Iterator[list[pb.Entry]]:
    try:
        for answer in stream:
            yield list(answer.entries)
    except UnreachableError as exc:
        if not isinstance(exc.__cause__, sdk.DeadlineError):
            raise


def _latest(session: Session, wanted: pb.Filter, count: int) -> list[pb.Entry]:
    if not count:
        return []
    request = pb.QueryRequest(subject=session.subject, filter=wanted, page_size=count)
    found = [one for page in session.stream(QUERY, request) for one in page.entries]
    return found[::-1]


def _since(session: Session, wanted: pb.Filter, newest: pb.Entry) -> list[pb.Entry]:
    """What came while no stream was open, from the instant of the newest on."""
    narrowed = pb.Filter()
    narrowed.CopyFrom(wanted)
    getattr(narrowed, "from").CopyFrom(newest.at)
    request = pb.QueryRequest(
        subject=session.subject, filter=narrowed, page_size=_PAGE, pages=10_000, ascending=True
    )
    return [one for page in session.stream(QUERY, request) for one in page.entries]
