import pytest

from millstream.upstreams.estimate import MESSAGE, estimate, prompt_tokens, weight
from tests.calling import calling


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("The quick brown fox jumps over the lazy dog.", 9, 13),
        ("你好,今天天气怎么样?", 7, 11),
        ("Съешь ещё этих мягких французских булок", 8, 16),
        ("こんにちは世界", 4, 7),
        ("안녕하세요", 3, 5),
        ("😀😀😀", 2, 6),
        ("x" * 100_000, 25_000, 25_000),
    ],
)
def test_a_text_is_about_so_many_tokens(text, least, most):
    assert least <= estimate(text) <= most


def test_the_weights_of_pieces_add_up():
    text = "Grüße, 你好 and 😀."
    assert sum(map(weight, text)) == pytest.approx(weight(text))


TEXT = {"type": "text", "text": "1234"}
PICTURE = {"type": "image_url", "image_url": "https://a.example/b.png"}


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ([], 0),
        ([{"role": "user", "content": "12345678"}], MESSAGE + 2),
        ([{"role": "user", "content": None}, {"role": "assistant"}], 2 * MESSAGE),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "1234"}, {"type": "image_url", "image_url": "http://x"}],
                }
            ],
            MESSAGE + 1,
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}]}],
            MESSAGE + 2,
        ),
    ],
)
def test_a_conversation_counts_its_messages_too(messages, tokens):
    assert prompt_tokens(calling("m", messages).question) == tokens


def test_what_a_conversation_offers_to_be_called_counts_too():
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 4000}}]
    call = calling("m", [{"role": "user", "content": "Hi"}], {"tools": tools})
    assert 1000 < prompt_tokens(call.question) < 1100
