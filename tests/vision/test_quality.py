"""What makes a face worse makes its quality lower, and what does not matter does not."""

from __future__ import annotations

import math
from dataclasses import astuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.types import Face, Floats, Pixels, Quality
from mien.vision.quality import face_quality

SIDE = 160
BOX = (20.0, 20.0, 20.0 + SIDE, 20.0 + SIDE)


def head(yaw: float = 0.0, pitch: float = 0.0) -> Floats:
    """YuNet's points of a plain head (eyes 1 apart and 1 above the mouth, a nose 0.5 high), turned by degrees."""
    points = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0, 0.57, 0.5), (-0.4, 1, 0), (0.4, 1, 0)])
    a, b = math.radians(yaw), math.radians(pitch)
    about_y = np.array([(math.cos(a), 0, math.sin(a)), (0, 1, 0), (-math.sin(a), 0, math.cos(a))])
    about_x = np.array([(1, 0, 0), (0, math.cos(b), math.sin(b)), (0, -math.sin(b), math.cos(b))])
    seen = points @ (about_y @ about_x).T
    return np.asarray(seen[:, :2] * 60 + (100, 75), np.float32)


def texture() -> Pixels:
    """Greys of every size of detail, the larger the stronger, as in a photo."""
    rng = np.random.default_rng(7)
    layers = [cv2.resize(rng.normal(0, s**0.5, (200 // s, 200 // s)), (200, 200)) for s in (2, 4, 8, 16, 32)]
    grey = np.sum(layers, axis=0)
    grey = 128 + grey * 45 / grey.std()
    return np.asarray(np.clip(grey, 10, 245)[..., None].repeat(3, axis=2), np.uint8)


def quality(pixels: Pixels, landmarks: Floats | None = None, scale: float = 1.0) -> Quality:
    return face_quality(pixels, Face(BOX, head() if landmarks is None else landmarks, 0.9, "test"), scale)


def test_a_good_face_is_good() -> None:
    seen = quality(texture())
    assert seen.size == pytest.approx(SIDE)
    assert min(astuple(seen)) > 0.9
    assert seen.overall == pytest.approx(seen.sharpness * seen.pose * seen.exposure)


def test_blur_lowers_sharpness_alone() -> None:
    seen = [quality(np.asarray(cv2.GaussianBlur(texture(), (0, 0), sigma))) for sigma in (1, 2, 3, 4, 6)]
    sharpness = [q.sharpness for q in seen]
    assert sharpness == sorted(sharpness, reverse=True)
    assert len(set(sharpness)) == 5
    assert sharpness[-1] < 0.2
    assert all(q.pose == seen[0].pose and q.exposure > 0.9 for q in seen)


def test_sharpness_does_not_depend_on_light() -> None:
    dim = (texture() * 0.5).astype(np.uint8)
    assert quality(dim).sharpness == pytest.approx(quality(texture()).sharpness, abs=0.03)


def test_darkness_and_burning_out_lower_exposure() -> None:
    photo = texture().astype(np.float32)
    for series in (
        [photo * f for f in (1, 0.3, 0.2, 0.1, 0)],  # darkened
        [photo + d for d in (0, 60, 120, 180, 255)],  # burnt out
        [128 + (photo - 128) * f for f in (1, 0.3, 0.2, 0.1, 0)],  # fog
    ):
        exposure = [quality(np.clip(image, 0, 255).astype(np.uint8)).exposure for image in series]
        assert exposure == sorted(exposure, reverse=True)
        assert exposure[0] > 0.95
        assert exposure[-1] < 0.05


def test_a_dark_skin_that_is_well_lit_is_well_exposed() -> None:
    assert quality((texture() * 0.45).astype(np.uint8)).exposure > 0.95


@pytest.mark.parametrize("sign", [-1, 1])
def test_pose_falls_from_frontal_to_profile(sign: int) -> None:
    pose = [quality(texture(), head(yaw=sign * yaw)).pose for yaw in (0, 15, 30, 45, 60, 75, 90)]
    assert pose == sorted(pose, reverse=True)
    for yaw, value in zip((0, 15, 30, 45, 60, 75, 90), pose, strict=True):
        assert value == pytest.approx(math.cos(math.radians(yaw)), abs=0.03)
    assert quality(texture(), head(yaw=sign * 120)).pose == 0.0


def test_pose_falls_with_pitch() -> None:
    for sign in (-1, 1):
        pose = [quality(texture(), head(pitch=sign * pitch)).pose for pitch in (0, 15, 30, 45)]
        assert pose == sorted(pose, reverse=True)
        assert pose[-1] < 0.8


@pytest.mark.parametrize("roll", [30, 90, 180, 270])
def test_pose_ignores_roll_and_scale(roll: int) -> None:
    a = math.radians(roll)
    turn = np.array([(math.cos(a), -math.sin(a)), (math.sin(a), math.cos(a))])
    for landmarks in (head(), head(yaw=40), head(yaw=-40, pitch=10)):
        rolled = (landmarks @ turn * 3).astype(np.float32)
        assert quality(texture(), rolled).pose == pytest.approx(quality(texture(), landmarks).pose, abs=1e-4)


def test_a_reduced_picture_of_the_same_face_scores_the_same() -> None:
    half = np.asarray(cv2.resize(texture(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    full, reduced = quality(texture()), quality(half, scale=0.5)
    assert reduced.size == full.size
    assert astuple(reduced)[1:] == pytest.approx(astuple(full)[1:], abs=0.03)


def test_a_small_face_costs_in_proportion() -> None:
    small = face_quality(texture(), Face((20, 20, 60, 60), head(), 0.9, "test"), 1.0)
    assert small.size == pytest.approx(40)
    assert small.overall == pytest.approx(0.5 * small.sharpness * small.pose * small.exposure)


def test_a_face_cut_by_the_border_is_judged_by_what_shows() -> None:
    seen = face_quality(texture(), Face((-80, 20, 80, 180), head(), 0.9, "test"), 1.0)
    assert seen.size == pytest.approx(160)
    assert seen.sharpness > 0.8


@pytest.mark.parametrize("box", [(300, 300, 400, 400), (-90, -90, -10, -10), (50, 50, 50, 50), (80, 80, 20, 20)])
def test_nothing_to_see_is_worth_nothing(box: tuple[float, float, float, float]) -> None:
    seen = face_quality(texture(), Face(box, head(), 0.9, "test"), 1.0)
    assert (seen.sharpness, seen.exposure, seen.overall) == (0.0, 0.0, 0.0)


def test_a_blank_wall_is_not_sharp() -> None:
    noise = np.random.default_rng(0).normal(128, 1, (200, 200, 3)).astype(np.uint8)
    assert quality(noise).sharpness < 0.7
    assert quality(noise).overall < 0.1


@given(
    st.tuples(*[st.floats(-500, 500)] * 4),
    st.lists(st.floats(-1e6, 1e6, width=32) | st.just(math.nan), min_size=10, max_size=10),
    st.sampled_from([1.0, 0.5, 0.125]),
)
@settings(max_examples=200, deadline=None, database=None)
def test_any_box_and_landmarks_give_values_in_range(
    box: tuple[float, float, float, float], points: list[float], scale: float
) -> None:
    landmarks = np.array(points, np.float32).reshape(5, 2)
    seen = face_quality(texture(), Face(box, landmarks, 0.9, "test"), scale)
    assert all(0.0 <= value <= 1.0 for value in astuple(seen)[1:])
    assert 0.0 <= seen.size <= 1000.0
