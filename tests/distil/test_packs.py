"""Packs of crops, MediaPipe's part played by a made-up one, and the scores."""

import numpy as np
import pytest
from coco_files import annotation, annotations_path, make_coco
from conftest import SHARED, assert_input_error, needs_shared
from distil_files import made_pack
from people import person

from distil import mediapipe_teacher, points, score
from distil.kinds import KINDS
from distil.mediapipe_teacher import teach
from distil.pack import Pack, cut
from distil.photos import is_held_out, photos_of_coco, photos_of_folder
from entity import Joint

needs_train = pytest.mark.skipif(not (SHARED / "train" / "face_dev.npz").is_file(), reason=f"{SHARED}/train with packs is not here")


TRUTH = np.array([[70, 60], [130, 65], [80, 140]], float)


def spots(points, size=200):
    """A black picture with a blue, a green and a red Gaussian at the points."""
    ys, xs = np.mgrid[:size, :size]
    return np.stack([np.rint(255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 50)).astype(np.uint8) for x, y in points], axis=-1)


def see_spots(view):
    """A teacher: where the three spots are, and how sure it is."""
    weights = view.astype(float).reshape(-1, 3)
    ys, xs = (axis.ravel() for axis in np.mgrid[: view.shape[0], : view.shape[1]])
    return np.stack([xs @ weights, ys @ weights], axis=1) / weights.sum(0)[:, None], 0.75


def test_a_teacher_looks_at_several_views_and_answers_in_pixels_of_the_crop():
    found, spread, confidence = teach(see_spots, spots(TRUTH))
    np.testing.assert_allclose(found, TRUTH, atol=0.1)
    assert confidence == 0.75
    assert (spread < 0.002).all()


def test_a_teacher_that_changes_its_mind_doubts_and_one_that_sees_little_is_not_asked():
    rng = np.random.default_rng(0)
    image = spots(TRUTH)
    fixed = np.array([[50.0, 60.0], [200.0, 180.0]])
    _, spread, _ = teach(lambda view: (fixed + (0, rng.normal() * 30), 0.9), image)
    assert (spread > 0.05).all()
    answers = iter([(fixed, 1.0), None, (fixed, 1.0), None])
    assert teach(lambda view: next(answers), image) is None


def test_a_missing_mediapipe_names_its_cure(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(mediapipe_teacher.importlib, "import_module", missing)
    assert_input_error(lambda: mediapipe_teacher.open_teacher("face"), "pip install mediapipe==0.10.14")


@pytest.mark.parametrize(("box", "size_wh"), [((60, 50, 120, 110), (200, 200)), ((-30, -20, 90, 100), (200, 200)), ((0, 0, 600, 600), (700, 700))])
def test_a_crop_keeps_its_box(box, size_wh):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    row = cut(image, box)
    assert max(row.image.shape) <= 256
    left, top, right, bottom = row.box / row.scale
    np.testing.assert_allclose((right - left, bottom - top), (box[2] - box[0], box[3] - box[1]), rtol=1e-5)
    if row.scale == 1:
        y, x = box[1] + 40, box[0] + 45
        np.testing.assert_array_equal(row.image[int(top) + 40, int(left) + 45], image[y, x])


def test_a_pack_comes_back(tmp_path):
    rows = made_pack(tmp_path / "p.npz")
    pack = Pack(tmp_path / "p.npz", 21)
    assert len(pack) == 4
    assert pack.has_points.tolist() == [True, True, True, False]
    assert pack.left.tolist() == [False, True, False, True]
    for n, row in enumerate(rows):
        np.testing.assert_allclose(pack.points[n], row.points, rtol=1e-6)
        np.testing.assert_allclose(pack.box[n], row.box)
        assert pack.image(n).shape == row.image.shape
        assert np.abs(pack.image(n).astype(int) - row.image).mean() < 5
    assert_input_error(lambda: Pack(tmp_path / "p.npz", 70), "70 points each", "(4, 21, 2)")
    np.savez(tmp_path / "q.npz", data=np.zeros(3))
    assert_input_error(lambda: Pack(tmp_path / "q.npz", 21), "no 'offset'")


@needs_train
@pytest.mark.parametrize(("kind", "n"), [("face", 93), ("hand", 102)])
def test_packs_that_were_made_elsewhere_are_read(kind, n):
    pack = Pack(SHARED / "train" / f"{kind}_dev.npz", KINDS[kind].points)
    assert len(pack) == pack.has_points.sum() == n
    for row in (0, n - 1):
        height, width = pack.image(row).shape[:2]
        assert (pack.box[row] >= 0).all()
        assert (pack.box[row] <= (width, height, width, height)).all()


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("offset", lambda a: a[::-1]),
        ("offset", lambda a: a * 2),
        ("offset", lambda a: a[:-1]),
        ("data", lambda a: a.astype(np.int16)),
        ("box", lambda a: a[:, :3]),
        ("box", lambda a: a * np.float32(1e9)),
        ("box", lambda a: a * np.nan),
        ("scale", lambda a: -a),
        ("spread", lambda a: a[:, :3]),
        ("left", lambda a: a[:2]),
        ("id", lambda a: a.astype(str)),
    ],
)
def test_a_pack_whose_arrays_do_not_belong_together(tmp_path, key, change):
    path = tmp_path / "pack.npz"
    made_pack(path)
    with np.load(path) as arrays:
        arrays = dict(arrays)
    np.savez(path, **arrays | {key: change(arrays[key])})
    assert_input_error(lambda: Pack(path, KINDS["hand"].points), path, repr(key), "make the pack again")


def test_a_crop_that_is_no_picture(tmp_path):
    path = tmp_path / "pack.npz"
    made_pack(path)
    with np.load(path) as arrays:
        arrays = dict(arrays)
    arrays["data"][:] = 0
    np.savez(path, **arrays)
    pack = Pack(path, KINDS["hand"].points)
    assert_input_error(lambda: pack.image(1), path, "crop 1 is no picture")


def test_every_crop_comes_once_a_round_and_what_is_doubted_counts_less(tmp_path):
    made_pack(tmp_path / "p.npz")
    pack, kind = Pack(tmp_path / "p.npz", 21), KINDS["hand"]
    x, maps, counts = next(points.endless(pack, kind, 96, 8, np.random.default_rng(0)))
    assert (x.shape, maps.shape, counts.shape) == ((8, 96, 96, 3), (8, 22, 12, 12), (8, 21))
    assert (maps[:, :-1].max((1, 2, 3)) == 0).sum() == 2  # the crop without a hand, in each of two rounds
    np.testing.assert_allclose(np.sort(counts.sum(1))[::2], np.sort(counts.sum(1))[1::2])
    np.testing.assert_allclose(points.counts(np.array([0, kind.doubt, 3 * kind.doubt]), kind), (1, 0.5, 0.1), rtol=1e-6)


# photos


def test_photos_that_are_held_out(tmp_path):
    root = make_coco(tmp_path, "val", images=range(1, 15), annotations=[annotation(n, n, person(100, 50, 24)) for n in range(1, 15)])
    make_coco(tmp_path, "train")
    assert [photo.image_id for photo in photos_of_coco(root, ["val"], held_out=True)] == [7, 14]
    assert [photo.image_id for photo in photos_of_coco(root, ["val"])] == [n for n in range(1, 15) if n % 7]
    assert not is_held_out("train", 7)
    train = photos_of_coco(root, ["train"])
    assert [len(photo.poses) for photo in train] == [2, 1, 1, 0, 0]
    assert train[0].read().shape == (240, 320, 3)
    assert train[0].boxes.shape == (2, 4)
    folder = photos_of_folder(root / "train2017")
    assert {(len(photo.poses), photo.split) for photo in folder} == {(0, "")}


def test_nobody_to_learn_from_is_an_error(tmp_path):
    root = make_coco(tmp_path)
    annotations = annotations_path(root)
    annotations.write_text(annotations.read_text().replace('"num_keypoints": 17', '"num_keypoints": 0'))
    assert_input_error(lambda: photos_of_coco(root, ["train"]), "nobody is left")


def test_a_pack_is_made_of_cocos_people(tmp_path, monkeypatch, capsys):
    """MediaPipe is played by a teacher that sees a hand in the middle of every view."""
    root = make_coco(tmp_path / "coco")
    hand = np.stack([np.linspace(90, 160, 21), np.linspace(100, 150, 21)], 1)
    monkeypatch.setattr(points, "open_teacher", lambda kind: lambda view: (hand, 0.8))
    monkeypatch.setitem(KINDS, "hand", KINDS["hand"]._replace(unsure=10.0))  # it says the same of all views
    arguments = ["crops", "hand", str(tmp_path / "p.npz"), "--coco_dir", str(root), "--min_box", "8"]
    assert points.main(arguments) == 0
    assert "8 crops with a hand, 1 without" in capsys.readouterr().out
    pack = Pack(tmp_path / "p.npz", 21)
    assert pack.has_points.sum() == 8
    assert sorted(pack.left[:8].tolist()) == [False] * 4 + [True] * 4
    pose = person(100, 50, 24)
    sizes = {round(float(width)) for width in (pack.box[:8, 2] - pack.box[:8, 0]) / pack.scale[:8]}
    assert min(sizes) > 0.5 * np.hypot(*(pose[Joint.Nose, :2] - pose[Joint.Neck, :2]))
    assert points.main([*arguments[:-1], "5000"]) == 2
    assert "the teacher sees no hand" in capsys.readouterr().err


# scores


def test_scores_of_known_errors(tmp_path):
    made_pack(tmp_path / "p.npz", kind="face", n=3, empty=0)
    pack = Pack(tmp_path / "p.npz", 70)
    rows = np.arange(3)
    found = np.concatenate([pack.points, np.full((3, 70, 1), 0.9)], axis=2).astype(float)
    side = pack.box[0, 2] - pack.box[0, 0]
    found[0, :35, 0] += 0.2 * side  # half of one face is wrong
    found[1, :, 1] += 0.07 * side
    lines = list(score.accuracy(found, pack, rows, False))
    assert "PCK 10 % 0.833  5 % 0.500" in lines[0]
    np.testing.assert_allclose(score.distances(found, pack, rows)[0, [0, 69]], (0.2, 0), atol=1e-6)
    face = np.zeros((2, 70, 2))
    face[:, 0], face[:, 16] = (0, 0), (100, 100)
    face[0, 36], face[0, 45] = (20, 40), (80, 40)
    face[1, 36], face[1, 45] = (20, 40), (50, 40)  # in profile
    errors = score.normalised_errors(np.full((2, 70), 6.0), face)
    np.testing.assert_allclose(errors, (0.1, np.nan))


def test_points_that_are_missing_are_no_hits_and_those_invented_are_counted(tmp_path):
    made_pack(tmp_path / "p.npz", n=2, empty=0)
    pack = Pack(tmp_path / "p.npz", 21)
    found = np.concatenate([pack.points, np.full((2, 21, 1), 0.22)], axis=2).astype(float)
    found[0, 0] = np.nan
    found[1, :5, 0] += 50
    empty = np.full((4, 21, 3), 0.12)
    empty[:2, :, 2] = 0.27
    lines = dict(line.split(maxsplit=1) for line in list(score.thresholds(found, pack, np.arange(2), empty))[1:])
    assert lines["0.10"].split() == ["0.857", "0.119", "0.024", "21.0"]
    assert lines["0.20"].split()[-1] == "10.5"
    assert lines["0.25"].split() == ["0.000", "0.000", "1.000", "10.5"]
    assert lines["0.30"].split()[-1] == "0.0"


@needs_shared
@needs_train
def test_the_face_network_that_ships_is_as_good_as_said(capsys):
    assert score.main(["face", str(SHARED / "train" / "face_dev.npz"), "--precision", "f32"]) == 0
    first = capsys.readouterr().out.splitlines()[0].split()
    assert float(first[first.index("NME") + 1]) < 0.065
    assert float(first[first.index("median") + 1]) < 0.055
