"""The rows as somebody with nothing but SQL sees them: no code of the product in between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import make_url

Row = dict[str, Any]


class Rows(Protocol):
    def read(self, statement: str) -> list[Row]:
        """Return what a SELECT finds."""


class SqliteRows:
    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""

    def read(self, statement: str) -> list[Row]:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]


class PostgresRows:
    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    def read(self, statement: str) -> list[Row]:
        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            return list(connection.execute(statement.encode()))
