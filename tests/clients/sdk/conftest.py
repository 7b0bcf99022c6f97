"""Clients of a stand-in, of each kind."""

import inspect

import pytest


class Either:
    """A client of one of the two kinds; its methods are awaited where they must be."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        """Such a method."""

        async def call(*args, **kwargs):
            answer = getattr(self.client, name)(*args, **kwargs)
            return await answer if inspect.isawaitable(answer) else answer

        return call

    async def gathered(self, name, *args, **kwargs):
        """All that an iterating method gives."""
        found = getattr(self.client, name)(*args, **kwargs)
        if hasattr(found, "__aiter__"):
            return [one async for one in found]
        return list(found)


@pytest.fixture(params=["sync", "aio"])
def asking(request):
    """Makes a client of a stand-in, of each kind."""

    def make(pdp, **settings):
        return Either(
            pdp.client(**settings) if request.param == "sync" else pdp.aio_client(**settings)
        )

    return make
