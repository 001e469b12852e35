"""Tests of the media engine, with real ffmpeg, real files and real cameras on loopback."""
