"""The official client and ours ask the same server: an independent check that it is as strict as the real one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.dialects.spark.request import MODELS
from millstream.upstreams.spark import Spark
from tests.calling import calling
from tests.upstreams.spark_server import API_SECRET, SparkServer, answer

pytestmark = pytest.mark.system  # for its time, and the other programs it runs

ROOT = Path(__file__).parents[2]


def official(server, model, secret=API_SECRET):
    address = server.address + MODELS[model].path
    run = subprocess.run(
        [sys.executable, "-m", "tests.upstreams.spark_sdk", address, MODELS[model].domain, secret],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


if sys.version_info < (3, 13):  # the newest Python that its package can be installed for is 3.12

    @pytest.mark.parametrize("model", ["lite", "generalv3.5", "4.0Ultra"])
    def test_the_official_client_gets_what_ours_gets(model):
        server = SparkServer(answer("星火", " 🙂", "!"))
        theirs = official(server, model)
        ours = list(Spark(server.settings((model,))).stream(calling(model, [{"role": "user", "content": "Hi 星火"}])))
        server.close()
        events = [event for batch in ours for event in batch]
        assert "".join(theirs["texts"]) == "星火 🙂!"
        assert [event.text for event in events[:-1]] == ["星火", " 🙂", "!"]
        assert theirs["usage"]["completion_tokens"] == events[-1].end.usage.output
        them, us = server.questions
        assert them["payload"] == us["payload"]
        assert them["parameter"]["chat"]["domain"] == us["parameter"]["chat"]["domain"]
        assert server.refused == []

    def test_the_official_client_is_refused_with_a_wrong_secret():
        server = SparkServer(answer("never"))
        theirs = official(server, "lite", "another")
        server.close()
        assert "401" in theirs["error"]
        assert server.refused == ["HMAC signature does not match"]
