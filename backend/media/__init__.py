"""Media engine: ffmpeg command lines, supervised processes, probing, live HLS and archive files.

Knows neither the web nor the database. Nothing in here decodes inside the calling process: what
needs PyAV runs in a short child process, started by module name.
"""
