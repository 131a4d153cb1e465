"""What others have written is in static/vendor as scripts/update-vendor has fetched it."""

from __future__ import annotations

import hashlib
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "static" / "vendor"


def test_no_vendored_file_was_changed_or_has_no_sum() -> None:
    sums = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text("ascii").splitlines())
    files = [file for file in VENDOR.iterdir() if file.name not in ("SHA256SUMS", "README.md")]
    assert sums == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
