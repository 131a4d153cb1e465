"""What `millstream serve` costs before gunicorn runs in its place."""

import subprocess
import sys

LOADED = """
import os, sys
os.execv = lambda *_: print(*sorted({name.partition(".")[0] for name in sys.modules}))
from millstream.commands import millstream
millstream(["serve", "--no-install"], standalone_mode=False)
"""


def test_it_loads_no_library_of_the_server():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "click" in loaded
    assert not loaded & {"flask", "gevent", "gunicorn", "sqlalchemy", "httptools", "ssl"}
