"""Guards a function: it gets a permit as its first argument, so it can't be called without one.

    @guarded(client, lambda patient, image: Query(...))
    def read(permit: Permit, patient: str, image: str) -> bytes: ...

    read(ins, "img-1")  # asks, and raises Denied before a line of it runs

With `aio.Client` the function is a coroutine function. What is left to do must be done when it returns.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from clients.sdk import aio
from clients.sdk.client import Client
from clients.sdk.errors import SettingsError
from clients.sdk.permit import Permit
from clients.sdk.values import Query

P = ParamSpec("P")
R = TypeVar("R")

Sync = Callable[[Callable[Concatenate[Permit, P], R]], Callable[P, R]]
Async = Callable[
    [Callable[Concatenate[Permit, P], Coroutine[Any, Any, R]]],
    Callable[P, Coroutine[Any, Any, R]],
]


@overload
def guarded(
    client: Client, ask: Callable[P, Query], *, supports: Collection[str] = ...
) -> Sync[P, R]: ...
@overload
def guarded(
    client: aio.Client, ask: Callable[P, Query], *, supports: Collection[str] = ...
) -> Async[P, R]: ...
def guarded(
    client: Client | aio.Client, ask: Callable[P, Query], *, supports: Collection[str] = ()
) -> Any:
    """Makes a decorator.

    Args:
        client: whom to ask.
        ask: what to ask, from the arguments of the call.
        supports: the obligations that the function itself carries out.

    Raises:
        SettingsError: a function that would do its work after its permit has been settled, such as a
            generator, or one that does not go with the client.
    """

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(function, "__qualname__", str(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise SettingsError(f"`{name}` is a generator: guard what it is called by")
        if inspect.iscoroutinefunction(function) is not isinstance(client, aio.Client):
            raise SettingsError(f"`{name}`: async functions go with aio.Client, others with Client")
        if isinstance(client, aio.Client):

            async def call_async(*args: P.args, **kwargs: P.kwargs) -> object:
                with await client.require(ask(*args, **kwargs), supports=supports) as permit:
                    return await function(permit, *args, **kwargs)

            return functools.wraps(function)(call_async)

        def call_sync(*args: P.args, **kwargs: P.kwargs) -> object:
            with client.require(ask(*args, **kwargs), supports=supports) as permit:
                return function(permit, *args, **kwargs)

        return functools.wraps(function)(call_sync)

    return guard
