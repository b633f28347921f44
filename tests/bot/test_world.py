"""Real time is aware UTC; ids sort by time and never repeat."""

from __future__ import annotations

import re
from datetime import UTC, timedelta

from bot.world import RandomIds, SystemClock
from tests.fakes.clock import MovableClock


def test_present_is_an_aware_utc_time():
    assert SystemClock().now().tzinfo is UTC


def test_ulid_is_26_lower_case_characters_of_the_alphabet():
    assert re.fullmatch(r"[0-7][0-9a-hjkmnp-tv-z]{25}", RandomIds(SystemClock()).ulid())


def test_later_ulid_sorts_after_an_earlier_one():
    clock = MovableClock()
    ids = RandomIds(clock)

    found = []
    for _ in range(20):
        found.append(ids.ulid())
        clock.advance(milliseconds=2)

    assert found == sorted(found)


def test_ulid_holds_its_time():
    clock = SystemClock()
    before = clock.now()

    head = RandomIds(clock).ulid()[:10]

    millis = 0
    for letter in head:
        millis = millis * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(letter)
    assert abs(millis / 1000 - before.timestamp()) < timedelta(minutes=1).total_seconds()


def test_ids_never_repeat():
    ids = RandomIds(SystemClock())

    assert len({ids.ulid() for _ in range(2000)} | {ids.token() for _ in range(2000)}) == 4000


def test_token_is_128_bits_in_hexadecimal():
    assert re.fullmatch(r"[0-9a-f]{32}", RandomIds(SystemClock()).token())
