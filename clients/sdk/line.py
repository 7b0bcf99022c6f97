"""The line to the decision point: gRPC channels, by mutual TLS or plainly, synchronous and asynchronous.

No proxy of the environment is asked. Pings are rarer than the decision point's minimum (300 s); what they are
for is that a connection whose other end has silently gone is given up after 20 s, not after many minutes.
"""

import time
from typing import Any, Final

import grpc

from clients.sdk.errors import Error, FailedError
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Metadata, Request, Response
from clients.sdk.rotation import Held, Make, Rotation
from clients.sdk.security import Plain, Security, check_address
from clients.sdk.status import translate
from clients.sdk.streams import AioLineStream, LineStream

MAX_ANSWER: Final = 4 << 20

Options = tuple[tuple[str, Any], ...]

_OPTIONS: Final[Options] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MAX_ANSWER),
    ("grpc.use_local_subchannel_pool", 1),  # a new certificate is a new connection
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
)


class Line:
    """Calls over a channel, which several threads may share.

    `options` of gRPC are for services whose messages are of other sizes.

    Raises:
        SettingsError: the address or a file can't be used.
    """

    def __init__(
        self,
        address: str,
        security: Security,
        *,
        options: Options = (),
        make: Make[grpc.Channel] | None = None,
    ) -> None:
        self._address = check_address(address, security)
        options = _options(security, options)

        def dial(credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
            if credentials is None:
                return grpc.insecure_channel(address, options=options)
            return grpc.secure_channel(address, credentials, options=options)

        self._rotation = Rotation(security, make or dial, clock=time.monotonic)

    def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> Response:
        """One call.

        Raises:
            Error: it failed.
        """
        held = self._rotation.borrow()
        try:
            method = held.channel.unary_unary(
                procedure.path,
                request_serializer=procedure.request.SerializeToString,
                response_deserializer=procedure.response.FromString,
            )
            answer: Response = method(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as exc:
            raise translate(exc, self._address) from exc
        except ValueError as exc:  # as gRPC says of a channel that was closed meanwhile
            raise _failed(exc, self._address) from exc
        finally:
            self._give_back(held)
        return answer

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> LineStream[Response]:
        """One call that is answered many times.

        Raises:
            Error: it failed.
        """
        held = self._rotation.borrow()
        try:
            method = held.channel.unary_stream(
                procedure.path,
                request_serializer=procedure.request.SerializeToString,
                response_deserializer=procedure.response.FromString,
            )
            call = method(request, timeout=timeout_s, metadata=metadata)
        except ValueError as exc:
            self._give_back(held)
            raise _failed(exc, self._address) from exc
        return LineStream(call, self._address, lambda: self._give_back(held))

    def close(self) -> None:
        """Closes the channel; what is under way is ended."""
        for idle in self._rotation.close():
            idle.close()

    def _give_back(self, held: Held[grpc.Channel]) -> None:
        for idle in self._rotation.give_back(held):
            idle.close()


class AioLine:
    """Calls over an aio channel, within one event loop.

    Raises:
        SettingsError: the address or a file can't be used.
    """

    def __init__(self, address: str, security: Security) -> None:
        self._address = check_address(address, security)
        options = _options(security)

        def dial(credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
            if credentials is None:
                return grpc.aio.insecure_channel(address, options=options)
            return grpc.aio.secure_channel(address, credentials, options=options)

        self._rotation = Rotation(security, dial, clock=time.monotonic)

    async def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> Response:
        """One call.

        Raises:
            Error: it failed.
        """
        held = self._rotation.borrow()
        try:
            method: Any = held.channel.unary_unary(
                procedure.path,
                request_serializer=procedure.request.SerializeToString,
                response_deserializer=procedure.response.FromString,
            )
            answer: Response = await method(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as exc:
            raise translate(exc, self._address) from exc
        except grpc.aio.UsageError as exc:  # the channel was closed meanwhile
            raise _failed(exc, self._address) from exc
        finally:
            await self._give_back(held)
        if not isinstance(answer, procedure.response):  # gRPC gives None for what it can't read
            raise FailedError(f"`{self._address}`: the answer can't be read")
        return answer

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> AioLineStream[Response]:
        """One call that is answered many times.

        Raises:
            Error: it failed.
        """
        held = self._rotation.borrow()
        method: Any = held.channel.unary_stream(
            procedure.path,
            request_serializer=procedure.request.SerializeToString,
            response_deserializer=procedure.response.FromString,
        )
        call = method(request, timeout=timeout_s, metadata=metadata)
        return AioLineStream(call, procedure.response, self._address, lambda: self._give_back(held))

    async def close(self) -> None:
        """Closes the channel; what is under way is ended."""
        for idle in self._rotation.close():
            await idle.close()

    async def _give_back(self, held: Held[grpc.aio.Channel]) -> None:
        for idle in self._rotation.give_back(held):
            await idle.close()


def _options(security: Security, others: Options = ()) -> Options:
    wanted = {**dict(_OPTIONS), **dict(others)}
    if not isinstance(security, Plain):
        wanted["grpc.ssl_target_name_override"] = security.name
    return tuple(wanted.items())


def _failed(error: Exception, address: str) -> Error:
    return FailedError(f"`{address}`: {error}")
