"""What goes over the wire comes back as it was, and safe."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core.fleet import Ask, Kind, Phase, Proof, Verdict
from updater.core.text import safe
from updater.lock import wire

WORDS = st.text(max_size=150).map(str.strip)
NUMBERS = st.none() | st.integers(0, 10**15 - 1)


def shown(text):
    return safe(text[: wire.MOST_TEXT], wire.MOST_TEXT)


def is_a_header(value):
    return value.isascii() and value.isprintable() and len(value) < 8000


@given(WORDS, WORDS, WORDS, WORDS, st.sampled_from(Phase), NUMBERS)
def test_a_request_survives_its_headers(name, why, origin, target, phase, request):
    ask = Ask("a", name, why, origin, target, phase, request, "x")
    headers = wire.ask_headers(ask)
    assert all(map(is_a_header, headers.values()))
    back = wire.parse_ask("a", headers, "x")
    assert (back.phase, back.request, back.actor) == (phase, request, "x")
    for sent, got in zip(
        (name, why, origin, target),
        (back.name, back.why, back.origin, back.target),
        strict=True,
    ):
        assert got == shown(sent)


@given(WORDS, st.none() | st.sampled_from(Verdict), NUMBERS)
def test_a_release_survives_its_headers(booted, verdict, request):
    proof = Proof("a", booted=booted, verdict=verdict, request=request, actor="x")
    back = wire.parse_proof("a", wire.proof_headers(proof), "x")
    assert (back.booted, back.verdict, back.request) == (
        shown(booted),
        verdict,
        request,
    )


@given(st.binary(max_size=200))
def test_no_body_does_anything_but_parse_or_be_refused(data):
    try:
        params = wire.parse_body(data)
    except wire.BadRequestError as error:
        assert error.kind
        assert str(error).isprintable()
    else:
        assert params.id
        assert params.id.isprintable()


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_body_that_is_taken_names_a_plain_node_and_group(node, group):
    data = msgspec.json.encode({"client_params": {"id": node, "group": group}})
    try:
        params = wire.parse_body(data)
    except wire.BadRequestError:
        return
    assert (params.id, params.group) == (node, group)
    assert wire.parse_body(wire.request_body(node, group)) == params


@pytest.mark.parametrize("value", ["%1B%5B31m", "%E2%80%AE", "%0A", "%ff%fe", "\udcff"])
def test_what_a_header_hides_is_escaped(value):
    ask = wire.parse_ask("a", {wire.NAME: value, wire.WHY: value}, "")
    assert ask.name.isprintable()
    assert "\\" in ask.name


def test_every_answer_has_a_status_and_only_one_is_200():
    assert set(wire.STATUS) == set(Kind)
    assert [kind for kind, code in wire.STATUS.items() if code == 200] == [Kind.OK]
    assert all(200 <= code < 500 for code in wire.STATUS.values())
