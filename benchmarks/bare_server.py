"""The floor of a feature server: a bare Starlette route that asks Redis for the same hashes.

It knows one view's fields, and neither callers nor defaults nor ages nor a registry.
"""

import os
import struct

from feast.protos.feast.types.Value_pb2 import Value
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BEFORE, AFTER = (bytes.fromhex(part) for part in os.environ["BARE_KEY"].split(","))
FIELDS = [bytes.fromhex(part) for part in os.environ["BARE_FIELDS"].split(",")]
NAMES = os.environ["BARE_NAMES"].split(",")

redis = Redis(port=int(os.environ["BARE_REDIS"]))


async def read(request: Request) -> JSONResponse:
    """The same answer for known customers, as a column per feature."""
    customers = (await request.json())["entities"]["customer_id"]
    pipe = redis.pipeline(transaction=False)
    for customer in customers:
        pipe.hmget(BEFORE + struct.pack("<q", customer) + AFTER, FIELDS)
    rows = [[_scalar(raw) for raw in row] for row in await pipe.execute()]
    return JSONResponse(dict(zip(NAMES, zip(*rows, strict=True), strict=True)))


def _scalar(raw: bytes) -> float | int:
    value = Value.FromString(raw)
    number: float | int = getattr(value, value.WhichOneof("val"))
    return number


async def health(request: Request) -> JSONResponse:
    """Up."""
    return JSONResponse({})


app = Starlette(
    routes=[Route("/get-online-features", read, methods=["POST"]), Route("/health", health)]
)
