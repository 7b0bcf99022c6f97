"""Puts a server under load, by a process of its own: h2load, a client in C, or our own in Python."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.client import CHANNELS, TIMEOUT_S, Reign

_SHIM: Final = Path(__file__).with_name("client_certificate.c")
_HEADERS: Final = (
    "content-type: application/grpc",
    "te: trailers",
    f"grpc-timeout: {TIMEOUT_S:.0f}S",
)
_RATE: Final = re.compile(r", ([\d.]+) req/s")
_DONE: Final = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_BODY: Final = re.compile(r"\((\d+)\) data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a load came to; `body` is how many bytes of answers came, where the client counts them."""

    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    answered: int
    errors: dict[str, int]
    reigns: tuple[Reign, ...] = ()
    body: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What someone shows of itself, and the authorities that it trusts, as PEM files."""

    chain: Path
    key: Path
    roots: Path


class Driver(Protocol):
    """A client that makes calls as fast as it is answered."""

    name: str

    def run(
        self, address: str, method: str, requests: Path, *, calls: int, in_flight: int
    ) -> Outcome:
        """Makes so many calls over up to four connections, with messages in gRPC framing."""


class InPython:
    """Our own client: it sends the requests in turn, and looks at every status."""

    name = "client in Python"

    def __init__(self, certificate: Certificate | None = None) -> None:
        self._options: list[str] = []
        if certificate is not None:
            for name in ("chain", "key", "roots"):
                self._options += [f"--{name}", str(getattr(certificate, name))]

    def run(
        self, address: str, method: str, requests: Path, *, calls: int, in_flight: int
    ) -> Outcome:
        """As `Driver.run`."""
        numbers = ("--calls", str(calls), "--in-flight", str(in_flight))
        options = ("--method", method, *numbers, *self._options)
        return outcome(start(address, requests, *options))


def start(address: str, requests: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Starts the client in Python; `outcome` waits for its end."""
    command = [sys.executable, "-m", "bench.client", "--address", address]
    return subprocess.Popen(
        [*command, "--requests", str(requests), *options], stdout=subprocess.PIPE
    )


def outcome(client: "subprocess.Popen[bytes]") -> Outcome:
    """What the client in Python came to; waits for its end."""
    printed, _ = client.communicate()
    if client.returncode:
        raise RuntimeError(f"the load generator ended with {client.returncode}")
    said = json.loads(printed)
    return Outcome(
        rate=said["rate"],
        p50_ms=said["p50_ms"],
        p90_ms=said["p90_ms"],
        p99_ms=said["p99_ms"],
        answered=said["answered"],
        errors=said["errors"],
        reigns=tuple(Reign(*reign) for reign in said["bundles"]),
    )


class H2load:
    """The load generator of nghttp2: it sends the first request again and again, as it knows no other way.

    It takes a call for answered when HTTP says 200, which gRPC says of errors too: whoever uses it has to
    look at `body`, or at the log of the server.
    """

    name = "h2load"

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        self._folder = folder
        self._scheme = "http" if certificate is None else "https"
        self._environment = dict(os.environ)
        if certificate is not None:
            shim = folder / "client_certificate.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, _SHIM, "-ldl"], check=True)
            self._environment |= {
                "LD_PRELOAD": str(shim),
                "BENCH_CHAIN": str(certificate.chain),
                "BENCH_KEY": str(certificate.key),
            }

    def run(
        self, address: str, method: str, requests: Path, *, calls: int, in_flight: int
    ) -> Outcome:
        """As `Driver.run`, but for the one request."""
        channels = min(CHANNELS, in_flight)
        times, request = self._folder / "h2load.tsv", self._folder / "h2load.request"
        times.unlink(missing_ok=True)
        request.write_bytes(_first(requests.read_bytes()))
        done = subprocess.run(
            [
                *("h2load", "-n", str(calls), "-c", str(channels)),
                *("-m", str(max(1, in_flight // channels)), "-d", str(request)),
                *(f"--log-file={times}", *(f"--header={text}" for text in _HEADERS)),
                f"{self._scheme}://{address}{method}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=self._environment,
        ).stdout
        rate, counts, body = _RATE.search(done), _DONE.search(done), _BODY.search(done)
        if rate is None or counts is None or body is None:
            raise RuntimeError(f"h2load said something else: {done[:200]}")
        answered, *failed = map(int, counts.groups())
        took = sorted(int(line.split("\t")[2]) for line in times.read_text().splitlines())
        return Outcome(
            rate=float(rate[1]),
            p50_ms=_percentile_ms(took, 50),
            p90_ms=_percentile_ms(took, 90),
            p99_ms=_percentile_ms(took, 99),
            answered=answered,
            errors={"FAILED": sum(failed)} if any(failed) else {},
            body=int(body[1]),
        )


def _first(requests: bytes) -> bytes:
    """The first of some messages in gRPC framing: a flag, four bytes of length, and so many bytes."""
    return requests[: 5 + int.from_bytes(requests[1:5])]


def _percentile_ms(ordered: list[int], share: int) -> float:
    """The microseconds that `share` percent do not exceed, in milliseconds; 0 when there are none."""
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)] / 1e3 if ordered else 0.0
