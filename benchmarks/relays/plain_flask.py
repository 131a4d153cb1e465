"""The relay that everybody writes first: gunicorn -k gevent, Flask, requests.iter_lines, json, yield."""

import json
import os

import requests
from flask import Flask, Response, request

app = Flask(__name__)
UPSTREAM = os.environ["UPSTREAM"]
session = requests.Session()
session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=4000))
VERIFY = os.environ.get("CA_FILE") or True


@app.post("/chat")
def chat():
    messages = request.get_json()["messages"]
    asked = {"model": "m", "messages": messages, "stream": True}
    answer = session.post(f"{UPSTREAM}/chat/completions", json=asked, stream=True, verify=VERIFY)

    def events():
        for line in answer.iter_lines():
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    yield f"data: {json.dumps({'text': text})}\n\n"
        yield "data: [DONE]\n\n"

    return Response(events(), content_type="text/event-stream")
