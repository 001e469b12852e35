"""Detections become tracks: through gaps, crossings, falls and mistakes of the detector."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.analysis.scene.tracking import STILL_LOST_AFTER_S, Tracker
from backend.analysis.scene.tracks import Track
from backend.findings.detection import Box, Detection

SIZE = (1280, 720)


def seen(
    x: float,
    y: float = 300,
    *,
    width: float = 40,
    height: float = 100,
    label: str = "person",
    confidence: float = 0.8,
) -> Detection:
    return Detection(label, confidence, Box(x - width / 2, y - height, x + width / 2, y))


def follow(pictures: list[list[Detection]], *, fps: float = 5) -> list[Track]:
    tracker = Tracker(0.35)
    for number, detections in enumerate(pictures):
        tracker.update(number / fps, detections, size=SIZE)
    return tracker.finish()


@settings(deadline=None)
@given(speed=st.floats(-350, 350), start=st.floats(500, 700))
def test_one_walker_or_runner_is_one_track(speed: float, start: float) -> None:
    """Up to 3.5 body heights a second, from one picture to the next."""
    (track,) = follow([[seen(start + speed * i / 5)] for i in range(6)])
    assert len(track.points) == 6


def test_two_who_cross_keep_their_tracks() -> None:
    left = [200 + 18 * i for i in range(30)]
    right = [740 - 18 * i for i in range(30)]
    tracks = follow([[seen(a), seen(b, 310)] for a, b in zip(left, right, strict=True)])
    assert len(tracks) == 2
    for track in tracks:
        xs = [point.box.center[0] for point in track.points]
        assert xs == sorted(xs) or xs == sorted(xs, reverse=True)


def test_somebody_hidden_for_a_while_is_the_same() -> None:
    pictures = [[seen(200 + 10 * i)] if not 8 <= i < 20 else [] for i in range(40)]
    assert len(follow(pictures)) == 1


def test_somebody_gone_for_long_is_another() -> None:
    gap = int(STILL_LOST_AFTER_S * 5) + 5
    pictures = [[seen(200)]] * 10 + [[]] * gap + [[seen(200)]] * 10
    assert len(follow(pictures)) == 2


def test_somebody_who_falls_stays_the_same() -> None:
    upright = [[seen(300 + 8 * i)] for i in range(10)]
    lying = [[seen(400, width=110, height=45)]] * 10
    (track,) = follow(upright + lying)
    assert len(track.points) == 20


def test_a_flash_of_the_detector_is_no_track() -> None:
    assert follow([[seen(300)], [], [], [seen(700)], [seen(700)], []]) == []


def test_weak_detections_continue_a_track_but_start_none() -> None:
    weak = [[seen(300, confidence=0.2)]]
    assert follow(weak * 20) == []
    (track,) = follow([[seen(300)]] * 10 + weak * 10)
    assert len(track.points) == 20


def test_what_is_mostly_weak_is_a_mistake() -> None:
    assert follow([[seen(300)]] * 3 + [[seen(300, confidence=0.2)]] * 20) == []


def test_a_vehicle_that_the_detector_calls_car_and_truck_is_one() -> None:
    labels = ["car", "truck", "car", "car", "truck", "car"]
    pictures = [[seen(300 + 40 * i, width=200, label=label)] for i, label in enumerate(labels)]
    (track,) = follow(pictures)
    assert track.label == "car"


def test_a_person_never_becomes_a_car() -> None:
    tracks = follow([[seen(300)]] * 5 + [[seen(300, label="car")]] * 5)
    assert [track.label for track in tracks] == ["person", "car"]


def test_a_box_at_the_edge_is_known_to_be_cut() -> None:
    (track,) = follow([[seen(20, width=40)]] * 4)
    assert all(point.cut_across and not point.cut_down for point in track.points)
    (track,) = follow([[seen(600, 720)]] * 4)
    assert all(point.cut_down and not point.cut_across for point in track.points)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(
            st.builds(
                seen,
                st.floats(0, 1280),
                st.floats(100, 720),
                width=st.floats(1, 300),
                height=st.floats(1, 300),
                confidence=st.floats(0.05, 1),
            ),
            max_size=6,
        ),
        max_size=20,
    )
)
def test_whatever_comes_each_detection_is_used_once_and_times_grow(
    pictures: list[list[Detection]],
) -> None:
    tracks = follow(pictures)
    used = [(point.t, point.box) for track in tracks for point in track.points]
    given_boxes = [(i / 5, d.box) for i, found in enumerate(pictures) for d in found]
    for one in used:
        given_boxes.remove(one)
    for track in tracks:
        times = [point.t for point in track.points]
        assert times == sorted(set(times))
