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
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import grpc

from authz.v1 import authz_pb2 as pb

CHANNELS = 4
TIMEOUT_S = 4.0
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a connection each
    ("grpc.enable_http_proxy", 0),
    ("grpc.ssl_target_name_override", "authz"),
]
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

    async def run(
        self,
        connect: Callable[[], grpc.aio.Channel],
        in_flight: int,
        *,
        calls: int,
        seconds: float,
    ) -> float:
        """Runs the load; answers how many seconds it took."""
        count = min(CHANNELS, in_flight)
        channels = [connect() for _ in range(count)]
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
                answer = await call(request, timeout=5)
            except grpc.aio.AioRpcError as exc:
                self.errors[exc.code().name] = self.errors.get(exc.code().name, 0) + 1
                continue
            self.took_s.append(time.perf_counter() - began)
            if self._follow:
                decision = pb.CheckResponse.FromString(answer).decision
                at = decision.at.ToNanoseconds()
                reign = self.bundles.setdefault(decision.bundle, Reign(time.time(), at, at))
                reign.first_ns, reign.last_ns = min(reign.first_ns, at), max(reign.last_ns, at)


def connection(given: argparse.Namespace) -> grpc.aio.Channel:
    """A channel to the server; with a certificate if there is one."""
    if given.chain is None:
        return grpc.aio.insecure_channel(given.address, OPTIONS)
    pems = [path.read_bytes() for path in (given.roots, given.key, given.chain)]
    return grpc.aio.secure_channel(given.address, grpc.ssl_channel_credentials(*pems), OPTIONS)


def main() -> None:
    """Reads the options, runs the load, prints what came out."""
    parser = argparse.ArgumentParser(prog="python -m bench.client")
    parser.add_argument("--address", required=True)
    parser.add_argument("--method", default="/authz.v1.AuthzService/Check")
    parser.add_argument("--requests", type=Path, required=True, help="messages in gRPC framing")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--calls", type=int, default=0, help="0: no limit")
    parser.add_argument("--seconds", type=float, default=0.0, help="0: no limit")
    parser.add_argument("--follow", action="store_true", help="tell when the bundle changed")
    parser.add_argument("--roots", type=Path, help="with --key and --chain: mutual TLS")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--chain", type=Path)
    given = parser.parse_args()
    requests = messages(given.requests.read_bytes())
    load = Load(given.method, requests, follow=given.follow)
    took = asyncio.run(
        load.run(
            partial(connection, given), given.in_flight, calls=given.calls, seconds=given.seconds
        )
    )
    found = sorted(load.took_s)
    worst = {share: found[len(found) * share // 100] if found else 0.0 for share in (50, 90, 99)}
    print(
        json.dumps(
            {
                "rate": len(found) / took,
                **{f"p{share}_ms": seconds * 1e3 for share, seconds in worst.items()},
                "answered": len(found),
                "errors": load.errors,
                "bundles": [astuple(reign) for reign in load.bundles.values()],
                "cpu_us": time.process_time() / max(1, len(found)) * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
