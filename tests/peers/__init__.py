"""Peers that VAP talks to, played for real: an RTSP and an HTTP camera, and their videos."""
