"""Disks that can be filled or fail: ext4 in a file, through a loop device. Needs root."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path

_MIB = 1 << 20


def why_not(folder: Path) -> str:
    """Why there can be none here; "" if there can."""
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4 (e2fsprogs)"
    try:
        DiskImage(folder / "try", 8).close()
    except subprocess.CalledProcessError as error:
        return f"no privilege: cannot mount a disk image: {error.stderr.decode().strip()}"
    return ""


class DiskImage:
    """Mounted at `path` from the start to close."""

    def __init__(self, path: Path, size_mib: int) -> None:
        self.path, self._image = path, path.with_name(f"{path.name}.img")
        path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_mib * _MIB)
        _run("mkfs.ext4", "-q", "-m", "0", self._image)
        self._mount()

    def fill(self) -> None:
        """Nothing fits any more, until `make_room`."""
        fd = os.open(self.path / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (_MIB, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, bytes(size))
        os.close(fd)

    def is_full(self) -> bool:
        return os.statvfs(self.path).f_bfree == 0

    def make_room(self) -> None:
        (self.path / "ballast").unlink()

    def fail(self) -> None:
        """As after an error of the drive: the file system goes read-only under who is writing."""
        device = _run("findmnt", "-no", "SOURCE", self.path).strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def is_read_only(self) -> bool:
        try:
            (self.path / "probe").touch()
        except OSError as error:
            return error.errno == errno.EROFS
        return False

    def repair(self) -> None:
        """What an administrator does. Nobody may use it meanwhile."""
        _run("umount", self.path)
        subprocess.run(["e2fsck", "-p", "-f", self._image], capture_output=True)
        self._mount()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            _run("umount", self.path)
        self._image.unlink()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", self._image, self.path)


def _run(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], check=True, capture_output=True).stdout.decode()
