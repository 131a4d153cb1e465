"""Asks Millstream, prints the answer while it comes, and resumes a lost connection. Needs: pip install requests"""

import json
import os
import sys
import time
from uuid import uuid4

import requests

url = os.environ.get("MILLSTREAM_URL", "http://localhost:8000")
key = os.environ.get("MILLSTREAM_KEY", "none")
headers = {"Accept": "application/x-ndjson", "Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())}
question = {"prompt": " ".join(sys.argv[1:]) or "Name three rivers."}
address, last, tries = "", 0, 0

while True:
    try:
        if address:
            follow = f"{url}{address}?format=ndjson&after={last}"
            response = requests.get(follow, headers=headers, stream=True, timeout=(5, 60))
        else:
            response = requests.post(f"{url}/chat", json=question, headers=headers, stream=True, timeout=(5, 60))
        if not response.ok:
            sys.exit(response.json()["error"]["message"])
        for line in response.iter_lines(chunk_size=1):
            event = json.loads(line or "{}")
            last = event.get("n", last)
            match event.get("type"):
                case "start":
                    address = event["url"]
                case "message":
                    print(event["text"], end="", flush=True)
                case "failed":
                    sys.exit(event["error"]["message"])
                case "done":
                    print()
                    sys.exit()
    except requests.RequestException as error:
        tries += 1
        if tries > 5:
            sys.exit(f"The connection was lost: {error}")
        time.sleep(tries)
