"""Drawings of cars from behind: body, windows, lights, wheels, with shading and grain so that nothing is flat."""

from __future__ import annotations

from typing import Final

import cv2  # noqa: TID253 - draws
import numpy as np

from tests.privacy.publishing import Pixels

_GLASS: Final = (38, 44, 50)
_RUBBER: Final = (24, 24, 26)
_LIGHT: Final = (150, 20, 25)
_GRAIN: Final = 4.0  # gray levels


def draw_car(picture: Pixels, top: int, left: int, height: int, width: int, random: np.random.Generator) -> None:
    """Draw a car of a random colour into a picture, clipped to it; the surroundings stay unchanged."""
    body = random.integers(30, 225, 3).astype(np.float32)
    car = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.uint8)

    def shape(corners: list[tuple[float, float]], colour: tuple[float, ...] | None) -> None:
        points = np.array([[round(x * width), round(y * height)] for x, y in corners], np.int32)
        cv2.fillPoly(car, [points], colour or tuple(body.tolist()), cv2.LINE_AA)
        cv2.fillPoly(cover, [points], 1)

    for side in (0.06, 0.78):
        shape([(side, 0.8), (side + 0.16, 0.8), (side + 0.16, 1), (side, 1)], _RUBBER)
    shape([(0.2, 0), (0.8, 0), (0.9, 0.4), (1, 0.45), (1, 0.9), (0, 0.9), (0, 0.45), (0.1, 0.4)], None)
    shape([(0.25, 0.06), (0.75, 0.06), (0.83, 0.36), (0.17, 0.36)], _GLASS)
    for side in (0.03, 0.83):
        shape([(side, 0.48), (side + 0.14, 0.48), (side + 0.14, 0.6), (side, 0.6)], _LIGHT)
    shade = np.linspace(1.12, 0.78, height, dtype=np.float32)[:, None, None]
    car = car * shade + _GRAIN * random.standard_normal(car.shape, np.float32)
    _paste(picture, top, left, car.clip(0, 255).astype(np.uint8), cover == 1)


def draw_person(picture: Pixels, top: int, left: int, height: int, width: int, random: np.random.Generator) -> None:
    """Draw a person without a face: head, body, arms and legs in random colours."""
    jacket, trousers = (tuple(random.integers(20, 200, 3).tolist()) for _ in range(2))
    person = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.uint8)

    def shape(corners: list[tuple[float, float]], colour: tuple[float, ...]) -> None:
        points = np.array([[round(x * width), round(y * height)] for x, y in corners], np.int32)
        cv2.fillPoly(person, [points], colour, cv2.LINE_AA)
        cv2.fillPoly(cover, [points], 1)

    shape([(0.3, 0.5), (0.7, 0.5), (0.75, 1), (0.55, 1), (0.5, 0.6), (0.45, 1), (0.25, 1)], trousers)
    shape([(0.15, 0.2), (0.85, 0.2), (1, 0.55), (0.85, 0.55), (0.75, 0.55), (0.25, 0.55), (0, 0.55)], jacket)
    shape([(0.35, 0.02), (0.65, 0.02), (0.65, 0.2), (0.35, 0.2)], (180, 140, 120))
    person += _GRAIN * random.standard_normal(person.shape, np.float32)
    _paste(picture, top, left, person.clip(0, 255).astype(np.uint8), cover == 1)


def _paste(picture: Pixels, top: int, left: int, drawn: Pixels, cover: np.ndarray) -> None:
    first, start = max(0, top), max(0, left)
    bottom, right = min(picture.shape[0], top + len(drawn)), min(picture.shape[1], left + drawn.shape[1])
    part = np.s_[first - top : bottom - top, start - left : right - left]
    target = picture[first:bottom, start:right]
    target[cover[part]] = drawn[part][cover[part]]
