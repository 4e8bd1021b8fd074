"""An RTSP 1.0 server for live and recorded streams."""
