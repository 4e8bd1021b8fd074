"""A live RTSP camera in H.265 by GStreamer, run with the system's Python: FILE PORT -> rtsp://127.0.0.1:PORT/cam0

FILE is an Annex B stream with access unit delimiters; it is looped at 25 fps. Prints "ready" when it serves.
"""

import sys

AUD = b"\0\0\0\1\x46\x01"


def main(path: str, port: str) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    with open(path, "rb") as file:  # noqa: PTH123
        units = [AUD + unit for unit in file.read().split(AUD)[1:]]
    Gst.init(None)
    interval = Gst.SECOND // 25

    def configure(_factory: object, media: object) -> None:
        source = media.get_element().get_by_name_recurse_up("src")
        sent = 0

        def push(src: object, _length: int) -> None:
            nonlocal sent
            buffer = Gst.Buffer.new_wrapped(units[sent % len(units)])
            buffer.pts = buffer.dts = sent * interval
            buffer.duration = interval
            sent += 1
            src.emit("push-buffer", buffer)

        source.connect("need-data", push)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        "( appsrc name=src is-live=true format=time block=false max-bytes=4000000"
        " caps=video/x-h265,stream-format=byte-stream,alignment=au"
        " ! h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96 )"
    )
    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/cam0", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
