"""The quality of a face, from its pixels and five landmarks: size, sharpness, pose, exposure, and all together.

The constants were taken from training photos only (25 people of LFW and 22 of the web set, first ten photos each; ORL
and Essex head shots). Three of four faces there score 0.97 or more in sharpness and in exposure.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box, Face, Floats, Pixels, Quality

POOR = 0.2
"""Overall quality below which a face is too poor to be trusted: that of a face 16 pixels wide that is sharp and
frontal. Of 700 photos of LFW and the web set none has less."""

_SIDE = 80
"""Side in pixels at which a face is judged. A larger face is no better: encoders see no finer detail."""
_SHARP, _BLURRED = -1.25, -2.65
"""log10 of the sharpness ratio at which sharpness is 1 and 0: a quarter of the training faces lie below the first; the
second is the median of all of them blurred by a Gaussian of 3 pixels in a face of 80."""
_SPREAD = 60.0
"""Grey levels between the darkest and the brightest twentieth of a face from which on exposure is 1; 99 of 100 training
faces have 70 or more. A limit on brightness itself would mark dark skin down."""
_NOSE_AT, _NOSE_OUT, _EYE_HALF = 0.57, 0.48, 0.50
"""The shape of a head, in units of the distance from mid-eyes to mid-mouth: how far down the nose tip lies, how far it
stands out, half the distance between the eyes. Medians of the training faces, the second of those that are turned."""


def face_quality(pixels: Pixels, face: Face, scale: float) -> Quality:
    """The quality of `face` in the picture `pixels` (HxWx3 uint8 RGB), which is `scale` times the full size; the face's
    coordinates are full-size pixels. A face wholly outside the picture has sharpness and exposure 0."""
    x0, y0, x1, y1 = face.box
    size = math.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0))
    grey = _grey(pixels, face.box, scale)
    sharpness, exposure = (_sharpness(grey), _exposure(grey)) if grey.size else (0.0, 0.0)
    pose = _pose(face.landmarks)
    return Quality(size, sharpness, pose, exposure, min(1.0, size / _SIDE) * sharpness * pose * exposure)


def _grey(pixels: Pixels, box: Box, scale: float) -> NDArray[np.uint8]:
    """The part of the box that lies in the picture, grey, shrunk to at most 80 pixels a side. A smaller one stays as it
    is, since the pixels that enlarging makes up are smooth."""
    height, width = pixels.shape[:2]
    left, top = max(0, round(box[0] * scale)), max(0, round(box[1] * scale))
    right, bottom = min(width, round(box[2] * scale)), min(height, round(box[3] * scale))
    if right <= left or bottom <= top:
        return np.empty((0, 0), np.uint8)
    grey = _pixels(cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY))
    shrink = _SIDE / max(grey.shape)
    if shrink >= 1.0:
        return grey
    size = (max(1, round(grey.shape[1] * shrink)), max(1, round(grey.shape[0] * shrink)))
    return _pixels(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """The variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000)
    over the variance of the face itself, so that neither light nor contrast counts, as 0..1 on a logarithmic scale. The
    face is smoothed first, against sensor noise. 25 is the variance of a blank wall, which is thus not sharp."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (3, 3), 0)
    ratio = float(np.var(cv2.Laplacian(smooth, cv2.CV_32F))) / (float(np.var(smooth)) + 25.0)
    return _unit((math.log10(ratio + 1e-9) - _BLURRED) / (_SHARP - _BLURRED))


def _exposure(grey: NDArray[np.uint8]) -> float:
    """The span of greys in the face times the share of its pixels that are neither burnt out nor drowned, 0..1."""
    shares = np.bincount(grey.ravel(), minlength=256) / grey.size
    dark, bright = np.searchsorted(np.cumsum(shares), (0.05, 0.95))
    lost = float(shares[:6].sum() + shares[250:].sum())
    return _unit(float(bright - dark) / _SPREAD) * _unit(1.0 - lost)


def _pose(landmarks: Floats) -> float:
    """The cosine of yaw times the cosine of pitch, from (5, 2) landmarks in YuNet's order.

    Turning the head by `a` moves the nose tip aside by sin(a) of its height and draws the eyes together to cos(a). Roll
    and scale cancel out.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = landmarks.astype(np.float64)
    eyes = (right_eye + left_eye) / 2
    down = (right_mouth + left_mouth) / 2 - eyes
    length = math.hypot(*down)
    if not length > 1e-6:
        return 0.0
    down /= length
    across = np.array((down[1], -down[0]))
    aside = abs(float((nose - eyes) @ across)) / _NOSE_OUT
    open_eyes = float((left_eye - right_eye) @ across) / 2 / _EYE_HALF
    raised = (float((nose - eyes) @ down) / length - _NOSE_AT) / _NOSE_OUT
    return _unit(math.cos(math.atan2(aside, open_eyes)) * math.cos(math.atan(raised)))


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _pixels(array: Any) -> NDArray[np.uint8]:
    """An array of OpenCV's with the type that it has; OpenCV's stubs say another."""
    return np.asarray(array, np.uint8)
