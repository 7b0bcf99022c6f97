"""The service's own log: what stands in it, and what must not."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import structlog
from sqlalchemy.exc import DataError, OperationalError

from serving.servicelog import cause_of, configure
from tests.service import plain_log

SECRET = "1113109067725142806651"


@pytest.fixture(autouse=True)
def configured():
    """Lines as the service writes them, for the time of a test."""
    configure()
    yield
    plain_log()


def test_a_line_is_json(capsys):
    """Each line is an object with its level, its time and what is told."""
    structlog.get_logger("t").info("started", rules=3)

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["rules"]) == ("started", "info", 3)
    assert line["timestamp"].endswith("Z")


def test_an_unexpected_error_is_told_without_its_text(capsys):
    """Kind and places of an exception are told; its text may hold anything, and is not."""
    try:
        {}[SECRET]
    except KeyError:
        structlog.get_logger("t").exception("call_failed")

    said = capsys.readouterr().err
    line = json.loads(said)
    assert line["exception"] == "KeyError"
    assert any("test_servicelog.py" in place for place in line["at"])
    assert SECRET not in said


def test_libraries_and_the_end_are_told_without_their_text():
    """What a library logs, and what nobody caught, are told by their places; neither text is."""
    program = f"""
import logging
from serving.servicelog import configure
configure()
logging.getLogger("asyncio").error("lost {SECRET}", exc_info=KeyError("{SECRET}"))
raise ValueError("{SECRET}")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    found = [(line["event"], line["level"], line["exception"]) for line in lines]
    assert found == [("library", "error", "KeyError"), ("ended", "critical", "ValueError")]
    assert lines[0]["logger"] == "asyncio"
    assert SECRET.encode() not in ended.stdout + ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize("error", [OSError("broken pipe"), ValueError("closed")])
def test_a_log_that_nobody_reads_stops_nothing(monkeypatch, error):
    """When standard error can't be written, the line is lost and the service goes on."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=fail, flush=fail))

    structlog.get_logger("t").info("said")


def test_a_database_tells_its_trouble_but_not_its_values():
    """What is wrong with its operation is quoted; statements, parameters and details never are."""
    full = OperationalError("INSERT", {"ins": SECRET}, Exception(f"disk is full\nDETAIL: {SECRET}"))
    wrong = DataError("INSERT", {"ins": SECRET}, Exception(f"invalid input: {SECRET}"))

    assert cause_of(full) == "Exception: disk is full"
    assert cause_of(wrong) == "Exception (no code)"
    assert cause_of(ZeroDivisionError("x")) == "ZeroDivisionError: x"
