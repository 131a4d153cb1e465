"""Spark's signed address: https://www.xfyun.cn/doc/spark/general_url_authentication.html"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from urllib.parse import urlencode

SKEW = 300  # s that a date may be off


def signature(host: str, path: str, date: str, secret: str) -> str:
    """Sign a request. The secret is used as text, although it looks like base64. `host` includes the port if the
    address has one; `date` has the format of RFC 1123, in GMT."""
    signed = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    return b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)).decode()


def authorization(host: str, path: str, date: str, key: str, secret: str) -> str:
    sign = signature(host, path, date, secret)
    says = f'api_key="{key}", algorithm="hmac-sha256", headers="host date request-line", signature="{sign}"'
    return b64encode(says.encode()).decode()


def target(host: str, path: str, date: str, authorization: str) -> str:
    """Return the address after the host. Keep it secret: for SKEW seconds anybody who has it can ask."""
    return f"{path}?{urlencode({'authorization': authorization, 'date': date, 'host': host})}"
