"""The demo scene's camera: a pinhole at a height that looks down on a yard.

World coordinates are metres: x to the right, y away from the camera along the ground, z up; the
camera stands above (0, 0). Picture coordinates are pixels of the 960x540 picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

WIDTH_PX = 960
HEIGHT_PX = 540

SHADOW_PER_METRE = (0.62, 0.42)
"""Where the shadow of a point one metre up falls: the sun is behind the left shoulder."""

SUN = np.array([-SHADOW_PER_METRE[0], -SHADOW_PER_METRE[1], 1.0])
SUN /= np.linalg.norm(SUN)


@dataclass(frozen=True, slots=True)
class Camera:
    """Height above the ground, tilt below the horizon and focal length in pixels."""

    height_m: float = 11.0
    tilt_rad: float = 0.456
    focal_px: float = 1000.0

    @property
    def position(self) -> Points:
        """Where the lens is, in world coordinates."""
        return np.array([0.0, 0.0, self.height_m])

    def depth(self, points: Points) -> NDArray[np.float64]:
        """Distance of world points (n, 3) along the viewing axis, in metres."""
        below = self.height_m - points[:, 2]
        return np.asarray(points[:, 1] * np.cos(self.tilt_rad) + below * np.sin(self.tilt_rad))

    def project(self, points: Points) -> Points:
        """Pixels (n, 2) of world points (n, 3)."""
        depth = self.depth(points)
        below = self.height_m - points[:, 2]
        down = below * np.cos(self.tilt_rad) - points[:, 1] * np.sin(self.tilt_rad)
        return np.stack(
            [
                WIDTH_PX / 2 + self.focal_px * points[:, 0] / depth,
                HEIGHT_PX / 2 + self.focal_px * down / depth,
            ],
            axis=1,
        )

    def pixels_per_metre(self, points: Points) -> NDArray[np.float64]:
        """How many pixels a metre across the line of sight takes at each of the points (n, 3)."""
        return self.focal_px / self.depth(points)


def shadow_of(points: Points) -> Points:
    """World points (n, 3) moved along the sun's rays onto the ground."""
    shadow = points.copy()
    shadow[:, 0] += points[:, 2] * SHADOW_PER_METRE[0]
    shadow[:, 1] += points[:, 2] * SHADOW_PER_METRE[1]
    shadow[:, 2] = 0.0
    return shadow
