"""A load generator: `python -m bench.client`, a process of its own, one answer in JSON on its output.

It keeps so many calls in flight over several channels, sending messages that are encoded already and not
decoding the answers: what a Python client costs beside its transport is left out. The transport remains,
and on two cores it may be what limits an empty server.
"""

import argparse
import asyncio
import json
import struct
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import grpc

from authz.v1 import authz_pb2 as pb

CHANNELS = 4
_HEADER = struct.Struct(">BI")  # as a message stands in a gRPC stream: not compressed, length


def frames(messages: list[bytes]) -> bytes:
    """Messages as they stand in a gRPC stream."""
    return b"".join(_HEADER.pack(0, len(message)) + message for message in messages)


def messages(data: bytes) -> list[bytes]:
    """The messages of a stream."""
    found, start = [], 0
    while start < len(data):
        _, length = _HEADER.unpack_from(data, start)
        start += _HEADER.size + length
        found.append(data[start - length : start])
    return found


Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


@dataclass(slots=True)
class Reign:
    """How long a bundle decided, as far as answers tell.

    When the first answer came in, by the clock of this process; and the instants of the first and the
    last decision, by the service's clock. Answers may overtake each other on the way, decisions not.
    """

    seen: float
    first_ns: int
    last_ns: int


class Load:
    """Calls one method until so many are done, or for so many seconds."""

    def __init__(self, method: str, requests: list[bytes], *, follow: bool) -> None:
        self._method = method
        self._requests = requests
        self._follow = follow
        self._sent = 0
        self.took_s: list[float] = []
        self.errors: dict[str, int] = {}
        self.bundles: dict[str, Reign] = {}
        """With `follow`: what was seen of each bundle."""

    async def run(self, address: str, in_flight: int, *, calls: int, seconds: float) -> float:
        """Runs the load; answers how many seconds it took."""
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        count = min(CHANNELS, in_flight)
        channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(count)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        began = time.perf_counter()
        end = began + seconds if seconds else float("inf")
        workers = (self._work(channels[i % count], calls, end) for i in range(in_flight))
        await asyncio.gather(*workers)
        took = time.perf_counter() - began
        for channel in channels:
            await channel.close()
        return took

    async def _work(self, channel: grpc.aio.Channel, calls: int, end: float) -> None:
        call: Call = channel.unary_unary(self._method)
        while (self._sent < calls or not calls) and time.perf_counter() < end:
            request = self._requests[self._sent % len(self._requests)]
            self._sent += 1
            began = time.perf_counter()
            try:
                answer = await call(request)
            except grpc.aio.AioRpcError as exc:
                self.errors[exc.code().name] = self.errors.get(exc.code().name, 0) + 1
                continue
            self.took_s.append(time.perf_counter() - began)
            if self._follow:
                decision = pb.CheckResponse.FromString(answer).decision
                at = decision.at.ToNanoseconds()
                reign = self.bundles.setdefault(decision.bundle, Reign(time.time(), at, at))
                reign.first_ns, reign.last_ns = min(reign.first_ns, at), max(reign.last_ns, at)


def main() -> None:
    """Reads the options, runs the load, prints what came out."""
    parser = argparse.ArgumentParser(prog="python -m bench.client")
    parser.add_argument("--address", required=True)
    parser.add_argument("--method", default="Check")
    parser.add_argument("--requests", type=Path, required=True, help="messages in gRPC framing")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--calls", type=int, default=0, help="0: no limit")
    parser.add_argument("--seconds", type=float, default=0.0, help="0: no limit")
    parser.add_argument("--follow", action="store_true", help="tell when the bundle changed")
    given = parser.parse_args()
    requests = messages(given.requests.read_bytes())
    load = Load(f"/authz.v1.AuthzService/{given.method}", requests, follow=given.follow)
    took = asyncio.run(
        load.run(given.address, given.in_flight, calls=given.calls, seconds=given.seconds)
    )
    found = sorted(load.took_s)
    print(
        json.dumps(
            {
                "rate": len(found) / took,
                "p50_ms": found[len(found) // 2] * 1e3 if found else 0.0,
                "p99_ms": found[len(found) * 99 // 100] * 1e3 if found else 0.0,
                "answered": len(found),
                "errors": load.errors,
                "bundles": [astuple(reign) for reign in load.bundles.values()],
                "cpu_us": time.process_time() / max(1, len(found)) * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
