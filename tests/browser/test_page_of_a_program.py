"""A program's answer: followed by curl and a browser, stopped there, resumed after a worker's death."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import openai
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.system.clients import until
from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server

HALF = 10
WORDS = [f"word{n} " for n in range(2 * HALF)]
SAID = "".join(WORDS[:HALF])


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    with Emulator(WORDS) as upstream:
        upstream.gate, upstream.gate_at = threading.Event(), HALF
        yield upstream


def curl(url: str, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["curl", "-sSN", "-m", str(DEADLINE), *options, url], stdout=subprocess.PIPE)


def ask(sdk: openai.OpenAI) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
    return sdk.chat.completions.create(
        model="emulated",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        extra_headers={"Idempotency-Key": "once"},
    )


def test_an_sdks_answer_is_followed_stopped_on_a_page_and_resumed_exactly(upstream, browser_without_script: Chrome):
    with Server({"emulated": upstream.table}, workers=2) as server:
        sdk = openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=5, timeout=DEADLINE)
        stream = ask(sdk)
        url = f"{server.url}/streams/{stream.response.headers['x-request-id']}"
        text = curl(f"{url}?format=text")
        page = browser_without_script
        page.get(f"{url}?format=html")
        until(lambda: SAID.strip() in page.find_element(By.TAG_NAME, "body").text)
        page.find_element(By.CSS_SELECTOR, 'form[action*="/stop"] [type=submit]').click()
        seen = [chunk.to_dict() for chunk in stream]
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in seen) == SAID
        assert (text.communicate()[0].decode(), text.returncode) == (SAID, 0)
        until(lambda: "Stopped." in page.page_source)
        (answer,) = page.find_elements(By.CSS_SELECTOR, "article .text")
        assert answer.get_property("textContent") == SAID
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert [chunk.to_dict() for chunk in ask(sdk)] == seen
        rest = curl(f"{url}?format=text", "--range", "7-")
        assert (rest.communicate()[0].decode(), rest.returncode) == (SAID[7:], 0)
    assert len(upstream.asked) == 1
