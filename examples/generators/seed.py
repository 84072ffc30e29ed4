"""Create the database and the table user_data, and fill it from a CSV file: `python seed.py users.csv`."""

import csv
import os
import sys
import uuid
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any

import mysql.connector

DATABASE = os.environ.get("MYSQL_DATABASE", "ALX_prodev")
ROWS_AT_ONCE = 1000
# That of `userstream-server seed`, so that both make the same ids.
EMAIL_NAMESPACE = uuid.UUID("6f1d2c1e-5d0b-5b0e-9f6e-3c1f0a7d9b52")
Row = tuple[str, str, str, int]


def connect_db(database: str | None = None) -> Any:
    """Connect to the MySQL server that the MYSQL_ variables name; by default the one on this machine."""
    return mysql.connector.connect(
        host=os.environ.get("MYSQL_HOST", "127.0.0.1"),
        port=int(os.environ.get("MYSQL_PORT", "3306")),
        user=os.environ.get("MYSQL_USER", "root"),
        password=os.environ.get("MYSQL_PASSWORD", ""),
        database=database,
    )


def create_database(connection: Any) -> None:
    """Create the database unless it exists."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")


def connect_to_prodev() -> Any:
    """Connect to the database."""
    return connect_db(DATABASE)


def create_table(connection: Any) -> None:
    """Create the table unless it exists."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS user_data ("
            " user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,"
            " name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, age DECIMAL(10, 0) NOT NULL)"
            " CHARACTER SET utf8mb4"  # not every server's default
        )


def read_rows(path: Path) -> Generator[Row]:
    """Yield the rows of a CSV file with the columns name, email and age, one line in memory at a time."""
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            # The same e-mail address gives the same id, so that a second run adds nobody twice.
            user_id = line.get("user_id") or str(uuid.uuid5(EMAIL_NAMESPACE, line["email"]))
            yield user_id, line["name"], line["email"], int(line["age"])


def insert_data(connection: Any, path: Path) -> None:
    """Insert the rows that are not there yet, a thousand at a time."""
    rows = read_rows(path)
    with connection.cursor() as cursor:
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            cursor.executemany("INSERT IGNORE INTO user_data VALUES (%s, %s, %s, %s)", batch)
            connection.commit()


if __name__ == "__main__":
    with connect_db() as server:
        create_database(server)
    with connect_to_prodev() as prodev:
        create_table(prodev)
        insert_data(prodev, Path(sys.argv[1]))
