"""Starlette and httpx, passing the bytes on as they come, under uvicorn."""

import os
import ssl

import httpx
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

verify = ssl.create_default_context(cafile=os.environ["CA_FILE"]) if os.environ.get("CA_FILE") else True
client = httpx.AsyncClient(verify=verify, limits=httpx.Limits(max_connections=None), timeout=None)


async def chat(request):
    asked = client.build_request("POST", f"{os.environ['UPSTREAM']}/chat/completions", content=await request.body())
    answer = await client.send(asked, stream=True)

    async def pieces():
        async for piece in answer.aiter_raw():
            yield piece
        await answer.aclose()

    return StreamingResponse(pieces(), media_type="text/event-stream")


app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])
