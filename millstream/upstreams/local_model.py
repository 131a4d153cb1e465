"""Run llama.cpp's server: `python -m millstream.upstreams.local_model`, started by local_server.py.

File, name, port and key are environment variables, so `ps` doesn't show them. The process exits when stdin closes.
https://github.com/ggml-org/llama.cpp/tree/master/tools/server, by way of https://github.com/xorbitsai/xllamacpp
"""

from __future__ import annotations

import os
import sys

CONTEXT = 4096  # tokens, shared by all answers that run at the same time
AT_ONCE = 4  # concurrent answers; more have to wait
# llama.cpp's threads wait for each other by spinning: where something else runs on their cores, two of them on two
# cores gave 4 to 30 tokens/s and one 40 to 60. So half of the cores are left to the relay.
THREADS = max(1, (os.cpu_count() or 2) // 2)
NICENESS = 5  # relaying answers has priority over generating them


def parameters() -> object:
    """Return the parameters that start the server."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = os.environ["MILLSTREAM_LOCAL_FILE"]
    wanted.model_alias = {os.environ["MILLSTREAM_LOCAL_NAME"]}  # otherwise answers carry the file's path
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = int(os.environ["MILLSTREAM_LOCAL_PORT"])
    wanted.api_keys = [os.environ["MILLSTREAM_LOCAL_KEY"]]
    wanted.n_ctx = CONTEXT
    wanted.kv_unified = True
    wanted.n_parallel = AT_ONCE
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = THREADS
    wanted.cpuparams.poll = wanted.cpuparams_batch.poll = 0
    wanted.n_gpu_layers = 0
    wanted.offline = True
    wanted.ui = wanted.endpoint_slots = False
    wanted.cache_ram_mib = 0  # MiB of old conversations; 8192 by default
    wanted.verbosity = 0
    return wanted


def serve() -> None:
    """Run until stdin closes; never return. Raises RuntimeError if the file is not a model."""
    import xllamacpp

    _server = xllamacpp.Server(parameters())  # it listens from here on, in its own threads
    while os.read(0, 4096):
        pass
    # Exit at once: the server's destructor waits forever while an answer is being made.
    os._exit(0)


if __name__ == "__main__":
    os.nice(NICENESS)
    try:
        serve()
    except RuntimeError as error:
        sys.exit(f"Millstream: {os.environ['MILLSTREAM_LOCAL_FILE']} can't be loaded: {error}")
