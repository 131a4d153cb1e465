"""Spark's signed address: https://www.xfyun.cn/doc/spark/general_url_authentication.html"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from urllib.parse import urlencode

SKEW = 300  # s that a date may be off


def signature(host: str, path: str, date: str, secret: str) -> str:
    """The secret is used as text, although it looks like base64. `host` has the port if the address has one; `date`
    is RFC 1123's, in GMT."""
    signed = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    return b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)).decode()


def authorization(host: str, path: str, date: str, key: str, secret: str) -> str:
    sign = signature(host, path, date, secret)
    says = f'api_key="{key}", algorithm="hmac-sha256", headers="host date request-line", signature="{sign}"'
    return b64encode(says.encode()).decode()


def target(host: str, path: str, date: str, authorization: str) -> str:
    """What stands behind the host in the address. It is a key: whoever has it can ask, for SKEW seconds."""
    return f"{path}?{urlencode({'authorization': authorization, 'date': date, 'host': host})}"
