"""The floors that everything is compared with: one durable commit, and Bolt doing nothing but acknowledge.

A floor is what no program on the same database, or with the same Bolt, could go below. It uses neither SQLAlchemy nor
any code of the product.
"""

from __future__ import annotations

import sqlite3
from itertools import count
from typing import Any

import psycopg
from slack_bolt import Ack, App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from sqlalchemy import make_url

from bot import ids
from playground.slack.model import TEAM_ID

CREATE = "CREATE TABLE IF NOT EXISTS benchmark_floor (number INTEGER PRIMARY KEY)"


class CommitFloor:
    """One row inserted and committed durably, with the driver alone, into the database under test."""

    def __init__(self, url: str) -> None:
        self._numbers = count(1)
        parsed = make_url(url)
        self._connection: Any
        if parsed.get_backend_name() == "sqlite":
            self._connection = sqlite3.connect(str(parsed.database), isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous=FULL")
            self._insert = "INSERT INTO benchmark_floor VALUES (?)"
        else:
            address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(address, autocommit=True)
            self._insert = "INSERT INTO benchmark_floor VALUES (%s)"
        self._connection.execute(CREATE)
        self._connection.execute("DELETE FROM benchmark_floor")

    def __call__(self) -> None:
        self._connection.execute(self._insert, (next(self._numbers),))

    def close(self) -> None:
        self._connection.close()


class BoltFloor:
    """A Bolt app whose only listener does nothing, or one commit, and acknowledges."""

    def __init__(self, commit: CommitFloor | None = None) -> None:
        self._app = App(
            client=WebClient(token="xoxb-none", base_url="http://127.0.0.1:1/"),
            authorize=lambda: AuthorizeResult(enterprise_id=None, team_id=TEAM_ID, bot_token="xoxb-none"),
            token_verification_enabled=False,
        )

        def listener(ack: Ack) -> None:
            if commit is not None:
                commit()
            ack()

        self._app.action(ids.ACTION_APPROVE)(listener)

    def __call__(self, body: dict[str, Any]) -> None:
        answer = self._app.dispatch(BoltRequest(body=body, mode="socket_mode"))
        if answer.status != 200:
            raise RuntimeError(f"Bolt answered {answer.status}")

    def close(self) -> None:
        self._app.listener_runner.listener_executor.shutdown()
