"""Faces and hands: the golden points, half-pixel geometry, batches, mirrored hands, and the scripts end to end with seeded weights."""

import json

import cv2
import numpy as np
import pytest
from conftest import ROOT, assert_input_error, assert_refused, golden, run_script, seeded_weights
from test_paf import enlarge_align_corners

from face_detector import FaceDetector
from hand_detector import HandDetector
from keypoints.image import crop
from keypoints.labels import cell_centers
from keypoints.peaks import find_maxima, smooth
from keypoints.points import decode_points
from models import ARCHS, shapes_of
from pose_detector import PoseDetector


@pytest.mark.parametrize("name", ["face_peaks", "hand_peaks_right", "hand_peaks_left"])
def test_golden_points(name):
    """The original's way, by the test's align-corners enlargement: blur at the crop's size, take each map's maximum above 0.1."""
    arrays = golden(f"{name}.npz")
    width, height = arrays["image_size"]
    maps = smooth(enlarge_align_corners(arrays["heatmaps"], width, height), 1, 2.5)[:-1]
    peaks = find_maxima(maps, 0.1)
    found = np.full((len(maps), 3), np.nan)
    found[peaks[:, 0].astype(int)] = peaks[:, 1:]
    if "left" in name:
        found[:, 0] = width - 1 - found[:, 0]
    np.testing.assert_allclose(found, arrays["keypoints"], atol=1e-5)


def heatmaps_of(points, size_wh, n_cells=46, sigma=1.2):
    """(n + 1, 46, 46): Gaussians where points (n, 2) of a crop of size_wh lie after it was stretched to the network's input."""
    centers = cell_centers(n_cells * 8)
    at = (points + 0.5) * (n_cells * 8) / np.array(size_wh) - 0.5
    columns, rows = (np.exp(-((centers - at[:, axis, None]) ** 2) / (2 * (8 * sigma) ** 2)) for axis in (0, 1))
    maps = (rows[:, :, None] * columns[:, None, :]).astype(np.float32)
    return np.concatenate([maps, 1 - maps.max(0, keepdims=True)])


@pytest.mark.parametrize("size_wh", [(180, 200), (368, 368), (37, 900), (1, 1)])
def test_points_come_back_in_pixels_of_the_crop(size_wh):
    points = np.random.default_rng(0).random((21, 2)) * size_wh - 0.5
    keypoints = decode_points(heatmaps_of(points, size_wh), size_wh, 0.1)
    pixel = np.array(size_wh) / 368  # of the network's input, in pixels of the crop
    assert (np.abs(keypoints[:, :2] - points) <= 0.5 * pixel).all()
    assert (keypoints[:, 2] > 0.5).all()


def test_a_weak_point_is_missing():
    maps = heatmaps_of(np.full((3, 2), 100.0), (200, 200))
    maps[1] *= 0.05
    keypoints = decode_points(maps, (200, 200), 0.1)
    assert np.isfinite(keypoints[[0, 2]]).all()
    assert np.isnan(keypoints[1]).all()


def bright_spot_net(x):
    """A hand network that answers, in every map, where the picture is brightest."""
    cells = cv2.resize(x.mean(1).transpose(1, 2, 0), (46, 46), interpolation=cv2.INTER_AREA).reshape(46, 46, len(x)) + 0.5
    return (np.repeat(cells.transpose(2, 0, 1)[:, None], 22, axis=1).astype(np.float32),)


def spot(x, y, size_wh=(200, 160)):
    """A picture of one bright Gaussian."""
    columns, rows = np.arange(size_wh[0]), np.arange(size_wh[1])[:, None]
    bright = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 10**2))
    return np.repeat(np.rint(bright).astype(np.uint8)[:, :, None], 3, axis=2)


def test_a_left_hand_is_mirrored_and_its_points_are_mirrored_back():
    seen = []

    def net(x):
        seen.append(x)
        return bright_spot_net(x)

    detector = HandDetector(net)
    for hand in ("right", "left"):
        keypoints = detector(spot(50, 90), hand)
        np.testing.assert_allclose(keypoints[:, :2], np.tile([50, 90], (21, 1)), atol=1.0)
    np.testing.assert_allclose(seen[1], seen[0][..., ::-1], atol=1.01 / 256)  # resizing rounds a mirrored picture to other grey levels


@pytest.mark.parametrize(("detector", "arch"), [(FaceDetector, "lightfacenet"), (HandDetector, "lighthandnet"), (FaceDetector, "facenet")])
def test_a_crop_is_stretched_to_the_size_that_the_row_names(detector, arch):
    class Net:
        arch = None

        def __call__(self, x):
            self.shape = x.shape
            return bright_spot_net(x)

    net = Net()
    net.arch = ARCHS[arch]
    keypoints = detector(net)(spot(150, 90))
    assert net.shape == (1, 3, net.arch.input_size, net.arch.input_size)
    assert net.arch.input_size == (192 if arch.startswith("light") else 368)
    np.testing.assert_allclose(keypoints[:, :2], np.tile([150, 90], (21, 1)), atol=1.5)


def test_a_batch_is_what_one_after_another_is():
    images = [spot(20 + 7 * n, 30 + 5 * n, (150 + 10 * n, 200 - 8 * n)) for n in range(11)]
    hands = ["left", "right"] * 5 + ["left"]
    detector, batches = HandDetector(bright_spot_net), []
    together = detector.detect_batch(images, hands)
    assert len(together) == 11
    for image, hand, keypoints in zip(images, hands, together, strict=True):
        np.testing.assert_allclose(keypoints, detector(image, hand), atol=1e-4)
    face = FaceDetector(lambda x: batches.append(len(x)) or bright_spot_net(x))
    face.detect_batch(images)
    assert max(batches) <= 8
    assert sum(batches) == 11
    assert face.detect_batch([]) == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """{"facenet": npz, "handnet": npz} of seeded weights."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for arch in ("facenet", "handnet"):
        paths[arch] = folder / f"{arch}.npz"
        np.savez(paths[arch], **seeded_weights(shapes_of(arch)))
    return paths


@pytest.mark.parametrize(
    ("script", "arch", "options", "n_points"),
    [
        ("face_detector.py", "facenet", (), 70),
        ("face_detector.py", "facenet", ("--engine", "chainer"), 70),
        ("hand_detector.py", "handnet", ("--hand", "left"), 21),
        ("pose_detectorIE.py", "facenet", (), 70),
    ],
)
def test_scripts(tmp_path, weights, script, arch, options, n_points):
    out, numbers = tmp_path / "r.png", tmp_path / "r.json"
    named = ("--xml", weights[arch]) if script == "pose_detectorIE.py" else (weights[arch],)
    process = run_script(script, arch, *named, "--img", ROOT / "data" / "face.png", "--out", out, "--json", numbers, *options)
    assert process.returncode == 0, process.stderr
    assert f"of {n_points} points" in process.stdout
    document = json.loads(numbers.read_text())
    assert len(document["points"]) == n_points
    assert (document["width"], document["height"]) == (180, 200)
    assert cv2.imread(str(out)).shape == (200, 180, 3)


@pytest.mark.parametrize(("script", "arch", "option"), [("face_detector.py", "facenet", "--face"), ("hand_detector.py", "handnet", "--hand")])
def test_missing_weights_say_how_to_get_them(script, arch, option):
    assert_refused(run_script(script, arch, "--img", ROOT / "data" / "face.png"), f"./getModels.sh {option}")


def test_a_crop_outside_the_picture_is_black():
    assert not crop(np.full((4, 4, 3), 255, np.uint8), (10, 10, 14, 12)).any()


@pytest.mark.parametrize("detector", [FaceDetector, HandDetector, PoseDetector])
@pytest.mark.parametrize("net", [None, "lightposenet"])
def test_what_is_no_network_is_refused(detector, net):
    """In words, when the detector is made, and not by an AttributeError when it is used."""
    assert_input_error(lambda: detector(net), detector.__name__, "expects a network", repr(net), "open_net")


@pytest.mark.parametrize("detector", [FaceDetector, HandDetector, PoseDetector])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, ("got None", "cv2.imread answers None")),
        ("people.png", ("got 'people.png'",)),
        (np.zeros((40, 60), np.uint8), ("got (40, 60) uint8",)),
        (np.zeros((40, 60, 4), np.uint8), ("got (40, 60, 4) uint8",)),
        (np.zeros((40, 60, 3)), ("got (40, 60, 3) float64",)),
        (np.zeros((0, 60, 3), np.uint8), ("got (0, 60, 3) uint8",)),
    ],
)
def test_what_is_no_picture_is_refused(detector, image, words):
    """In words, before the network sees it: also where many are given."""

    class Net:
        def __call__(self, x):
            raise AssertionError("a network saw it")

        def stream(self, items):
            for key, x in items:
                yield key, self(x)

    find = detector(Net())
    for call in (lambda: find(image), lambda: list(find.stream([image]))):
        assert_input_error(call, "expected a picture, an array (H, W, 3) uint8 BGR", *words)
