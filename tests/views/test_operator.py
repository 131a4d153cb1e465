def test_healthz_and_readyz_answer_without_an_upstream(client):
    assert (client.get("/healthz").json, client.get("/readyz").json) == ({"status": "ok"}, {"status": "ok"})


def test_readyz_says_when_no_more_is_taken(make_app):
    app = make_app(max_streams=1)
    client = app.test_client()
    client.post("/streams", json={"prompt": "x", "model": "demo?hold=30"})
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (503, {"status": "full"})
    refused = client.post("/chat", json={"prompt": "x"})
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "full")
    assert refused.headers["Retry-After"]
