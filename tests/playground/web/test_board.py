"""Every tab is told everything once and afterwards what differs; none misses a change, none blocks the others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from playground.web.board import WAITING_MAX, Board, Tab
from tests.playground.web.conftest import take


def told(tab: Tab) -> list[dict[str, Any]]:
    messages = []
    while not tab.queue.empty():
        text = tab.queue.get_nowait()
        assert text is not None
        messages.append(json.loads(text))
    return messages


def test_a_new_tab_is_told_everything() -> None:
    async def scene() -> list[dict[str, Any]]:
        board = Board()
        board.show("one", {"a": 1})
        board.show("two", {"b": [2]})
        tab = board.join()
        await asyncio.sleep(0)
        return told(tab)

    assert asyncio.run(scene()) == [{"reset": True, "drop": [], "put": {"a": 1, "b": [2]}}]


def test_a_tab_is_told_only_what_differs() -> None:
    async def scene() -> list[dict[str, Any]]:
        board = Board()
        board.show("one", {"kept": {"x": 1}, "changed": 1, "gone": 1})
        tab = board.join()
        board.show("one", {"kept": {"x": 1}, "changed": 2, "new": 3})
        board.show("one", {"kept": {"x": 1}, "changed": 2, "new": 3})
        await asyncio.sleep(0)
        return told(tab)[1:]

    assert asyncio.run(scene()) == [{"reset": False, "drop": ["gone"], "put": {"changed": 2, "new": 3}}]


def test_a_tab_is_told_of_what_is_gone_even_when_nothing_else_changed() -> None:
    async def scene() -> list[dict[str, Any]]:
        board = Board()
        board.show("one", {"open dialog": 1})
        tab = board.join()
        board.show("one", {})
        await asyncio.sleep(0)
        return told(tab)[1:]

    assert asyncio.run(scene()) == [{"reset": False, "drop": ["open dialog"], "put": {}}]


def test_tabs_that_join_at_different_times_end_up_the_same() -> None:
    async def scene() -> list[dict[str, Any]]:
        board = Board()
        early = board.join()
        board.show("one", {"a": 1, "b": 1})
        late = board.join()
        board.show("one", {"a": 2})
        await asyncio.sleep(0)
        return [replayed(early), replayed(late)]

    assert asyncio.run(scene()) == [{"a": 2}, {"a": 2}]


def replayed(tab: Tab) -> dict[str, Any]:
    records: dict[str, Any] = {}
    for message in told(tab):
        take(records, message)
    return records


def test_a_tab_that_left_is_told_nothing_more() -> None:
    async def scene() -> tuple[int, bool]:
        board = Board()
        tab = board.join()
        board.leave(tab)
        board.show("one", {"a": 1})
        await asyncio.sleep(0)
        return len(told(tab)), board.watched

    assert asyncio.run(scene()) == (1, False)


def test_a_tab_that_reads_no_more_is_cut_off() -> None:
    async def scene() -> str | None:
        board = Board()
        tab = board.join()
        for number in range(WAITING_MAX + 5):
            board.show("one", {"a": number})
        await asyncio.sleep(0)
        messages = [tab.queue.get_nowait() for _ in range(tab.queue.qsize())]
        return messages[-1]

    assert asyncio.run(scene()) is None


@pytest.mark.parametrize("text", ["line\nline", "data: forged\n\n", "\u2028"])
def test_no_text_can_break_the_framing_of_the_stream(text: str) -> None:
    async def scene() -> str | None:
        board = Board()
        board.show("one", {"a": text})
        tab = board.join()
        await asyncio.sleep(0)
        return tab.queue.get_nowait()

    message = asyncio.run(scene())

    assert message is not None
    assert "\n" not in message
    assert json.loads(message)["put"] == {"a": text}
