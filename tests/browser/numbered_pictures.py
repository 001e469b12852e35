"""A video whose pictures carry their numbers as black and white bars, and how to read them back.

A camera that plays it by the clock shows how far behind live a browser is.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg

BITS = 8
FPS = 10
PICTURES = 2**BITS

READ_NUMBER = f"""(() => {{
  const video = document.querySelector("video");
  if (!video || video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 240;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 320, 240);
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit += 1) {{
    const [red] = context.getImageData(bit * 40 + 20, 120, 1, 1).data;
    if (red > 127) number += 2 ** bit;
  }}
  return number;
}})()"""


@dataclass(frozen=True)
class Clock:
    """Which picture the camera sends now. Make it as soon as the camera has begun."""

    began_at: float = field(default_factory=time.monotonic)

    def behind_s(self, number: int) -> float:
        """How old the picture with this number is, up to the length of the loop."""
        now = (time.monotonic() - self.began_at) * FPS
        return ((now - number) % PICTURES) / FPS


def make_numbered_video(path: Path) -> Path:
    """A loop of numbered pictures, a keyframe a second."""
    bars = "lum='255*mod(floor(N/pow(2,floor(X/40))),2)':cb=128:cr=128"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error"),
            *("-f", "lavfi", "-i", f"color=size=320x240:rate={FPS},format=yuv420p,geq={bars}"),
            *("-frames:v", str(PICTURES), "-c:v", "libx264", "-preset", "ultrafast"),
            *("-bf", "0", "-g", str(FPS), "-sc_threshold", "0", str(path)),
        ],
        check=True,
        timeout=60,
    )
    return path
