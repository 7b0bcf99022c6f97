"""An empty grpc.aio server: the same messages, the same answer to every Check, nothing decided or kept.

`python -m bench.server` prints its address and serves until it is stopped. What it can do is what the
transport allows; the decision point is measured against it.
"""

import asyncio

import grpc

from authz.v1 import authz_pb2 as pb
from authz.v1 import authz_pb2_grpc as rpc

DECISION = pb.Decision(
    id="019a0000-0000-7000-8000-000000000000",
    effect=pb.EFFECT_ALLOW,
    reason_code="AUTHORISED",
    told_fr="Le patient autorise ce professionnel ou sa structure.",
    told_en="The patient authorises this professional or structure.",
    rules=["authorised-reads"],
    bundle="0" * 64,
    revision=1,
)
"""As long as a usual answer."""


class Echo(rpc.AuthzServiceServicer):
    """Answers without looking."""

    async def Check(self, request: pb.CheckRequest, context: object) -> pb.CheckResponse:
        """The same answer to all."""
        return pb.CheckResponse(decision=DECISION)

    async def CheckBatch(
        self, request: pb.CheckBatchRequest, context: object
    ) -> pb.CheckBatchResponse:
        """The same answer to each."""
        return pb.CheckBatchResponse(decisions=[DECISION] * len(request.checks))

    async def Explain(self, request: pb.ExplainRequest, context: object) -> pb.ExplainResponse:
        """The same answer to all."""
        return pb.ExplainResponse(decision=DECISION)


async def serve() -> None:
    """Serves on a free port until cancelled."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    rpc.add_AuthzServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())
