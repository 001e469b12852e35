"""Renders the demo camera's clip and writes down what is in it.

    python -m demo.scene                          the clip and its truth, into demo/assets
    python -m demo.scene --picture 15 --out x.png one moment of it

The same seed gives the same pictures. H.264 without B-frames, a key picture at each whole second
and nowhere else, and the last picture leads to the first: a camera can loop it with `-c copy`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

from demo.backdrop import Colors, backdrop
from demo.camera import HEIGHT_PX, WIDTH_PX, Camera
from demo.drawing import Picture
from demo.props import props
from demo.render import CLASSES, Labelled, develop, picture_of
from demo.script import LOOP_S, SEED, Script, script

FPS = 12
ASSETS = Path(__file__).parent / "assets"
NOISE = 1.0
CRF = 34


@dataclass(frozen=True, slots=True)
class Moment:
    """One picture of the clip (BGR) and what is in it."""

    picture: Picture
    labels: list[Labelled]


class Scene:
    """The looped scene: any of its pictures, by number."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        self.script: Script = script(seed)
        self._camera = Camera()
        self._ground = backdrop(self._camera, Colors())

    def __len__(self) -> int:
        """How many pictures a loop has."""
        return LOOP_S * FPS

    def moment(self, number: int) -> Moment:
        """Picture `number` (0 ... len-1); its noise depends on seed and number alone."""
        t = number / FPS
        things = props(self._camera, t / LOOP_S)
        picture, labels = picture_of(self._camera, self._ground, things, self.script.actors(t))
        rng = np.random.default_rng((self.seed, number))
        return Moment(develop(picture, rng, noise=NOISE), labels)


def render(scene: Scene, clip: Path, truth: Path) -> None:
    """Write the clip (MP4) and its truth (gzipped JSON)."""
    started = time.monotonic()
    frames: list[list[list[int]]] = []

    def pictures() -> Iterator[Picture]:
        for number in range(len(scene)):
            moment = scene.moment(number)
            frames.append([_row(label) for label in moment.labels])
            if number % (FPS * 20) == 0:
                print(
                    f"second {number // FPS} of {LOOP_S}, {time.monotonic() - started:.0f} s",
                    flush=True,
                )
            yield moment.picture

    encode(pictures(), clip)
    write_truth(scene, frames, truth)
    print(f"{clip}: {clip.stat().st_size} bytes; {truth}: {truth.stat().st_size} bytes")


def encode(pictures: Iterator[Picture], clip: Path) -> None:
    """Encode BGR pictures to H.264 the way the demo camera needs them."""
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH_PX}x{HEIGHT_PX}",
        "-r", str(FPS), "-i", "pipe:0",
        "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-color_range", "tv",
        "-c:v", "libx264", "-profile:v", "high", "-preset", "veryslow",
        "-tune", "ssim", "-crf", str(CRF),
        # One thread and fixed structure: the same pictures give the same file.
        "-threads", "1", "-bf", "0", "-g", str(FPS), "-keyint_min", str(FPS), "-sc_threshold", "0",
        "-x264-params", "open-gop=0",
        "-map_metadata", "-1", "-fflags", "+bitexact", "-movflags", "+faststart", str(clip),
    ]  # fmt: skip
    clip.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for picture in pictures:
            process.stdin.write(picture.tobytes())
        process.stdin.close()
        if process.wait() != 0:
            raise RuntimeError("ffmpeg could not encode the clip; its message stands above")


def write_truth(scene: Scene, frames: list[list[list[int]]], path: Path) -> None:
    """The clip's truth: per picture rows as in `row` below, and the incidents."""
    truth = {
        "seed": scene.seed,
        "fps": FPS,
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "classes": list(CLASSES),
        "row": ["track", "class", "x1", "y1", "x2", "y2", "seen_percent"],
        "incidents": [
            {
                "category": i.category,
                "t_start": i.t_start,
                "t_end": i.t_end,
                "tracks": list(i.tracks),
            }
            for i in scene.script.incidents
        ],
        "frames": frames,
    }
    text = json.dumps(truth, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))


def _row(label: Labelled) -> list[int]:
    return [label.track_id, CLASSES.index(label.label), *label.box, round(label.visible * 100)]


def main(arguments: list[str] | None = None) -> int:
    """Command line: the clip with its truth, or a single picture."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.scene", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, default=ASSETS / "scene.mp4", help="the clip, or the picture"
    )
    parser.add_argument("--truth", type=Path, help="default: scene_truth.json.gz beside the clip")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--picture", type=float, metavar="SECOND", help="write this moment as a picture instead"
    )
    options = parser.parse_args(arguments)
    scene = Scene(options.seed)
    if options.picture is not None:
        moment = scene.moment(round(options.picture * FPS) % len(scene))
        cv2.imwrite(str(options.out.with_suffix(".png")), moment.picture)
        return 0
    render(scene, options.out, options.truth or options.out.with_name("scene_truth.json.gz"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
