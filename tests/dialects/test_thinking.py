"""`<think>…</think>` at the beginning of an answer, cut anywhere."""

import pytest

from millstream.dialects.chat.thinking import Thinking

CASES = [
    # the answer → thoughts, answer
    ("<think>Hm, so.</think>Four.", "Hm, so.", "Four."),
    (" \n<think>\nHm</think>\n\nFour.", "\nHm", "\n\nFour."),
    ("<think></think>Four.", "", "Four."),
    ("<think>a < b </thin </ think></think>c", "a < b </thin </ think>", "c"),
    ("<think>a<think>b</think>c</think>d", "a<think>b", "c</think>d"),
    ("<think>never ended </thi", "never ended </thi", ""),
    ("<think>", "", ""),
    ("<thin", "", "<thin"),
    ("  ", "", "  "),
    ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
    ("Four <think>no</think>", "", "Four <think>no</think>"),
    ("<b>Four</b>", "", "<b>Four</b>"),
]


def told(pieces):
    """All that was shown, piece by piece, and what close() gave."""
    thinking = Thinking()
    return [thinking.feed(piece) for piece in pieces], thinking.close()


@pytest.mark.parametrize(("text", "thought", "answer"), CASES)
def test_thoughts_and_answer_wherever_it_is_cut(text, thought, answer):
    for at in range(len(text) + 1):
        for pieces in ([text[:at], text[at:]], [text[:at], *text[at:]], [*text[:at], text[at:]]):
            shown, last = told(pieces)
            assert tuple(map("".join, zip(*shown, last, strict=True))) == (thought, answer), pieces


@pytest.mark.parametrize("marker", ["<think>", "</think>"])
def test_half_a_marker_is_never_shown(marker):
    before = "" if marker == "<think>" else "<think>Hm"
    for size in range(1, len(marker)):
        shown, _ = told([before + marker[:size]])
        assert shown == [("Hm" if before else "", "")], size


def test_white_space_is_not_held_for_ever():
    shown, last = told([" "] * 1100 + ["<think>a"])
    assert ("".join(answer for _, answer in shown), last) == (" " * 1100 + "<think>a", ("", ""))
