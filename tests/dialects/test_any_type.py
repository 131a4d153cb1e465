"""A foreign server may put a value of any type anywhere: a reader raises Broken or ValueError, or goes on."""

import copy
import json
from contextlib import suppress

import pytest

from millstream.dialects.chat.reader import Chunks
from millstream.dialects.messages.reader import Events as Messages
from millstream.dialects.messages.whole import assemble
from millstream.dialects.ollama.answer import assemble as one_line
from millstream.dialects.ollama.reader import Lines
from millstream.dialects.reading import Broken
from millstream.dialects.responses.reader import Events as Responses
from millstream.dialects.spark.reader import Frames

VALUES = (None, True, 5, 5.5, "x", [], {}, ["a"], [[]], {"a": 1}, [{}], [{"index": []}])
FUNCTION = {"name": "f", "arguments": "{}"}
DELTA = {"content": "a", "tool_calls": [{"index": 0, "id": "i", "function": FUNCTION}], "function_call": FUNCTION}
CHOICE = {"index": 0, "delta": DELTA, "message": {"content": "x"}, "finish_reason": "stop", "usage": {}}
DETAILS = {"reasoning_tokens": 1}
SPARK = {"status": 1, "text": [{"content": "a", "index": 0, "function_call": FUNCTION}]}
ITEM = {"type": "function_call", "id": "i", "call_id": "c", **FUNCTION}
DONE = [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]
EVENTS = {
    Chunks: [
        {"choices": [CHOICE], "error": None, "code": 0, "model": "m", "x_groq": {"usage": {}}},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens_details": DETAILS}},
    ],
    Messages: [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "citations": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a", "citation": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "i", "name": "f"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": 1}},
    ],
    Responses: [
        {"type": "response.created", "sequence_number": 0, "response": {"id": "r"}},
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
        {"type": "response.output_text.delta", "output_index": 0, "item_id": "x", "content_index": 0, "delta": "a"},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
        {"type": "response.completed", "response": {"output": DONE, "usage": {"input_tokens": 1}}},
    ],
    Frames: [
        {
            "header": {"code": 0, "message": "", "sid": "s", "status": 1},
            "payload": {"choices": SPARK, "usage": {"text": {"prompt_tokens": 1}}},
        }
    ],
    Lines: [
        {"model": "m", "message": {"content": "a", "thinking": "t", "tool_calls": [{"function": FUNCTION}]}},
        {"done": True, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1, "message": {}},
    ],
}
WHOLE = {Messages: assemble, Lines: one_line}


def replaced(value):
    """Copies of a document, each with another of its values replaced by one of VALUES."""
    yield from VALUES
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for new in replaced(value[key]):
            document = copy.copy(value)
            document[key] = new
            yield document


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__module__)
def test_a_value_of_any_type_anywhere_is_no_fault_of_ours(kind):
    for place, event in enumerate(EVENTS[kind]):
        for odd in replaced(event):
            events = [*EVENTS[kind][:place], odd, odd, *EVENTS[kind][place:]]
            with suppress(Broken, ValueError):
                reader = kind()
                for one in events:
                    reader.feed(json.dumps(one).encode())
            if kind in WHOLE:
                WHOLE[kind]([one for one in events if isinstance(one, dict)])
