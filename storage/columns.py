"""The column types: what a time, an enumeration, a text and a JSON value are in both databases.

Nothing here may know a table. Times without a zone are refused, never guessed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator

from engine.errors import Bug


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which knows no zones, keeps it as UTC text that sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise Bug("A time without a zone reached the database.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from people and machines: what no database can keep (NUL, lone surrogates) becomes a replacement mark."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def by_value(values: type[enum.Enum]) -> list[str]:
    """Return what is stored for an enumeration: its values, never the names of our members."""
    return [str(member.value) for member in values]


_ENUM = Enum(enum.Enum, native_enum=False, create_constraint=True, values_callable=by_value, length=24)


class Base(DeclarativeBase):
    """All tables. Constraints have names, so that an error can say which rule it broke."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own spelling of this attribute
        str: Words,
        datetime: UtcDateTime,
        enum.Enum: _ENUM,
        Mapping[str, Any]: JSON(none_as_null=True),
    }


RowId = Annotated[int, mapped_column(Integer, primary_key=True)]
LongId = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)]
Key = Annotated[str, mapped_column(Words, primary_key=True)]
Bytes = Annotated[int, mapped_column(BigInteger)]
Digest = Annotated[str, mapped_column(String(64))]
Json = Mapping[str, Any]
