"""gevent's patches, in a process of their own."""

import subprocess
import sys

PATCH = """
import sys
from importlib import metadata
sys.path.insert(0, sys.argv[1])
asked, ask = [], metadata.entry_points
def entry_points(**about):
    asked.append(about)
    return ask(**about)
metadata.entry_points = entry_points
from millstream.patching import patch
patch()
import socket
print(len(asked), metadata.entry_points is entry_points, socket.socket.__module__)
"""
PLUG_IN = "[gevent.plugins.monkey.will_patch_all]\nspeaking = speaking:speak\n"


def test_everything_is_patched_and_plug_ins_are_looked_for_once(tmp_path):
    (tmp_path / "speaking.py").write_text("def speak(event):\n    print(type(event).__name__)\n")
    about = tmp_path / "speaking-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: speaking\nVersion: 1\n")
    (about / "entry_points.txt").write_text(PLUG_IN)
    done = subprocess.run([sys.executable, "-c", PATCH, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["GeventWillPatchAllEvent", "1 True gevent._socket3"]
