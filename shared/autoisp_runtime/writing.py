"""How a stream of responses is sent."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import Any


async def written(responses: Any, context: Any) -> None:
    """Send what the handler of a stream yields, or wait for one that sends by itself with ``context.write``.

    gRPC leaves an asynchronous generator alone when its call is cancelled; some other task ends it later, and
    finds the context variables of a stranger. A coroutine is cancelled itself.
    """
    if inspect.isawaitable(responses):
        await responses
        return
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)
