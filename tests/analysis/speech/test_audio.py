"""Sound out of videos: at its place in time, of any kind, and a typed error where there is none."""

from __future__ import annotations

import os
import random
import re
import subprocess
import wave
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.analysis.protocol import Cancelled
from backend.analysis.speech.audio import TOLERANCE_S, AudioFile, ExtractedAudio, extract
from backend.analysis.speech.protocol import SAMPLE_RATE
from backend.analysis.speech.source import SpeechError

SILENT = {
    "h264_10bits.mp4": "no_audio",
    "invalid-bitstream.webm": "no_audio",
    "init_truncated.mp4": "unreadable",
    "invalid_userdata.mp4": "unreadable",
}
TRUE_LENGTH_S = {
    "bbb_2500ms.ts": 2.513,
    "no_duration.webm": 4.938,
    "sample_fragmented.mp4": 1.068,
    "sample_mdat_too_long.mp4": 1.067,
    "video_with_failing_audio.mp4": 11.233,
    "portrait_4k60.mp4": 0.313,
}
KEY = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"]
KEY += ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"]
PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10"]
X264 = ["-c:v", "libx264", "-preset", "ultrafast"]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *map(str, arguments)],
        check=True,
        timeout=60,
        capture_output=True,
    )


def take(
    video: Path,
    *,
    longest_s: float = 3600,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[float], None] = lambda done: None,
) -> ExtractedAudio:
    to = video.parent / "sound.pcm" if os.access(video.parent, os.W_OK) else Path(os.devnull)
    return extract(video, to, longest_s=longest_s, check=check, progress=progress)


def samples(audio: ExtractedAudio) -> NDArray[np.float32]:
    with AudioFile(audio.path) as file:
        return file.read(0, file.seconds)


def write_wav(path: Path, sound: NDArray[np.float64], *, rate: int = 48_000) -> Path:
    """Sound of -1..1, samples x channels."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if sound.ndim == 1 else sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def clicks(path: Path, *, at: list[float], seconds: float, rate: int = 48_000) -> Path:
    """Silence with short tone bursts."""
    sound = np.zeros(round(seconds * rate))
    burst = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(round(0.02 * rate)) / rate)
    for start in at:
        first = round(start * rate)
        sound[first : first + len(burst)] = burst
    return write_wav(path, sound, rate=rate)


def heard_at(sound: NDArray[np.float32]) -> list[float]:
    """When something is heard after silence."""
    loud = np.flatnonzero(np.abs(sound) > 0.15) / SAMPLE_RATE
    return [float(loud[0]), *loud[1:][np.diff(loud) > 0.1].tolist()] if len(loud) else []


def tone(path: Path, *arguments: str, seconds: float = 3) -> Path:
    """A video with a sound of 440 Hz."""
    sine = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    ffmpeg(*PICTURE, *sine, "-t", str(seconds), *X264, *arguments, path)
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "aac"),
        ("a.mkv", "libopus"),
        ("a.ts", "aac"),
        ("a.wmv", "wmav2"),
        ("a.mov", "pcm_s16le"),
        ("a.flv", "aac"),
        ("a.ogg", "libopus"),
        ("a.nut", "pcm_s16le"),
    ],
)
def test_sound_that_starts_late_stays_at_its_place(name: str, codec: str, tmp_path: Path) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5, 2.0], seconds=3)
    video = tmp_path / name
    delayed = [*PICTURE, "-itsoffset", "2", "-i", sound, "-map", "0:v", "-map", "1:a", "-t", "5"]
    picture = ["-c:v", "libtheora"] if video.suffix == ".ogg" else X264
    ffmpeg(*delayed, *picture, "-c:a", codec, video)
    audio = take(video)
    vague_s = 0.11 if video.suffix == ".wmv" else 0.012  # it moves the picture by one frame
    assert heard_at(samples(audio)) == pytest.approx([2.5, 4.0], abs=vague_s)
    assert audio.seconds == pytest.approx(5, abs=0.11)
    assert audio.duration_s == pytest.approx(5, abs=0.11)
    assert audio.remarks == ()


def test_a_video_whose_times_begin_late_begins_at_its_own_start(tmp_path: Path) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5], seconds=2)
    video = tmp_path / "late.ts"
    made = [*PICTURE, "-itsoffset", "1", "-i", sound, "-t", "3", *X264, "-c:a", "aac"]
    ffmpeg(*made, "-output_ts_offset", "5000", video)
    assert heard_at(samples(take(video))) == pytest.approx([1.5], abs=0.012)


def test_a_gap_in_the_sound_is_silence_of_the_same_length(tmp_path: Path) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5, 4.5], seconds=5)
    whole, gap = tmp_path / "whole.mkv", tmp_path / "gap.mkv"
    ffmpeg(*PICTURE, "-i", sound, "-t", "5", *X264, "-c:a", "pcm_s16le", whole)
    without = r"noise=drop=between(pts*tb\,1\,4)"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:a", without, gap)
    assert gap.stat().st_size < whole.stat().st_size - 250_000
    audio = take(gap)
    assert heard_at(samples(audio)) == pytest.approx([0.5, 4.5], abs=0.005)
    assert audio.seconds == pytest.approx(5, abs=0.05)


def test_recordings_put_one_behind_the_other_go_on_when_the_clock_starts_anew(
    tmp_path: Path,
) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5], seconds=2)
    for name, offset in (("a.ts", "900"), ("b.ts", "3")):
        made = [*PICTURE, "-i", sound, "-t", "2", *X264, "-c:a", "aac", "-output_ts_offset", offset]
        ffmpeg(*made, tmp_path / name)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    audio = take(both)
    assert heard_at(samples(audio)) == pytest.approx([0.5, 2.5], abs=0.05)
    assert audio.duration_s == pytest.approx(4, abs=0.15)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_any_sample_rate_keeps_time_pitch_and_loudness(rate: int, tmp_path: Path) -> None:
    t = np.arange(2 * rate) / rate
    video = write_wav(tmp_path / "a.wav", 0.25 * np.sin(2 * np.pi * 440 * t), rate=rate)
    audio = take(video)
    sound = samples(audio)
    assert audio.seconds == pytest.approx(2, abs=0.002)
    assert 20 * np.log10(np.sqrt(np.mean(sound**2))) == pytest.approx(-15.05, abs=0.1)
    assert np.argmax(np.abs(np.fft.rfft(sound))) / audio.seconds == pytest.approx(440, abs=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 8, 12])
def test_all_channels_are_heard(channels: int, tmp_path: Path) -> None:
    t = np.arange(48_000) / 48_000
    one = 0.25 * np.sin(2 * np.pi * 440 * t)
    video = write_wav(tmp_path / "a.wav", np.repeat(one[:, None], channels, axis=1))
    sound = samples(take(video))
    assert len(sound) == pytest.approx(SAMPLE_RATE, abs=2)
    assert np.abs(sound).max() == pytest.approx(0.25, rel=0.35)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 440


def test_a_format_that_changes_in_the_middle_is_followed(tmp_path: Path) -> None:
    for name, rate in (("a.ts", "48000"), ("b.ts", "32000")):
        sine = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}", "-t", "1"]
        ffmpeg(*sine, "-c:a", "mp2", tmp_path / name)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    sound = samples(take(both))
    assert len(sound) / SAMPLE_RATE == pytest.approx(2, abs=0.15)
    for part in (sound[4_000:12_000], sound[-12_000:-4_000]):
        assert np.argmax(np.abs(np.fft.rfft(part))) * 2 == pytest.approx(440, abs=4)


def test_every_odd_file_gives_sound_or_a_typed_error(testdata: Path, tmp_path: Path) -> None:
    for path in sorted((testdata / "odd").iterdir()):
        to = tmp_path / "sound.pcm"
        expected = SILENT.get(path.name)
        if expected is not None:
            with pytest.raises(SpeechError) as caught:
                extract(path, to, longest_s=3600, check=lambda: None, progress=lambda _: None)
            assert (caught.value.code, caught.value.permanent) == (expected, True), path.name
            assert not to.exists()
            continue
        audio = extract(path, to, longest_s=3600, check=lambda: None, progress=lambda _: None)
        assert audio.duration_s == pytest.approx(
            TRUE_LENGTH_S.get(path.name, audio.duration_s), abs=0.002
        ), path.name
        assert to.stat().st_size == round(audio.seconds * SAMPLE_RATE) * 2
        assert audio.seconds == pytest.approx(audio.duration_s, abs=0.1), path.name


def test_subtitles_do_not_make_a_video_longer(testdata: Path, tmp_path: Path) -> None:
    nasa = testdata / "speech" / "nasa_13013.mp4"  # subtitles up to 16.57 s
    shares: list[float] = []
    audio = extract(
        nasa, tmp_path / "a.pcm", longest_s=3600, check=lambda: None, progress=shares.append
    )
    assert audio.duration_s == pytest.approx(13.056, abs=0.001)
    assert audio.remarks == ()
    assert shares == sorted(shares)
    assert (shares[0] < 0.1, shares[-1] > 0.95, max(shares) <= 1) == (True, True, True)


def test_the_longer_of_picture_and_sound_is_the_duration(tmp_path: Path) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5], seconds=1)
    video = tmp_path / "a.mp4"
    ffmpeg(*PICTURE, "-i", sound, "-t", "4", *X264, "-c:a", "aac", video)
    audio = take(video)
    assert audio.seconds == pytest.approx(1, abs=0.05)
    assert audio.duration_s == pytest.approx(4, abs=0.001)
    assert audio.remarks == ()


@pytest.mark.parametrize("longer", ["sound", "picture"])
def test_a_second_stream_that_is_longer_is_the_duration_too(longer: str, tmp_path: Path) -> None:
    video = tmp_path / "a.mkv"
    sine = ["-f", "lavfi", "-t", "6", "-i", "sine=frequency=300"]
    second = sine if longer == "sound" else ["-t", "6", *PICTURE]
    first = ["-t", "2", *PICTURE, "-f", "lavfi", "-t", "3", "-i", "sine=frequency=700"]
    ffmpeg(*first, *second, "-map", "0", "-map", "1", "-map", "2", *X264, "-c:a", "flac", video)
    shares: list[float] = []
    audio = take(video, progress=shares.append)
    assert audio.duration_s == pytest.approx(6, abs=0.02)
    assert audio.seconds == pytest.approx(3, abs=0.02)
    assert np.argmax(np.abs(np.fft.rfft(samples(audio)))) / audio.seconds == pytest.approx(
        700, abs=1
    )
    assert audio.remarks == ()
    assert shares == sorted(shares)
    with pytest.raises(SpeechError) as caught:
        take(video, longest_s=4)
    assert caught.value.code == "too_long"


def test_a_length_that_is_no_number_is_none(tmp_path: Path) -> None:
    whole = tone(tmp_path / "a.mkv", "-c:a", "flac").read_bytes()
    odd = tmp_path / "odd.mkv"
    odd.write_bytes(re.sub(rb"00:00:0\d\.\d{9}", b"00:00:nan".ljust(18), whole))
    assert odd.read_bytes().count(b"00:00:nan") == 2
    shares: list[float] = []
    assert take(odd, progress=shares.append).duration_s == pytest.approx(3, abs=0.11)
    assert shares
    assert all(0 <= share <= 1 for share in shares)


def test_the_default_sound_is_taken_and_another_where_it_cannot_be_decoded(tmp_path: Path) -> None:
    sines = []
    for hertz in (300, 700):
        sines += ["-f", "lavfi", "-i", f"sine=frequency={hertz}"]
    both = [*sines, "-map", "0", "-map", "1", "-t", "1", "-c:a", "flac"]
    second = tmp_path / "second.mkv"
    ffmpeg(*both, "-disposition:a:0", "0", "-disposition:a:1", "default", second)
    assert np.argmax(np.abs(np.fft.rfft(samples(take(second))))) == pytest.approx(700, abs=1)
    broken = tmp_path / "broken.mkv"
    noise = ["-bsf:a:1", "noise=amount='1'"]
    ffmpeg("-i", second, "-map", "0", "-c", "copy", *noise, broken)
    assert np.argmax(np.abs(np.fft.rfft(samples(take(broken))))) == pytest.approx(300, abs=1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_video_gives_what_is_left_and_says_so(suffix: str, tmp_path: Path) -> None:
    whole = tone(tmp_path / f"whole{suffix}", "-c:a", "aac", "-movflags", "+faststart", seconds=10)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    audio = take(cut)
    assert 3 < audio.duration_s < 7
    (remark,) = [said for said in audio.remarks if "ends early" in said]
    assert remark.endswith("s of 10.0 s could be read")
    assert take(whole).remarks == ()


def test_damage_in_the_middle_is_left_out_in_place(tmp_path: Path) -> None:
    sound = clicks(tmp_path / "clicks.wav", at=[0.5, 5.5], seconds=6)
    whole = tmp_path / "whole.ts"
    ffmpeg("-i", sound, "-c:a", "aac", whole)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = os.urandom(4_000)
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(content)
    found = heard_at(samples(take(damaged)))
    run_up_s = 1024 / 48_000  # of the codec; this container does not tell it
    assert found[0] == pytest.approx(0.5 + run_up_s, abs=0.01)
    assert found[-1] == pytest.approx(5.5 + run_up_s, abs=0.01 + TOLERANCE_S)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "unreadable"),
        (b"no video at all\n" * 100, "unreadable"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\na.mp4\n#EXT-X-ENDLIST\n", "unreadable"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "unreadable"),
    ],
    ids=["empty", "text", "playlist", "list"],
)
@pytest.mark.parametrize("name", ["x.mp4", "x.m3u8", "x"])
def test_what_is_no_media_is_unreadable_and_opens_nothing_else(
    content: bytes, code: str, name: str, tmp_path: Path
) -> None:
    tone(tmp_path / "a.mp4")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpeechError) as caught:
        take(tmp_path / name)
    assert (caught.value.code, caught.value.permanent) == (code, True)
    assert str(tmp_path) not in caught.value.message


def test_sound_of_an_unknown_kind_is_unreadable(tmp_path: Path) -> None:
    content = bytearray(clicks(tmp_path / "a.wav", at=[0.5], seconds=1).read_bytes())
    content[20:22] = b"\x34\x12"
    (tmp_path / "b.wav").write_bytes(content)
    with pytest.raises(SpeechError) as caught:
        take(tmp_path / "b.wav")
    assert (caught.value.code, caught.value.permanent) == ("unreadable", True)


@pytest.mark.parametrize("rate", [1, 50, 2**31 - 1])
def test_a_sample_rate_that_cannot_be_is_unreadable_at_once(rate: int, tmp_path: Path) -> None:
    content = bytearray(clicks(tmp_path / "a.wav", at=[0.5], seconds=1).read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(content)
    with pytest.raises(SpeechError) as caught:
        take(tmp_path / "b.wav", longest_s=1e6)
    assert caught.value.code == "unreadable"


def test_random_damage_never_gives_an_untyped_error(testdata: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    nasa = (testdata / "speech" / "nasa_13013.mp4").read_bytes()
    webm = (testdata / "odd" / "no_duration.webm").read_bytes()
    for number in range(60):
        content = bytearray(chance.choice((nasa, webm)))
        for _ in range(chance.choice((1, 10, 100))):
            content[chance.randrange(chance.choice((3_000, len(content))))] = chance.randrange(256)
        video = tmp_path / "damaged"
        video.write_bytes(content)
        with suppress(SpeechError):
            assert 0 < take(video).duration_s < 3602, number


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    ffmpeg(*PICTURE, "-t", "1", *X264, tmp_path / "a.mp4")
    with pytest.raises(SpeechError, match="the video has no sound") as caught:
        take(tmp_path / "a.mp4")
    assert caught.value.code == "no_audio"


def test_a_head_without_a_body_is_unreadable(tmp_path: Path) -> None:
    content = tone(tmp_path / "a.mp4", "-movflags", "+faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.index(b"mdat") + 4])
    with pytest.raises(SpeechError) as caught:
        take(tmp_path / "cut.mp4")
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("tag", [b"enca", b"drms"])
def test_a_protected_sample_entry_is_encrypted(tag: bytes, tmp_path: Path) -> None:
    content = tone(tmp_path / "a.mp4", "-c:a", "aac").read_bytes()
    assert content.count(b"mp4a") == 1
    (tmp_path / "b.mp4").write_bytes(content.replace(b"mp4a", tag))
    with pytest.raises(SpeechError, match="encrypted") as caught:
        take(tmp_path / "b.mp4")
    assert (caught.value.code, caught.value.permanent) == ("encrypted", True)


def test_really_encrypted_sound_is_encrypted(tmp_path: Path) -> None:
    with pytest.raises(SpeechError) as caught:
        take(tone(tmp_path / "a.mp4", "-c:a", "aac", *KEY))
    assert caught.value.code == "encrypted"


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.ts"])
def test_too_long_is_said_from_the_head_or_while_decoding(name: str, tmp_path: Path) -> None:
    video = tmp_path / name
    sine = ["-f", "lavfi", "-i", "sine=frequency=440", "-t", "8"]
    ffmpeg(*sine, "-c:a", "libopus" if name == "a.webm" else "aac", video)
    shares: list[float] = []
    with pytest.raises(SpeechError) as caught:
        take(video, longest_s=4, progress=shares.append)
    assert (caught.value.code, caught.value.permanent) == ("too_long", True)
    assert not (tmp_path / "sound.pcm").exists()
    if name == "a.mp4":
        assert shares == []
    assert take(video, longest_s=8).seconds == pytest.approx(8, abs=0.1)


def test_a_stream_without_a_length_is_stopped_while_it_is_decoded(tmp_path: Path) -> None:
    whole = tmp_path / "a.webm"
    live = ["-f", "webm", "-live", "1"]
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440", "-t", "8", "-c:a", "libopus", *live, whole)
    shares: list[float] = []
    with pytest.raises(SpeechError) as caught:
        take(whole, longest_s=4, progress=shares.append)
    assert caught.value.code == "too_long"
    assert 0.4 < max(shares) < 0.8


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    to = tmp_path / "full"
    to.symlink_to("/dev/full")
    with pytest.raises(SpeechError, match="not enough disk space") as caught:
        extract(
            tone(tmp_path / "a.mp4", seconds=20),
            to,
            longest_s=3600,
            check=lambda: None,
            progress=lambda _: None,
        )
    assert (caught.value.code, caught.value.permanent) == ("disk_full", False)
    assert not to.is_symlink()


def test_a_place_that_cannot_be_written_is_another_error(tmp_path: Path) -> None:
    video = tone(tmp_path / "a.mp4")
    to = tmp_path / "missing" / "a.pcm"
    with pytest.raises(SpeechError) as caught:
        extract(video, to, longest_s=3600, check=lambda: None, progress=lambda _: None)
    assert (caught.value.code, caught.value.permanent) == ("storage_failed", False)


def test_it_is_cancelled_in_the_middle_and_leaves_nothing(tmp_path: Path) -> None:
    video = tone(tmp_path / "a.mp4")
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 50:
            raise Cancelled

    with pytest.raises(Cancelled):
        take(video, check=check)
    assert looks == 50
    assert not (tmp_path / "sound.pcm").exists()


def test_a_name_that_looks_like_an_address_is_a_name(tmp_path: Path) -> None:
    assert take(tone(tmp_path / "-i http:x.mp4")).seconds == pytest.approx(3, abs=0.1)


def test_audio_is_read_in_pieces_and_cut_at_its_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.pcm"
    np.arange(-8_000, 8_000, dtype="<i2").tofile(file)
    with AudioFile(file) as audio:
        assert audio.seconds == 1
        assert audio.read(0.5, 0.5 + 2 / SAMPLE_RATE).tolist() == [0, 1 / 32768]
        assert len(audio.read(-5, 0.25)) == 4_000
        assert len(audio.read(0.75, 99)) == 4_000
        assert len(audio.read(2, 3)) == len(audio.read(-2, -1)) == len(audio.read(0.5, 0.2)) == 0
        assert audio.read(0, 1).dtype == np.float32
