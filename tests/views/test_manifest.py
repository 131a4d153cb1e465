from __future__ import annotations

from millstream.application import create_app
from millstream.settings import Settings
from millstream.settings.page import PageSettings
from millstream.settings.upstreams import UpstreamSettings

DEMO = UpstreamSettings("demo", "demo")
EVIL = "</title><script>alert(1)</script>"


def branded(tmp_path, **more):
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    page = PageSettings(**more, logo=tmp_path / "logo.svg")
    return create_app(Settings(store=f"file:{tmp_path}/store", upstreams=(DEMO,), page=page)).test_client()


def test_the_manifest_has_icons_that_are_there(client):
    manifest = client.get("/manifest.webmanifest")
    assert manifest.content_type == "application/manifest+json"
    assert (manifest.json["name"], manifest.json["start_url"]) == ("Millstream", "./")
    for icon in manifest.json["icons"]:
        with client.get(f"/{icon['src']}") as response:
            assert response.data[:4] == b"\x89PNG"
    assert client.get("/logo").status_code == 404


def test_the_worker_is_served_where_it_reaches_the_page(client):
    worker = client.get("/offline.js")
    assert worker.content_type.startswith("text/javascript")
    assert worker.headers["Cache-Control"] == "no-cache"


def test_the_hosts_words_stand_for_ours_and_are_only_text(tmp_path):
    words = {
        key: dict.fromkeys(("en", "zh", "ru"), f"{EVIL}{key}")
        for key in ("name", "greeting", "placeholder", "footer")
    }
    client = branded(tmp_path, words=words, examples={"en": (EVIL,)})
    page = client.get("/").text
    assert "<script>alert" not in page
    for key in words:
        assert f"&lt;script&gt;alert(1)&lt;/script&gt;{key}" in page
    assert '<img class="logo" src="/logo"' in page
    assert client.get("/manifest.webmanifest").json["icons"] == [
        {"src": "logo", "sizes": "any", "type": "image/svg+xml"}
    ]


def test_a_logo_that_is_opened_by_itself_runs_nothing(tmp_path):
    logo = branded(tmp_path).get("/logo")
    assert logo.mimetype == "image/svg+xml"
    assert "sandbox" in logo.headers["Content-Security-Policy"]
