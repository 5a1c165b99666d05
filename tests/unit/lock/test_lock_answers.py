"""Every way in which a server says no, as what the node can do about it."""

import pytest

from updater.lock.client import Granted, Refused, Unreachable, Wait, classify
from updater.lock.exchange import Reply, Silence


def reply(status, body=b"", **headers):
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"x" * 65536])
def test_exactly_200_is_a_yes(body):
    assert classify(reply(200, body)) == Granted()


@pytest.mark.parametrize(
    "status", [*range(100, 200), *range(201, 600), 999, 0, 2000, 20]
)
def test_no_other_status_is(status):
    for body in (b"", b"{}", b'{"kind":"ok","value":"granted"}'):
        assert classify(reply(status, body)) != Granted()


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (202, "waiting_for_node_drain", Wait),
        (423, "lock_held", Wait),
        (423, "all_slots_full", Wait),
        (409, "failed_lock", Wait),
        (500, "failed_lock", Wait),
        (429, "request_ratelimit", Wait),
        (500, "failed_sem_init", Unreachable),
        (500, "internal_error", Unreachable),
        (503, "backend_unavailable", Unreachable),
        (408, "timeout", Unreachable),
        (400, "unknown_group", Refused),
        (400, "missing_header", Refused),
        (401, "unauthorized_request", Refused),
        (404, "unknown_group", Refused),
        (405, "method_not_allowed", Refused),
        (409, "not_proved", Refused),
        (204, "ok", Refused),
        (302, "moved", Refused),
    ],
)
def test_the_dialects_are_told_apart(status, kind, outcome):
    found = classify(reply(status, b'{"kind":"%s","value":"text"}' % kind.encode()))
    assert type(found) is outcome


def test_a_wait_carries_the_place_and_the_time():
    found = classify(
        reply(
            423,
            b'{"kind":"lock_held","value":"1 slot held by web3"}',
            Retry_After="60",
            Osupdate_Position="2",
            Osupdate_Waiting="5",
            Osupdate_Expected="240",
        )
    )
    assert found == Wait(60, "lock_held", "1 slot held by web3", 2, 5, 240)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 300),
        ("1", 1),
        ("999999999", 3600),
        ("9" * 50, 300),
        ("-5", 300),
        ("1.5", 300),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 300),
        ("٣", 300),
    ],
)
def test_a_server_cannot_make_a_node_ask_too_often_or_never_again(header, seconds):
    assert classify(reply(423, Retry_After=header)).retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"kind":1}', b"\xff\xfe", b"[" * 60_000, b"\x1b[31m"],
)
def test_a_body_in_another_form_is_no_reason_to_fail(body):
    found = classify(reply(423, body))
    assert found.kind == "http_423"
    assert found.text.isprintable()


def test_what_a_server_says_is_made_safe():
    found = classify(reply(423, b'{"kind":"x\\u001b[31m","value":"a\\nb\\u202ec"}'))
    assert (found.kind, found.text) == ("x\\x1b[31m", "a\\nb\\u202ec")


def test_a_redirect_is_named_and_not_followed():
    found = classify(reply(302, Location="http://evil/\x1b"))
    assert isinstance(found, Refused)
    assert "http://evil/\\x1b" in found.text


def test_silence_is_never_a_yes():
    assert classify(Silence("no route")) == Unreachable("no route", 300)
