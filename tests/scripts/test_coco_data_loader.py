"""coco_data_loader.py: samples of a made-up COCO and of the real one, bad input, and the script."""

import contextlib
import io
import pickle
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import pytest
from coco_files import annotation, annotations_path, change_annotations, make_coco, standing
from conftest import SHARED, assert_refused, needs_shared, run_script
from people import person
from pycocotools.coco import COCO

import coco_data_loader
from coco_data_loader import CocoDataLoader
from entity import COCO_JOINTS, Joint
from errors import InputError
from evaluation.coco import mask_path, to_poses
from keypoints.augment import mask_cells, warp_poses
from keypoints.draw import make_headings
from keypoints.image import normalise
from keypoints.paf import decode
from streams.results import write_image

INSIZE = 184
HEIGHT = len(make_headings(coco_data_loader.HEADINGS, 96))  # of the headings on a sheet


def rng(seed=5):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = make_coco(tmp_path_factory.mktemp("coco"))
    return make_coco(root, "val")


def assert_same(one, other):
    for first, second in zip(one, other, strict=True):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_sample(coco, mode):
    loader = CocoDataLoader(coco, INSIZE, mode)
    x, pafs, heatmaps, mask = loader.sample(0, rng())
    assert [array.shape for array in (x, pafs, heatmaps, mask)] == [(3, 184, 184), (38, 23, 23), (19, 23, 23), (23, 23)]
    assert [array.dtype for array in (x, pafs, heatmaps, mask)] == [np.float32] * 3 + [bool]
    assert -0.5 <= x.min() < x.max() <= 0.5
    image, pixels, _ = loader.view(0, rng())
    np.testing.assert_array_equal(x, normalise(image)[0])
    np.testing.assert_array_equal(mask, mask_cells(pixels))


def test_pictures_without_anybody_to_train_on_are_left_out(coco):
    for mode in ("train", "val"):
        assert [picture.image_id for picture in CocoDataLoader(coco, INSIZE, mode).pictures] == [1, 2, 3]
    assert [picture.image_id for picture in CocoDataLoader(coco, INSIZE, "eval").pictures] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({}, True),
        ({"num_keypoints": 5}, True),
        ({"num_keypoints": 4}, False),
        ({"area": 1024}, True),
        ({"area": 1023.9}, False),
        ({"iscrowd": 1}, False),
    ],
)
def test_whom_to_train_on(tmp_path, changes, is_kept):
    """Five labelled joints and 32 x 32 pixels at least, and no crowd."""
    pose, box = standing(100, 50, 24)
    make_coco(tmp_path, "train", [1, 2], [annotation(1, 1, pose, box), annotation(2, 2, pose, box, **changes)])
    assert len(CocoDataLoader(tmp_path, INSIZE, "train")) == 1 + is_kept


def test_the_neck_is_between_the_shoulders():
    """Both labelled: their midpoint; else there is none. Points with v = 0 are nowhere."""
    pose = person(100, 50, 24)
    keypoints = np.stack([pose[list(COCO_JOINTS)]] * 4)
    right, left = (COCO_JOINTS.index(joint) for joint in (Joint.RightShoulder, Joint.LeftShoulder))
    keypoints[1, right, 2] = 0
    keypoints[2, left, 2] = 0
    keypoints[3, left, 2] = 1
    poses = to_poses(keypoints.reshape(4, 51))
    neck = pose[[Joint.RightShoulder, Joint.LeftShoulder], :2].mean(0)
    np.testing.assert_allclose(poses[:, Joint.Neck], [(*neck, 2), (0, 0, 0), (0, 0, 0), (*neck, 1)])
    assert not poses[1, Joint.RightShoulder].any()
    assert not poses[2, Joint.LeftShoulder].any()
    others = [joint for joint in Joint if joint not in (Joint.Neck, Joint.RightShoulder, Joint.LeftShoulder)]
    np.testing.assert_array_equal(poses[:, others], np.stack([pose[others]] * 4))
    assert to_poses([]).shape == (0, 18, 3)


def test_labels_lie_on_the_people(coco):
    """What the labels of a validation sample decode to, brought back into the picture, is what the annotations say."""
    loader = CocoDataLoader(coco, 368, "val")
    _, pafs, heatmaps, _ = loader.sample(0)
    people = decode(pafs, heatmaps).poses
    scale = 320 / 368  # 320 x 240 becomes 368 x 276, with 46 rows above
    people[..., :2] = (people[..., :2] - (0, 46) + 0.5) * scale - 0.5
    expected = loader.pictures[0].poses
    assert people.shape == expected.shape == (2, 18, 3)
    for pose in expected:
        assert min(np.hypot(*(found - pose)[:, :2].T).max() for found in people) < 0.6


def test_people_who_are_ignored_keep_their_labels(tmp_path):
    """Their region does not count, but beside it their joints are no background."""
    pose = person(100, 50, 24)
    few = np.where(np.isin(np.arange(18), (8, 9, 10))[:, None], person(240, 50, 24), 0)
    annotations = [annotation(1, 1, pose, standing(100, 50, 24)[1]), annotation(2, 1, few, (220, 100, 40, 110))]
    make_coco(tmp_path, "val", [1], annotations)
    loader = CocoDataLoader(tmp_path, 320, "val")
    _, _, heatmaps, mask = loader.sample(0)
    x, y = np.rint((few[9, :2] + (0, 40) - 3.5) / 8).astype(int)
    assert heatmaps[9, y, x] > 0.6
    assert mask[y, x]
    assert not mask[:, :25].any()


def test_the_same_state_gives_the_same_sample_in_every_process(coco):
    loader = CocoDataLoader(coco, INSIZE, "train")
    samples = [loader.sample(index, rng(index)) for index in range(3)]
    with ProcessPoolExecutor(2) as pool:
        for sample, other in zip(samples, pool.map(loader.sample, range(3), map(rng, range(3))), strict=True):
            assert_same(sample, other)
    assert_same(samples[1], pickle.loads(pickle.dumps(loader)).sample(1, rng(1)))
    assert (samples[1][0] != loader.sample(1, rng(2))[0]).any()


def test_indexing_draws_from_the_loaders_own_generator(coco):
    one, other = (CocoDataLoader(coco, INSIZE, "train", rng(3)) for _ in range(2))
    assert_same(one[1], other.sample(1, rng(3)))
    assert (one[1][0] != other[1][0]).any()
    assert len(one[:2]) == 2
    assert len(one[-1]) == 4
    with pytest.raises(IndexError):
        one[3]


def test_validation_samples_are_not_random(coco):
    loader = CocoDataLoader(coco, INSIZE, "val")
    assert_same(loader[1], loader.sample(1))
    assert_same(loader[1], loader.sample(1, rng(9)))


def test_eval_gives_pictures_and_annotations(coco):
    loader = CocoDataLoader(coco, INSIZE, "eval")
    image, annotations, number = loader[1]
    assert (image.shape, image.dtype, number) == ((240, 320, 3), np.uint8, 2)
    assert [entry["id"] for entry in annotations] == [13, 14]
    assert loader[4][1] == []


def test_an_open_coco_serves_as_well(coco):
    with contextlib.redirect_stdout(io.StringIO()):
        opened = COCO(str(annotations_path(coco)))
    assert_same(CocoDataLoader(opened, INSIZE, "train", coco_dir=coco).sample(1, rng()), CocoDataLoader(coco, INSIZE, "train").sample(1, rng()))


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_mask_file_is_what_would_be_made(tmp_path, mode):
    """Read or made, bit by bit the same; and what lies there is what is read."""
    root = make_coco(tmp_path, mode)
    made = CocoDataLoader(root, 368, mode)
    expected = [made.sample(index, rng()) for index in range(3)]
    assert [sample[3].any() for sample in expected] == [False, True, True]
    for picture in made.pictures[1:]:
        path = mask_path(root, mode, picture.image_id)
        path.parent.mkdir(exist_ok=True)
        write_image(path, made.make_mask(picture).astype(np.uint8) * 255)
    read = CocoDataLoader(root, 368, mode)
    assert not any(picture.annotations for picture in read.pictures)
    for index in range(3):
        assert_same(read.sample(index, rng()), expected[index])
    write_image(mask_path(root, mode, 2), np.full((240, 320), 255, np.uint8))
    assert read.sample(1, rng())[3].sum() > expected[1][3].sum()


def test_pictures_are_taken_as_they_are_stored(tmp_path):
    """COCO's annotators did not see the turn that EXIF asks for."""
    root = make_coco(tmp_path)
    path = root / "train2017" / "000000000001.jpg"
    data = path.read_bytes()
    turn = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(turn) + 2).to_bytes(2, "big") + turn + data[2:])
    assert cv2.imread(str(path)).shape == (320, 240, 3)
    loader = CocoDataLoader(root, INSIZE, "train")
    np.testing.assert_array_equal(loader.read(loader.pictures[0]), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@needs_shared
@pytest.mark.parametrize("mode", ["train", "val"])
def test_real_people(mode):
    """Of the real COCO's first pictures: finite labels, and a joint's own cell is high wherever it lies in the view."""
    loader = CocoDataLoader(SHARED / "coco", 368, mode)
    assert len(loader) == {"train": 1894, "val": 147}[mode]
    checked = 0
    for index in range(0, 40, 2):
        x, pafs, heatmaps, _ = loader.sample(index, rng(index))
        _, _, poses = loader.view(index, rng(index))
        assert all(np.isfinite(array).all() for array in (x, pafs, heatmaps))
        assert np.hypot(pafs[::2], pafs[1::2]).max() <= 1 + 1e-6
        assert 0 <= heatmaps.min() <= heatmaps.max() <= 1
        for joint, (px, py, v) in ((joint, pose[joint]) for pose in poses for joint in Joint):
            if v > 0 and 0 <= px < 368 and 0 <= py < 368:
                assert heatmaps[joint, int((py + 0.5) // 8), int((px + 0.5) // 8)] >= np.exp(-2 * 4**2 / (2 * 7**2)) - 1e-6
                checked += 1
    assert checked > 100


def set_field(part, field, value):
    def change(dataset):
        dataset[part][0][field] = value

    return change


def drop(part, field):
    def change(dataset):
        del dataset[part][0][field]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dataset: {"images": []}, 'a list "annotations"'),
        (lambda dataset: [1], 'a list "images"'),
        (lambda dataset: dataset["annotations"].clear(), "no picture has anybody to train on"),
        (drop("annotations", "keypoints"), 'entry 0 of "annotations" has no valid "keypoints"'),
        (drop("images", "file_name"), 'entry 0 of "images" has no valid "file_name"'),
        (set_field("annotations", "keypoints", [1, 2, 3]), "expected 51 numbers as keypoints"),
        (set_field("annotations", "bbox", ["a", 1, 2, 3]), "expected 4 numbers as bbox"),
        (set_field("annotations", "bbox", [float("nan"), 1, 2, 3]), "expected 4 numbers as bbox"),
        (set_field("annotations", "image_id", 99), "picture 99, which is not listed"),
        (set_field("images", "file_name", "none.jpg"), "the first is none.jpg"),
    ],
)
def test_bad_annotations(tmp_path, change, words):
    root = make_coco(tmp_path)
    change_annotations(root, change)
    with pytest.raises(InputError, match=words):
        CocoDataLoader(root, INSIZE, "train")


@pytest.mark.parametrize("text", [b"", b"{", b"not json", b"\xff\xfe", b"[" * 100_000])
def test_broken_json(tmp_path, text):
    root = make_coco(tmp_path)
    annotations_path(root).write_bytes(text)
    with pytest.raises(InputError, match=r"expected JSON.*getData\.sh"):
        CocoDataLoader(root, INSIZE, "train")


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: annotations_path(root).unlink(), r"annotations/person_keypoints_train2017\.json is missing"),
        (lambda root: (root / "train2017").rename(root / "train"), "the folder train2017 is missing"),
        (lambda root: empty(root / "train2017"), "the folder train2017 is empty"),
        (lambda root: (root / "train2017" / "000000000002.jpg").unlink(), "the first is 000000000002.jpg"),
        (lambda root: [(root / "train2017" / f"{n:012d}.jpg").unlink() for n in (2, 3)], "2 of 3 pictures .* the first is 000000000002.jpg"),
    ],
)
def test_incomplete_coco(tmp_path, spoil, words):
    root = make_coco(tmp_path)
    spoil(root)
    with pytest.raises(InputError, match=words) as raised:
        CocoDataLoader(root, INSIZE, "train")
    assert "getData.sh" in str(raised.value)


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "damaged"),
        (lambda path: path.write_bytes(b"no picture"), "expected a picture"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8)), "expected 320x240 pixels, as the annotations say, got 20x10"),
    ],
)
def test_bad_pictures_are_named_when_read(tmp_path, spoil, words):
    root = make_coco(tmp_path)
    loader = CocoDataLoader(root, INSIZE, "train")
    spoil(root / "train2017" / "000000000002.jpg")
    loader.sample(0, rng())
    with pytest.raises(InputError, match=f"000000000002.jpg: .*{words}"):
        loader.sample(1, rng())


def test_a_bad_mask_is_named(tmp_path):
    root = make_coco(tmp_path)
    path = mask_path(root, "train", 2)
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"000000000002.png.*gen_ignore_mask\.py"):
        CocoDataLoader(root, INSIZE, "train").sample(1, rng())


def test_the_script_writes_a_sheet(coco, tmp_path):
    sheets = []
    for name, seed in (("one.png", 1), ("same.png", 1), ("other.png", 2)):
        out = tmp_path / name
        process = run_script("coco_data_loader.py", "--coco_dir", coco, "--seed", seed, "--number", 2, "--insize", 96, "--out", out)
        assert process.returncode == 0, process.stderr
        assert "2 of 3 samples" in process.stdout
        sheets.append(out.read_bytes())
        sheet = cv2.imread(str(out))
        headings = len(sheet) - 2 * 96
        assert 8 < headings < 40
        assert sheet.shape[1:] == (4 * 96, 3)
        assert all((sheet[:headings, 96 * column : 96 * (column + 1)] < 128).any() for column in range(4))
    assert sheets[0] == sheets[1]
    assert sheets[0] != sheets[2]


def test_without_a_screen_the_sheet_is_a_file(coco, tmp_path):
    process = run_script("coco_data_loader.py", "--coco_dir", coco, "--split", "val", "--insize", 96, cwd=tmp_path, env={"DISPLAY": ""})
    assert process.returncode == 0, process.stderr
    assert cv2.imread(str(tmp_path / "samples.png")).shape == (HEIGHT + 3 * 96, 4 * 96, 3)


def test_a_window_shows_sheets_until_q(coco, monkeypatch):
    """A key goes on, q ends."""
    shown, keys = [], iter([-1, 32, ord("q"), 32])
    monkeypatch.setattr(coco_data_loader, "has_screen", lambda: True)
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1)
    assert coco_data_loader.main(["--coco_dir", str(coco), "--insize", "96", "--number", "1"]) == 0
    assert [picture.shape for picture in shown] == [(HEIGHT + 96, 4 * 96, 3)] * 2


def test_the_sheet_marks_the_people(coco):
    """Where the heatmaps and PAFs are, the picture is coloured; where nobody is, it is as dark as elsewhere; what does not count is red."""
    loader = CocoDataLoader(coco, 320, "val")
    image, mask, poses = loader.view(1)
    views = np.split(coco_data_loader.draw_sample(image, mask, poses), 4, axis=1)
    moved = warp_poses(loader.pictures[1].poses, np.array([[1.0, 0, 0], [0, 1, 40]]))
    x, y = np.rint(moved[0, Joint.RightKnee, :2]).astype(int)
    middle = np.rint(moved[0, [Joint.RightKnee, Joint.RightFoot], :2].mean(0)).astype(int)
    for view, (px, py) in ((views[0], (x, y)), (views[1], (x, y)), (views[2], middle)):
        assert np.ptp(view[py, px].astype(int)) > 80
    assert (views[1][250:, 300:] <= image[250:, 300:] // 2 + 1).all()
    blue, green, red = views[3][100, 235].astype(int)
    assert red > max(blue, green) + 20
    np.testing.assert_array_equal(views[3][:, :180], image[:, :180])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--coco_dir", "/nowhere"], "COCO is not here"),
        (["--split", "test"], "--split"),
        (["--insize", "100"], "multiple of 8"),
        (["--number", "0"], "--number"),
        (["--seed", "-1"], "--seed"),
        (["--out", "sheet.txt"], "expected a picture's name"),
        (["--out", __file__ + "/sheet.png"], "no folder"),
    ],
)
def test_bad_options(options, words):
    assert_refused(run_script("coco_data_loader.py", *options), words)
