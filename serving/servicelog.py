"""How the service writes its own log: JSON lines on standard error, for operators.

No line holds a person, a patient or a document; those are in the decision log. So an unexpected error is
told by its kind and its place, without its text, which may quote anything.
"""

import contextlib
import io
import logging
import sys
import traceback
from types import TracebackType
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.typing import EventDict, WrappedLogger

_FRAMES: Final = 12


def configure() -> None:
    """Lets all lines of this process be written so."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            place_of_exception,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=_Stderr()),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logging.basicConfig(handlers=[_Libraries()])
    sys.excepthook = _end


class _Libraries(logging.Handler):
    """What libraries log, told by its place alone: their sentences may quote anything, too."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        place = f"{record.pathname}:{record.lineno} {record.funcName}"
        error = record.exc_info[1] if record.exc_info else None
        log = structlog.get_logger(record.name)
        log.log(record.levelno, "library", logger=record.name, place=place, exc_info=error)


def _end(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    """Tells what ends this process."""
    structlog.get_logger("authz").critical("ended", exc_info=error)


class _Stderr(io.StringIO):
    """Standard error, for as long as somebody listens: whoever reads it must not stop the service."""

    def write(self, text: str) -> int:
        """Writes, or drops what can't be written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Passes on what was written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def place_of_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turns the exception of a line into its kind and the places it came through."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["exception"] = type(error).__name__
        event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def cause_of(error: BaseException) -> str:
    """What went wrong, fit for the service log: no statement and no values of it.

    Of a database's errors only those about its operation are quoted, and only their first line:
    the others, and the rest, may repeat what was to be stored.
    """
    if not isinstance(error, DBAPIError):
        return f"{type(error).__name__}: {error}"
    kind = type(error.orig or error).__name__
    if isinstance(error, OperationalError):
        return f"{kind}: {str(error.orig).partition(chr(10))[0]}"
    return f"{kind} ({getattr(error.orig, 'sqlstate', None) or 'no code'})"
