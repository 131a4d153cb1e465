"""FastAPI, sse-starlette and OpenAI's own client, under uvicorn."""

import json
import os
import ssl

import httpx
from fastapi import FastAPI, Request
from openai import AsyncOpenAI
from sse_starlette.sse import EventSourceResponse

app = FastAPI()
verify = ssl.create_default_context(cafile=os.environ["CA_FILE"]) if os.environ.get("CA_FILE") else True
http = httpx.AsyncClient(verify=verify, limits=httpx.Limits(max_connections=None), timeout=None)
client = AsyncOpenAI(base_url=os.environ["UPSTREAM"], api_key="none", http_client=http, max_retries=0)


@app.post("/chat")
async def chat(request: Request):
    messages = (await request.json())["messages"]
    chunks = await client.chat.completions.create(model="m", messages=messages, stream=True)

    async def events():
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield {"data": json.dumps({"text": text})}
        yield {"data": "[DONE]"}

    return EventSourceResponse(events())
