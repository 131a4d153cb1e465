"""Print the parts of this version as CycloneDX JSON: the pins of requirements*.txt, and what static/vendor holds.

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)(?: *;[^\\]*)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
NPM = re.compile(r"(?<![\w/])((?:@[\w.-]+/)?[\w.-]+)@(\d+\.\d+\.\d+)")


def pinned(file: str) -> Iterator[dict[str, object]]:
    """The hashes of a release are those of its files: one for each Python and platform."""
    for name, version, hashes in PIN.findall((ROOT / file).read_text("utf-8")):
        purl = f"pkg:pypi/{name}@{version}"
        files = [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": digest}]}
            for digest in re.findall(r"sha256:(\w+)", hashes)
        ]
        yield part(name, version, purl) | {"externalReferences": files}


def vendored() -> Iterator[dict[str, object]]:
    """scripts/update-vendor alone knows the versions."""
    for name, version in NPM.findall((ROOT / "scripts/update-vendor").read_text("utf-8")):
        yield part(name, version, f"pkg:npm/{name.replace('@', '%40')}@{version}")


def part(name: str, version: str, purl: str) -> dict[str, object]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def document() -> dict[str, object]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    us = part(project["name"], project["version"], f"pkg:pypi/{project['name']}@{project['version']}")
    optional = [item | {"scope": "optional"} for item in pinned("requirements-local.txt")]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": us | {"type": "application", "licenses": [{"license": {"id": "MIT"}}]}},
        "components": [*pinned("requirements.txt"), *vendored(), *optional],
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
