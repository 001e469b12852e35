"""A video whose pictures carry their numbers as black and white bars, and how to read them back."""

from __future__ import annotations

import io
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import imageio_ffmpeg

BITS = 8
FPS = 10
PICTURES = 2**BITS

LONG_BITS = 10
"""For a camera: numbers that are half a loop apart cannot be put in order, so it is a long one."""
WIDTH, HEIGHT = 320, 240
BAR = WIDTH // LONG_BITS
_LOOP = 2**LONG_BITS

RECORD_SHOWN = f"""(() => {{
  window.shown = [];
  const known = new WeakSet();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [{WIDTH}, {HEIGHT}];
  const context = canvas.getContext("2d", {{ willReadFrequently: true }});
  const numberOn = (video) => {{
    context.drawImage(video, 0, 0, {WIDTH}, {HEIGHT});
    const line = context.getImageData(0, {HEIGHT // 2}, {WIDTH}, 1).data;
    let number = 0;
    for (let bit = 0; bit < {LONG_BITS}; bit += 1) {{
      if (line[4 * {BAR} * (bit + 0.5)] > 127) number += 2 ** bit;
    }}
    return number;
  }};
  document.addEventListener("loadstart", ({{ target: video }}) => {{
    if (known.has(video)) return;
    known.add(video);
    const look = () => {{
      window.shown.push(numberOn(video));
      video.requestVideoFrameCallback(look);
    }};
    video.requestVideoFrameCallback(look);
  }}, true);
}})()"""
"""For a new page: `shown` is the numbers of all the pictures that it has shown so far."""


@dataclass(frozen=True)
class Clock:
    """Which picture the camera sends now. Make it as soon as the camera has begun."""

    began_at: float = field(default_factory=time.monotonic)

    @property
    def number(self) -> int:
        """The picture of this moment."""
        return int((time.monotonic() - self.began_at) * FPS) % _LOOP


def seconds_from(number: int, to: int) -> float:
    """How much later one picture of the long loop is than another; less than 0 where earlier."""
    ahead = (to - number) % _LOOP
    return (ahead if ahead < _LOOP / 2 else ahead - _LOOP) / FPS


def last_number(segment: bytes) -> int:
    """The number of the last picture of a part of the long loop."""
    with av.open(io.BytesIO(segment)) as opened:
        *_, last = opened.decode(video=0)
    line = last.to_ndarray(format="gray")[HEIGHT // 2]
    return sum(2**bit for bit in range(LONG_BITS) if line[round(BAR * (bit + 0.5))] > 127)


def make_numbered_video(path: Path, *, bits: int = BITS) -> Path:
    """A loop of all the pictures whose numbers have so many bits, a keyframe a second."""
    bars = "lum='255*mod(floor(N/pow(2,X)),2)':cb=128:cr=128"
    picture = f"color=size={bits}x2:rate={FPS},format=yuv444p,geq={bars}"
    large = f"scale={WIDTH}:{HEIGHT}:flags=neighbor,setsar=1,format=yuv420p"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error"),
            *("-f", "lavfi", "-i", f"{picture},{large}"),
            *("-frames:v", str(2**bits), "-c:v", "libx264", "-preset", "ultrafast"),
            *("-bf", "0", "-g", str(FPS), "-sc_threshold", "0", str(path)),
        ],
        check=True,
        timeout=120,
    )
    return path
