"""Pages that are read only when the loop asks for them: by OFFSET, and by the last key."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from seed import connect_to_prodev

Page = list[dict[str, Any]]
USERS = "SELECT user_id, name, email, age FROM user_data"
BY_OFFSET = USERS + " ORDER BY user_id LIMIT %s OFFSET %s"
BY_KEY = USERS + " WHERE user_id > %s ORDER BY user_id LIMIT %s"


def paginate_users(page_size: int, offset: int) -> Page:
    """Return one page. The database reads and throws away `offset` rows first."""
    return _query(BY_OFFSET, page_size, offset)


def lazy_paginate(page_size: int) -> Generator[Page]:
    """Yield page after page by OFFSET."""
    offset = 0
    while page := paginate_users(page_size, offset):
        yield page
        offset += page_size


def keyset_paginate(page_size: int) -> Generator[Page]:
    """Yield page after page, each from the key of the last user on."""
    last_id = ""
    while page := _query(BY_KEY, last_id, page_size):
        yield page
        last_id = page[-1]["user_id"]


def _query(query: str, *values: object) -> Page:
    """Run one short query on a connection of its own, so that none waits for the consumer."""
    with closing(connect_to_prodev()) as connection:
        cursor = connection.cursor(dictionary=True)
        cursor.execute(query, values)
        page: Page = cursor.fetchall()
        return page


if __name__ == "__main__":
    for page in lazy_paginate(100):
        for user in page:
            print(user)
