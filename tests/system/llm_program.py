"""simonw's command `llm`. An ask is [ITS FOLDER, ITS ARGUMENTS]; the answer is [STATUS, STDOUT, STDERR]."""

from __future__ import annotations

import json
import os
import sys

from click.testing import CliRunner
from llm.cli import cli

for line in sys.stdin:
    folder, arguments = json.loads(line)
    os.environ["LLM_USER_PATH"] = folder
    ran = CliRunner().invoke(cli, arguments)
    print(json.dumps([ran.exit_code, ran.stdout, ran.stderr]), end="\n\n", flush=True)
