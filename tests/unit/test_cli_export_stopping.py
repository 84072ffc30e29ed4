"""An export that cannot end says why, what is kept, and the command that continues it; the old file stays."""

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from userstream_client.cli._formats import encoder_for
from userstream_client.cli._signals import Stopped, stop_on_signals
from userstream_client.cli.export import part_file, parts
from userstream_testing.command import COMMAND, Ran, clean_environment, run_here
from userstream_testing.scripted_server import (
    Fail,
    Hang,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)

USERS = made_users(9)
WANTED = ["user_id,name,email,age"] + [f"{u.user_id},{u.name},{u.email},{u.age}" for u in USERS]
KEPT = re.compile(
    r"; ([\d,]+) users \(([\d,]+) bytes\) of users.out are kept; resume with: (.*)\n$"
)
Patch = Callable[[], Any]


def export(server: ScriptedServer, folder: Path, *options: str) -> Ran:
    return run_here(
        "export", "--output", "users.out", "--target", server.target, *options, cwd=folder
    )


def size_of(users: int) -> int:
    """Return the size in bytes of the heading and so many users."""
    return sum(len(line) + 1 for line in WANTED[: users + 1])


def continued(said: str, folder: Path) -> tuple[int, int]:
    """Run the command that a message names; return how many users and bytes it said are kept."""
    found = KEPT.search(said)
    assert found, said
    users, size, command = found.groups()
    ran = run_here(*shlex.split(command)[1:], cwd=folder)

    assert (0, "") == (ran.code, ran.err)
    assert (folder / "users.out").read_text("utf-8").splitlines() == WANTED
    assert [path.name for path in folder.iterdir()] == ["users.out"]
    return int(users.replace(",", "")), int(size.replace(",", ""))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_a_signal(number: int, code: int, word: str, tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM and a closed terminal: what was read is kept, and the command in the message completes it."""
    (tmp_path / "users.out").write_text("old")
    with ScriptedServer(scan_script(USERS, Hang(), messages=3), scan_script(USERS)) as server:
        process = subprocess.Popen(
            [*COMMAND, "export", "--output", "users.out", "--target", server.target],
            cwd=tmp_path,
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        server.wait_until_hanging(60)
        os.kill(process.pid, number)
        _, err = process.communicate(timeout=30)

        assert code == process.returncode
        assert err.startswith(f"userstream: {word}; "), err
        assert "old" == (tmp_path / "users.out").read_text()
        users, size = continued(err, tmp_path)
        assert users in {0, 2, 4, 6}  # however many of the messages it had taken
        assert size == size_of(users)


@pytest.mark.slow
def test_a_second_signal() -> None:
    """It ends the process at once, without waiting for what is being saved; then the handlers are the old ones."""
    program = (
        "import os, time\n"
        "from userstream_client.cli._signals import Stopped, stop_on_signals\n"
        "with stop_on_signals():\n"
        "    try:\n"
        "        os.kill(os.getpid(), 15)\n"
        "    except Stopped:\n"
        "        os.kill(os.getpid(), 2)\n"
        "        time.sleep(30)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=clean_environment(), check=False)
    before = [signal.getsignal(number) for number in (2, 15, 1)]
    with pytest.raises(Stopped), stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)

    assert 130 == ran.returncode
    assert before == [signal.getsignal(number) for number in (2, 15, 1)]


@pytest.mark.slow
def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """A real error of the system while writing: one line with the file's name; the old file is as it was."""
    (tmp_path / "users.out").write_text("old")
    big = made_users(3000)
    with ScriptedServer(scan_script(big, per_message=500)) as server:
        ran = subprocess.run(
            [
                *("bash", "-c", 'ulimit -f 8; trap "" XFSZ; "$@"', "-", *COMMAND, "export"),
                *("--output", "users.out", "--target", server.target),
            ],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (1, 1) == (ran.returncode, len(ran.stderr.splitlines()))
    assert ran.stderr.startswith("userstream: cannot write users.out: File too large; 0 users")
    assert "old" == (tmp_path / "users.out").read_text()


def full_after(calls: int, error: int) -> Patch:
    """Return a patch under which the part's file takes so many pieces, and then the system refuses."""
    real, left = part_file.PartFile._append, [calls]

    def append(self: part_file.PartFile, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(error, os.strerror(error))
        real(self, data)

    return lambda: mock.patch.object(part_file.PartFile, "_append", append)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_the_disk_refuses(error: int, tmp_path: Path) -> None:
    """A full disk and its like: what was saved before is kept and continued with."""
    (tmp_path / "users.out").write_text("old")
    # Every message is saved; the heading and two messages fit. A message is written, then its member ended.
    patches = full_after(6, error)(), mock.patch.object(parts, "_SAVE_SECONDS", 0)
    with ScriptedServer(scan_script(USERS), scan_script(USERS)) as server:
        with patches[0], patches[1]:
            ran = export(server, tmp_path)

        assert (1, 1) == (ran.code, len(ran.err.splitlines()))
        assert ran.err.startswith(f"userstream: cannot write users.out: {os.strerror(error)}; ")
        assert "old" == (tmp_path / "users.out").read_text()
        assert (4, size_of(4)) == continued(ran.err, tmp_path)


def test_no_room_for_the_state(tmp_path: Path) -> None:
    """When the state itself cannot be saved, what it said before holds, and its draft takes no room."""
    real, left = os.fsync, [3]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:  # the first state, the part, and now the state again
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with ScriptedServer(scan_script(USERS), scan_script(USERS)) as server:
        with mock.patch.object(os, "fsync", fsync):
            ran = export(server, tmp_path)

        assert 1 == ran.code
        assert not (tmp_path / ".users.out.export.json.tmp").exists()
        assert (0, 0) == continued(ran.err, tmp_path)


def test_the_folder_vanishes(tmp_path: Path) -> None:
    """Nothing is kept then, and the message does not say otherwise."""
    (folder := tmp_path / "there").mkdir()

    def gone(_request: Any) -> Any:
        shutil.rmtree(folder)
        return messages_of(USERS)

    with ScriptedServer(gone) as server:
        ran = run_here(
            "export", "--output", "there/users.out", "--target", server.target, cwd=tmp_path
        )

    assert 1 == ran.code
    assert ran.err.startswith("userstream: cannot write there/users.out: No such file or directory")
    assert ran.err.endswith("; nothing of there/users.out is kept: repeat the command\n")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """It is said before anything is read, with the file's name and what to do."""
    with ScriptedServer() as server, mock.patch.object(os, "access", return_value=False):
        ran = export(server, tmp_path)

    assert (2, []) == (ran.code, server.calls)
    assert f"--output users.out: the folder {tmp_path} is not writable" in ran.err


def test_a_missing_folder(tmp_path: Path) -> None:
    """The message names the file and the folder to create."""
    with ScriptedServer() as server:
        ran = run_here(
            "export", "--output", "no/users.out", "--target", server.target, cwd=tmp_path
        )

    assert (2, []) == (ran.code, server.calls)
    assert f"--output no/users.out: the folder {tmp_path}/no is missing: create it" in ran.err


def test_a_part_that_cannot_be_opened(tmp_path: Path) -> None:
    """The message names the file that is in the way."""
    (tmp_path / ".users.out.part-0").mkdir()
    with ScriptedServer(scan_script(USERS)) as server:
        ran = export(server, tmp_path)

    assert 1 == ran.code
    assert f"Is a directory ({tmp_path}/.users.out.part-0)" in ran.err


def test_a_receipt_that_differs_is_not_continued(tmp_path: Path) -> None:
    """What cannot be trusted is not offered for --resume."""
    lying = messages_of(USERS)
    lying[-1].receipt.user_count = 99
    with ScriptedServer(lying) as server:
        ran = export(server, tmp_path)

    assert 1 == ran.code
    assert "repeat the command without --resume" in ran.err
    assert "resume with" not in ran.err


def test_a_break_before_the_first_user(tmp_path: Path) -> None:
    """Nothing is kept yet, and the command in the message works all the same."""
    away = Fail(grpc.StatusCode.UNAVAILABLE, "The database is away.", reason="DATABASE_AWAY")
    with ScriptedServer([away], scan_script(USERS)) as server:
        ran = export(server, tmp_path, "--no-resume")

        assert 1 == ran.code
        assert 0 == continued(ran.err, tmp_path)[0]


def test_a_defect_while_writing_does_not_skip_users(tmp_path: Path) -> None:
    """A list that was taken from the stream but not written is not counted as kept."""
    real, left = encoder_for, [2]

    def failing_encoder_for(name: str) -> Any:
        encode = real(name)

        def failing(*arguments: Any) -> str:
            left[0] -= 1
            if left[0] == -1:
                raise MemoryError
            return encode(*arguments)

        return failing

    with ScriptedServer(scan_script(USERS), scan_script(USERS)) as server:
        with (
            mock.patch.object(parts, "encoder_for", failing_encoder_for),
            pytest.raises(MemoryError),
        ):
            export(server, tmp_path)
        ran = export(server, tmp_path, "--resume")

    assert 0 == ran.code
    assert (tmp_path / "users.out").read_text("utf-8").splitlines() == WANTED
