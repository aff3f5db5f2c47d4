"""Make data/person.png, data/face.png and data/people.png from the two portraits beside this file.

    python data/make_scene.py

people.png is a room with the portraits as life-sized cut-outs: several sizes and places, one of them mirrored.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).parent
SIZE_WH = (720, 400)
HORIZON = 300  # rows of wall above the floor
WALL, FLOOR = (196, 190, 182), (104, 116, 128)  # BGR
FACE_BOX = (136, 10, 316, 210)  # in astronaut.png: left, top, right, bottom
PORTRAITS = (  # picture, height, left, top, mirrored
    ("astronaut.png", 240, 8, 90, False),
    ("hopper.png", 200, 262, 40, False),
    ("astronaut.png", 160, 520, 30, True),
    ("hopper.png", 170, 560, 215, False),
)


def make_scene(portraits=PORTRAITS):
    """(400, 720, 3) uint8 BGR."""
    scene = np.empty((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    scene[:HORIZON], scene[HORIZON:] = WALL, FLOOR
    for name, height, left, top, mirrored in portraits:
        portrait = cv2.imread(str(DATA / name))
        width = round(portrait.shape[1] * height / portrait.shape[0])
        portrait = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)
        scene[top : top + height, left : left + width] = portrait[:, ::-1] if mirrored else portrait
    return scene


def main(argv=()) -> int:
    if argv:  # --help, or a name: nothing is to be named
        print(__doc__.strip(), file=sys.stdout if argv[0] in ("-h", "--help") else sys.stderr)
        return 0 if argv[0] in ("-h", "--help") else 2
    astronaut = cv2.imread(str(DATA / "astronaut.png"))
    left, top, right, bottom = FACE_BOX
    cv2.imwrite(str(DATA / "person.png"), astronaut)
    cv2.imwrite(str(DATA / "face.png"), astronaut[top:bottom, left:right])
    cv2.imwrite(str(DATA / "people.png"), make_scene())
    print(f"written: {DATA / 'person.png'}, {DATA / 'face.png'}, {DATA / 'people.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
