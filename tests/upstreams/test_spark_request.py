"""A question in Spark's words, and its signature."""

import json

import pytest

from millstream.dialects.spark.request import MODELS, messages, parameters, uid, write
from millstream.errors import RequestError
from millstream.upstreams.spark_signing import authorization, signature, target
from tests.calling import calling

HOST, DATE = "spark-api.xf-yun.com", "Fri, 05 May 2023 10:43:39 GMT"
SECRET = "MjlmNzkzNmZkMDQ2OTc0ZDdmNGE2ZTZi"


def test_the_documented_signature():
    assert signature(HOST, "/v1.1/chat", DATE, SECRET) == "z5gHdu3pxVV4ADMyk467wOWDQ9q6BQzR3nfMTjc/DaQ="


def test_the_documented_authorization():
    key = "addd2272b6d8b7c8abdd79531420ca3b"
    assert authorization(HOST, "/v1.1/chat", DATE, key, SECRET) == (
        "YXBpX2tleT0iYWRkZDIyNzJiNmQ4YjdjOGFiZGQ3OTUzMTQyMGNhM2IiLCBhbGdvcml0aG09ImhtYWMtc2hhMjU2IiwgaGVhZGVycz0i"
        "aG9zdCBkYXRlIHJlcXVlc3QtbGluZSIsIHNpZ25hdHVyZT0iejVnSGR1M3B4VlY0QURNeWs0Njd3T1dEUTlxNkJRelIzbmZNVGpjL0Rh"
        "UT0i"
    )


def test_the_address_is_encoded():
    assert target(HOST, "/x2", DATE, "a+b/c=") == (
        "/x2?authorization=a%2Bb%2Fc%3D&date=Fri%2C+05+May+2023+10%3A43%3A39+GMT&host=spark-api.xf-yun.com"
    )


PATHS = {
    "lite": ("/v1.1/chat", "lite"),
    "generalv2": ("/v2.1/chat", "generalv2"),
    "generalv3": ("/v3.1/chat", "generalv3"),
    "pro-128k": ("/chat/pro-128k", "pro-128k"),
    "generalv3.5": ("/v3.5/chat", "generalv3.5"),
    "max-32k": ("/chat/max-32k", "max-32k"),
    "4.0Ultra": ("/v4.0/chat", "4.0Ultra"),
    "spark-x": ("/v1/x1", "spark-x"),
    "spark-x2": ("/x2", "spark-x"),
}


def test_a_models_name_gives_path_and_domain():
    assert {name: (model.path, model.domain) for name, model in MODELS.items()} == PATHS


def turns(*pairs):
    names = {"s": "system", "u": "user", "a": "assistant", "d": "developer"}
    return [{"role": names[role], "content": content} for role, content in pairs]


def said(asked):
    return calling("m", asked).question.messages


def request(call, model, app):
    return write(call.question, model, app, call.caller)


ORDERS = {
    "as it is": (turns("sS", "uQ"), turns("sS", "uQ")),
    "a conversation": (turns("sS", "uQ", "aA", "uR"), turns("sS", "uQ", "aA", "uR")),
    "no system": (turns("uQ"), turns("uQ")),
    "the system later": (turns("uQ", "aA", "sS", "uR"), turns("sS", "uQ", "aA", "uR")),
    "several systems": (turns("sS", "uQ", "dT"), turns(("s", "S\n\nT"), "uQ")),
    "two of the user": (turns("uQ", "uR"), turns(("u", "Q\n\nR"))),
    "two of the assistant": (turns("uQ", "aA", "aB", "uR"), turns("uQ", ("a", "A\n\nB"), "uR")),
    "an empty answer": (turns("uQ", ("a", ""), "uR"), turns(("u", "Q\n\nR"))),
    "blank ones": (turns(("s", " \n"), ("u", "  "), "uQ"), turns("uQ")),
    "the assistant first": (turns("sS", "aA", "uQ"), turns("sS", ("u", "A\n\nQ"))),
    "content in parts": (
        [{"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "R"}]}],
        turns(("u", "QR")),
    ),
    "no content": ([*turns("uQ"), {"role": "assistant", "content": None}, *turns("uR")], turns(("u", "Q\n\nR"))),
}


@pytest.mark.parametrize(("asked", "sent"), ORDERS.values(), ids=ORDERS)
def test_messages_are_brought_into_order(asked, sent):
    before = json.dumps(asked)
    assert messages(said(asked), system=True) == sent
    assert json.dumps(asked) == before


@pytest.mark.parametrize(("asked", "sent"), ORDERS.values(), ids=ORDERS)
def test_a_model_without_system_gets_it_in_front_of_the_first_question(asked, sent):
    if sent[0]["role"] == "system":
        sent = [{"role": "user", "content": f"{sent[0]['content']}\n\n{sent[1]['content']}"}, *sent[2:]]
    if asked == ORDERS["the assistant first"][0]:
        sent = turns(("u", "S\n\nA\n\nQ"))
    assert messages(said(asked), system=False) == sent


def test_models_without_a_system_message():
    assert [name for name, model in MODELS.items() if not model.system] == [
        "lite",
        "generalv2",
        "generalv3",
        "pro-128k",
    ]


WRONG = {
    "nothing": [],
    "nobody asks": turns("sS"),
    "the assistant last": turns("uQ", "aA"),
    "a blank question": turns(("u", " ")),
    "another role": [*turns("uQ"), {"role": "narrator", "content": "x"}],
    "a picture": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}],
    "a number": [{"role": "user", "content": 7}],
    "half a character": turns(("u", "\ud83d")),
}


@pytest.mark.parametrize("asked", WRONG.values(), ids=WRONG)
def test_messages_that_spark_can_not_take(asked):
    with pytest.raises(RequestError) as caught:
        request(calling("lite", asked), MODELS["lite"], "app")
    assert (caught.value.code, caught.value.status, caught.value.param.split("[")[0]) == (
        "bad_field",
        400,
        "messages",
    )


HELD = [
    (
        "lite",
        {"temperature": 0.7, "max_tokens": 100, "top_k": 3},
        {"temperature": 0.7, "max_tokens": 100, "top_k": 3},
    ),
    ("lite", {"temperature": 0, "max_tokens": 0, "top_k": 0}, {"temperature": 0.01, "max_tokens": 1, "top_k": 1}),
    ("lite", {"temperature": 2, "max_tokens": 9999, "top_k": 9}, {"temperature": 1, "max_tokens": 4096, "top_k": 6}),
    ("4.0Ultra", {"max_tokens": 9999, "stop": [], "top_p": None}, {"max_tokens": 8192}),
    ("pro-128k", {"max_tokens": 9999}, {"max_tokens": 4096}),
    ("spark-x", {"temperature": 2, "max_tokens": 99999}, {"temperature": 2, "max_tokens": 32768}),
    ("spark-x2", {"temperature": 1.7, "top_p": 0}, {"temperature": 1.7, "top_p": 0.01}),
    ("lite", {}, {}),
]


@pytest.mark.parametrize(("model", "asked", "sent"), HELD)
def test_options_are_held_to_the_models_range(model, asked, sent):
    assert parameters(calling("m", [], asked).question.options, MODELS[model]) == sent


@pytest.mark.parametrize(
    ("name", "value"), [("stop", ["x"]), ("top_p", 0.5), ("logprobs", 1), ("temperature", True), ("max_tokens", "9")]
)
def test_what_spark_does_not_have_is_named(name, value):
    with pytest.raises(RequestError) as caught:
        request(calling("lite", turns("uQ"), {name: value}), MODELS["lite"], "app")
    assert (caught.value.code, caught.value.param) == ("bad_field", name)
    assert name in caught.value.message


@pytest.mark.parametrize("caller", ["team", "a" * 32, "key:1.x"])
def test_a_short_name_is_the_uid(caller):
    assert uid(caller) == caller


@pytest.mark.parametrize("caller", ["a" * 33, "two words", "é", "a\n", "\ud83d"])
def test_another_name_becomes_a_digest(caller):
    assert len(uid(caller)) == 32
    assert uid(caller).isalnum()
    assert uid(caller) == uid(caller) != uid(caller + "x")


def test_the_whole_question():
    call = calling("spark-x2", turns("sS", "uQ"), {"temperature": 1.5}, "team")
    assert json.loads(request(call, MODELS["spark-x2"], "5f1c2d3e")) == {
        "header": {"app_id": "5f1c2d3e", "uid": "team"},
        "parameter": {"chat": {"domain": "spark-x", "temperature": 1.5}},
        "payload": {"message": {"text": turns("sS", "uQ")}},
    }


def test_nobody_has_no_uid():
    assert json.loads(request(calling("lite", turns("uQ")), MODELS["lite"], "app"))["header"] == {"app_id": "app"}
