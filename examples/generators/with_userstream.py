"""The same four, from a userstream server: `python with_userstream.py`."""

from contextlib import closing
from itertools import islice

from userstream_client import UserStreamClient

with UserStreamClient() as client:
    with closing(client.stream_users()) as users:
        for user in islice(users, 6):
            print(user.name, user.age)

    for batch in client.batch_users(50):
        print(len(batch), "users over 25")

    for page in client.lazy_paginate(page_size=100):
        print("page", page.page_number, "has", len(page.users), "users")

    print(f"Average age of users: {client.average_age().text}")
