"""Camera settings: what is refused, where credentials come from, and that nobody sees them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.camera import CameraConfig, Credentials, redact, redact_text
from fovideo.errors import ConfigError

SECRET = "s3cr3t-hunter2"


def config(url: str = "rtsp://10.0.0.7/stream1", **changes: Any) -> CameraConfig:
    return CameraConfig(**({"name": "gate", "url": url} | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "not a camera name"),
        ({"name": "../up"}, "not a camera name"),
        ({"name": "dot."}, "not a camera name"),
        ({"name": "x" * 65}, "not a camera name"),
        ({"url": ""}, "no url"),
        ({"url": "http://10.0.0.7/"}, "cannot record http:// sources"),
        ({"url": "rtmp://10.0.0.7/"}, "cannot record rtmp:// sources"),
        ({"url": "rtsp:///stream"}, "names no host"),
        ({"url": "rtsp://host:99999/"}, "not a url"),
        ({"url": "rtsp://host:0/"}, "names no host"),
        ({"url": "rtsp://[::1/"}, "not a url"),
        ({"url": "rtsp://host/a\nb"}, "character"),
        ({"transport": "http"}, "unknown transport"),
        ({"freeze_ns": 0}, "freeze_ns must be positive"),
        ({"backoff_min_ns": 2, "backoff_max_ns": 1}, "backoff_max"),
        ({"preroll_ns": -1}, "preroll"),
        ({"ring_bytes": 100}, "ring is too small"),
        ({"password": SECRET}, "without a user"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        config(**changes)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://h/",
        "rtsps://h:322/x",
        "RTSP://h/x",
        "clip.mp4",
        "/a/clip.mp4",
        "file:///a/b.mp4",
        "C:/clip.mp4",
    ],
)
def test_what_can_be_recorded(url: str) -> None:
    assert config(url).url == url


def test_files_and_cameras_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "with space.mp4"
    assert config(str(path)).is_file
    assert config(path.as_uri()).is_file
    assert config(path.as_uri()).path == path
    assert config(path.as_uri()).open_url() == str(path)
    assert not config().is_file


def test_credentials_come_from_the_first_that_has_them(tmp_path: Path) -> None:
    file = tmp_path / "gate.secret"
    file.write_text("filer:of:file\nsecond line\n")
    url = "rtsp://urler:of%3Aurl@10.0.0.7/s"
    own = {"FOVIDEO_CAMERA_GATE_USER": "owner", "FOVIDEO_CAMERA_GATE_PASSWORD": "of-own"}
    common = {"FOVIDEO_CAMERA_USER": "all", "FOVIDEO_CAMERA_PASSWORD": "of-all"}

    def found(environ: dict[str, str], **changes: Any) -> tuple[str, str]:
        credentials = config(**({"url": url} | changes)).credentials(environ)
        return credentials.user, credentials.password

    assert found(own | common, user="me", password="mine", credentials_file=str(file)) == ("me", "mine")
    assert found(own | common, password="mine") == ("urler", "mine")
    assert found(own | common, credentials_file=str(file)) == ("filer", "of:file")
    assert found(own | common) == ("owner", "of-own")
    assert found(common) == ("urler", "of:url")
    assert found(common, url="rtsp://10.0.0.7/s") == ("all", "of-all")
    assert found({}, url="rtsp://10.0.0.7/s") == ("", "")
    assert not config("rtsp://10.0.0.7/s").credentials({})


def test_names_in_the_environment_are_plain() -> None:
    camera = config(name="gate-2.east", user="u")
    assert camera.credentials({"FOVIDEO_CAMERA_GATE_2_EAST_PASSWORD": "p"}).password == "p"


@pytest.mark.parametrize("content", [None, "", "no colon"])
def test_a_credentials_file_that_holds_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="gate"):
        config(credentials_file=str(file)).credentials({})


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_password_reaches_the_camera_whole(user: str, password: str) -> None:
    user, password = user.encode("utf-8", "replace").decode(), password.encode("utf-8", "replace").decode()
    opened = config(user=user, password=password).open_url({})
    userinfo = urlsplit(opened).netloc.rpartition("@")[0]
    assert tuple(map(unquote, userinfo.split(":"))) == (user, password)
    assert urlsplit(opened).hostname == "10.0.0.7"


@given(
    st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=4, max_size=20)
)
def test_nothing_shows_the_password(password: str) -> None:
    password = "§" + password  # so that it is no part of anything else
    cameras = [
        config(user="admin", password=password),
        config(f"rtsp://admin:{quote(password, safe='')}@10.0.0.7/s"),
        config(f"rtsp://10.0.0.7/s?user=admin&password={quote(password, safe='')}"),
    ]
    for camera in cameras:
        shown = f"{camera!r} {camera} {camera.source} {camera.__rich_repr__()} {camera.credentials({})!r}"
        assert password not in shown
        assert quote(password, safe="") not in shown


def test_credentials_hide_themselves() -> None:
    assert SECRET not in repr(Credentials("admin", SECRET))
    assert Credentials("admin", SECRET).__rich_repr__() == []


def test_a_config_can_be_sent_to_another_process() -> None:
    camera = config(user="admin", password=SECRET)
    assert pickle.loads(pickle.dumps(camera)) == camera


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7/s", "rtsp://10.0.0.7/s"),
        ("rtsp://admin:pw@10.0.0.7:554/s", "rtsp://10.0.0.7:554/s"),
        ("rtsp://admin:p@ss@10.0.0.7/s", "rtsp://10.0.0.7/s"),
        ("rtsp://admin@[::1]:554/s", "rtsp://[::1]:554/s"),
        ("rtsp://h/s?channel=1&password=pw&x=2", "rtsp://h/s?channel=1&password=***&x=2"),
        ("rtsp://h/user=admin&password=pw&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("rtsp://h/s?token=abc", "rtsp://h/s?token=***"),
        ("/home/me/user=admin.mp4", "/home/me/user=admin.mp4"),
        ("clip@home.mp4", "clip@home.mp4"),
    ],
)
def test_redaction(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_redaction_of_text() -> None:
    text = "cannot open 'rtsp://admin:pw@h/s?pwd=x' nor rtsp://u:p@i/"
    assert redact_text(text) == "cannot open 'rtsp://h/s?pwd=***' nor rtsp://i/"
