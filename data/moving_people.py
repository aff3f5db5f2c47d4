"""A video of cut-outs that move, with the truth: people cross, hide behind each other and behind a column, leave and come back, in two sizes.

    python -m data.moving_people --out moving.mp4

The portraits are those of data/ (public domain); three more people are the same portraits in other colours.
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from contextlib import closing
from typing import NamedTuple

import cv2
import numpy as np

import cli
from data.make_scene import DATA, FLOOR, WALL
from streams.video import VideoFile, check_video_path

SIZE_WH, RATE, N_FRAMES = (960, 540), 25.0, 300
COLUMN = (430, 500)  # left, right: nearer than the small people, farther than the tall ones
LEAST_VISIBLE = 0.5  # of a person's box; who is less to be seen is no part of the truth


class Portrait(NamedTuple):
    """A picture of data/ with the outline of the person and the box around the joints that are in it, pixels."""

    name: str
    outline: tuple  # x, y
    box: tuple  # left, top, right, bottom


ASTRONAUT = Portrait(
    "astronaut.png",
    (
        *((155, 75), (165, 40), (195, 18), (235, 14), (275, 28), (298, 60), (300, 95), (285, 125), (272, 140), (262, 175), (290, 200)),
        *((305, 235), (330, 248), (352, 275), (362, 330), (360, 350), (330, 355), (295, 390), (278, 440), (276, 511), (28, 511), (22, 440)),
        *((18, 390), (40, 300), (52, 262), (90, 230), (112, 205), (120, 180), (150, 155), (180, 150), (190, 140), (172, 120), (158, 100)),
    ),
    (60, 85, 340, 480),
)
HOPPER = Portrait(
    "hopper.png",
    (
        *((180, 45), (235, 25), (300, 28), (345, 60), (370, 100), (370, 160), (376, 195), (360, 235), (362, 275), (345, 305), (330, 315)),
        *((335, 335), (400, 355), (470, 380), (497, 400), (511, 440), (511, 599), (12, 599), (20, 520), (30, 420), (50, 385), (120, 355)),
        *((185, 335), (205, 312), (165, 270), (152, 205), (165, 170), (148, 150), (150, 100), (175, 85)),
    ),
    (60, 185, 470, 590),
)


class Walk(NamedTuple):
    """One person's way: between its points (frame, left, bottom) in a straight line; unseen before the first and after the last."""

    portrait: Portrait
    height: int  # of the picture, pixels
    hue: int  # added, of 180
    mirrored: bool
    points: tuple


# From the farthest to the nearest. The column stands before the first two.
WALKS = (
    Walk(ASTRONAUT, 130, 90, False, ((0, 250, 300), (60, 250, 300), (140, 640, 300), (170, 800, 290), (299, 800, 290))),
    Walk(HOPPER, 130, 0, True, ((0, 560, 340), (299, 600, 340))),
    Walk(HOPPER, 260, 0, False, ((0, 760, 510), (190, -230, 510))),
    Walk(HOPPER, 210, 60, False, ((150, 960, 500), (190, 700, 500), (205, 700, 500), (240, 965, 500), (256, 965, 500), (299, 600, 500))),
    Walk(ASTRONAUT, 200, 0, True, ((0, 80, 480), (30, -205, 480), (200, -205, 480), (260, 200, 480), (299, 200, 480))),
    Walk(ASTRONAUT, 260, 120, True, ((205, 960, 530), (299, 20, 530))),
    Walk(ASTRONAUT, 280, 0, False, ((0, -250, 530), (175, 965, 530))),
)
N_BEHIND = 2


def cut_out(walk):
    """The picture (height, width, 3) uint8 BGR of the person, its opacity (height, width, 1) float32, and the box around the joints in it."""
    portrait = cv2.imread(str(DATA / walk.portrait.name))
    opacity = np.zeros(portrait.shape[:2], np.float32)
    cv2.fillPoly(opacity, [np.array(walk.portrait.outline, np.int32)], 1.0)
    scale = walk.height / portrait.shape[0]
    size_wh = round(portrait.shape[1] * scale), walk.height
    hsv = cv2.cvtColor(cv2.resize(portrait, size_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + walk.hue) % 180
    picture, opacity = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), cv2.resize(opacity, size_wh, interpolation=cv2.INTER_AREA)[..., None]
    left, top, right, bottom = (side * scale for side in walk.portrait.box)
    if walk.mirrored:
        picture, opacity, left, right = picture[:, ::-1], opacity[:, ::-1], size_wh[0] - right, size_wh[0] - left
    return picture, opacity, np.array([left, top, right, bottom])


def place_of(walk, frame):
    """(left, top) of the cut-out in whole pixels, or None: a step is a tenth of a second up and down."""
    frames, lefts, bottoms = np.array(walk.points, float).T
    if not frames[0] <= frame <= frames[-1]:
        return None
    left, bottom = np.interp(frame, frames, lefts), np.interp(frame, frames, bottoms)
    moves = np.interp(frame + 1, frames, lefts) != left
    return round(left), round(bottom - walk.height + moves * 0.01 * walk.height * np.sin(frame * 2 * np.pi * 2.5 / RATE))


def paste(scene, owners, picture, opacity, left, top, owner):
    """Draw a cut-out into the scene, and whose each pixel is into owners (H, W) int."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + picture.shape[1], SIZE_WH[0]), min(top + picture.shape[0], SIZE_WH[1])
    if x0 >= x1 or y0 >= y1:
        return
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    there = scene[y0:y1, x0:x1]
    there[:] = np.round(there + opacity[part] * (picture[part].astype(np.float32) - there))
    owners[y0:y1, x0:x1][opacity[part][..., 0] > 0.5] = owner


def visible_box(box, outline_area, owners, owner):
    """The box within the picture in whole numbers, None where less than LEAST_VISIBLE of the person's pixels in it (outline_area) is to be seen."""
    inside = np.clip(np.round(box).astype(int), 0, [*SIZE_WH, *SIZE_WH])
    seen = owners[inside[1] : inside[3], inside[0] : inside[2]] == owner
    return inside.tolist() if seen.sum() >= LEAST_VISIBLE * outline_area else None


def frames():
    """Yield (image (540, 960, 3) uint8 BGR, {person: box}, boxes of people who are hardly to be seen) for each frame.

    A box is (left, top, right, bottom) in whole pixels.
    """
    wall = np.empty((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    wall[:360], wall[360:] = WALL, FLOOR
    people = [cut_out(walk) for walk in WALKS]
    for frame in range(N_FRAMES):
        scene, owners, boxes = wall.copy(), np.full(wall.shape[:2], -1), {}
        for i, (walk, (picture, opacity, box)) in enumerate(zip(WALKS, people, strict=True)):
            if i == N_BEHIND:
                scene[:, slice(*COLUMN)], owners[:, slice(*COLUMN)] = (150, 150, 160), -1
            place = place_of(walk, frame)
            if place is not None:
                paste(scene, owners, picture, opacity, *place, i)
                boxes[i] = box + [*place, *place]
        found = {}
        for i, box in boxes.items():
            left, top, right, bottom = np.round(people[i][2]).astype(int)
            found[i] = visible_box(box, (people[i][1][top:bottom, left:right] > 0.5).sum(), owners, i)
        hidden = [np.round(boxes[i]).astype(int).tolist() for i, box in found.items() if box is None]
        yield scene, {i: box for i, box in found.items() if box is not None}, hidden


def parser():
    p = cli.Parser(prog="data.moving_people", description=__doc__)
    p.add_argument("--out", default="moving.mp4", metavar="VIDEO", help="Write this video, .mp4, .webm or .avi (default: moving.mp4).")
    return p


def make(options):
    check_video_path(options.out)
    with closing(VideoFile(options.out, RATE)) as video:
        for image, _, _ in frames():
            video.write(image)
    print(f"{N_FRAMES} frames; {options.out}")


def main(argv=None) -> int:
    return cli.run(parser(), make, argv)


if __name__ == "__main__":
    sys.exit(main())
