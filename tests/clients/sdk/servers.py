"""A decision point that says what a test puts in its mouth, over a real socket."""

import asyncio
from contextlib import asynccontextmanager

import grpc

from authz.v1 import authz_pb2 as pb
from clients.sdk import PLAIN, aio, connect

KINDS = ("sync", "aio")


class Saying(grpc.GenericRpcHandler):
    """Answers each call with the next of its answers: a message, bytes, or a status to end with."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []
        self.ended = 0

    def service(self, handler_call_details):
        """The handler of any procedure."""
        if handler_call_details.method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._once)

    async def _once(self, request, context):
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "as this test wants it")
        return _bytes(answer)

    async def _stream(self, request, context):
        self.asked.append(pb.WatchRequest.FromString(request).after_revision)
        try:
            for said in self._answers.pop(0):
                if isinstance(said, grpc.StatusCode):
                    await context.abort(said, "as this test wants it")
                if isinstance(said, int | float):
                    await asyncio.sleep(said)
                else:
                    await context.write(_bytes(said))
        finally:
            self.ended += 1


def _bytes(answer):
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


@asynccontextmanager
async def serving(saying):
    """Serves it; its address."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((saying,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def called(kind, address, method, *args, duties=None, **kwargs):
    """What becomes of a call by the client of this kind."""
    settings = {"timeout_s": 5, "duties": duties}
    if kind == "aio":
        async with aio.connect(address, PLAIN, **settings) as client:
            return await getattr(client, method)(*args, **kwargs)
    with connect(address, PLAIN, **settings) as client:
        return await asyncio.to_thread(getattr(client, method), *args, **kwargs)


def decided(effect=pb.EFFECT_ALLOW, **fields):
    """A decision."""
    return pb.Decision(**{"id": "1", "effect": effect, **fields})
