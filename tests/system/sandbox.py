"""A systemd unit with no systemd: its user, its folders and what it may not write, built with unshare and setpriv.

https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html — system call filters are not built.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path
from shlex import quote

from tests.system.package import DEADLINE

# The machine, before systemd starts the unit: what is changed in /etc, /srv and /var/lib is gone afterwards.
OUTER = """set -e
mount -t tmpfs tmpfs {room}
mkdir {room}/upper {room}/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={room}/upper,workdir={room}/work /etc
mount -t tmpfs tmpfs /srv
mount -t tmpfs tmpfs /var/lib
mkdir /srv/millstream
mount --bind {project} /srv/millstream
useradd --system --home-dir /srv/millstream --shell /usr/sbin/nologin {user}
{before}
install -d -m {state_mode} -o {user} -g {user} /var/lib/{state}
[ -d /etc/{configuration} ] || install -d -m {configuration_mode} /etc/{configuration}
{pre}
unshare --mount --propagation private sh -c {inner} &
server=$!
trap 'kill $server' TERM
echo MAINPID=$server
wait $server || wait $server
"""
# ProtectSystem=strict, ProtectHome, PrivateTmp, then the user without any capability.
INNER = """set -e
mount --bind /var/lib/{state} /var/lib/{state}
findmnt --raw --noheadings --output TARGET | while read -r place; do
    case $place in /dev* | /proc* | /sys* | /var/lib/{state}) ;; *) mount -o remount,bind,ro "$place" ;; esac
done
for place in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
for place in /home /root /run/user; do [ ! -d $place ] || mount -t tmpfs -o ro,mode=000 tmpfs $place; done
cd {folder}
umask {umask}
exec env -i PATH=/usr/bin:/bin $(cat {environment} || true) \
    STATE_DIRECTORY=/var/lib/{state} CONFIGURATION_DIRECTORY=/etc/{configuration} \
    setpriv --reuid {user} --regid {user} --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
    {start}
"""


def parts(text: str) -> tuple[dict[str, str], list[str]]:
    """A unit's words for the scripts above, and what root runs before its start."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    assert (unit["ProtectSystem"], unit["ProtectHome"], unit["PrivateTmp"]) == ("strict", "yes", "yes")
    assert (unit["NoNewPrivileges"], unit["CapabilityBoundingSet"]) == ("yes", "")
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
    pre = re.findall(r"^ExecStartPre=\+(.*)$", text, re.M)
    pre += [f"{line} || true" for line in re.findall(r"^ExecStartPre=-\+(.*)$", text, re.M)]
    return {
        "user": unit["User"],
        "state": unit["StateDirectory"],
        "state_mode": unit["StateDirectoryMode"],
        "configuration": unit["ConfigurationDirectory"],
        "configuration_mode": unit["ConfigurationDirectoryMode"],
        "folder": unit["WorkingDirectory"],
        "umask": unit["UMask"],
        "environment": unit["EnvironmentFile"].removeprefix("-"),
        "start": unit["ExecStart"],
    }, pre


def as_started(text: str) -> str:
    """A script that makes the unit's folders and becomes the unit."""
    words, pre = parts(text)
    return "\n".join(
        [
            "install -d -m {state_mode} -o {user} -g {user} /var/lib/{state}".format(**words),
            *pre,
            f"exec unshare --mount --propagation private sh -c {quote(INNER.format(**words))}",
        ]
    )


class Sandbox:
    """`with Sandbox(text_of_the_unit, project) as unit:` runs it. `project` stands at /srv/millstream; `before` is a
    shell script of the operator's. Needs root."""

    def __init__(self, text: str, project: Path, before: str = "") -> None:
        words, pre = parts(text)
        room = tempfile.mkdtemp(prefix="millstream-unit-")
        inner = quote(INNER.format(**words))
        self._script = OUTER.format(
            **words, room=room, project=project, before=before, pre="\n".join(pre), inner=inner
        )
        self._room = Path(room)
        self._log = self._room.with_suffix(".log")

    def __enter__(self) -> Sandbox:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", self._script],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE)
        self._room.rmdir()
        self._log.unlink()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def said(self) -> str:
        return self._log.read_text("utf-8")

    def reload(self) -> None:
        """What ExecReload says."""
        found = re.search(r"^MAINPID=(\d+)", self.said(), re.M)
        assert found
        os.kill(int(found[1]), signal.SIGHUP)

    def as_root(self, script: str) -> str:
        """Runs a command of the operator's on the machine, outside of the unit."""
        enter = ["nsenter", "--target", str(self._process.pid), "--mount", "sh", "-c", script]
        done = subprocess.run(enter, capture_output=True, text=True, check=False, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
