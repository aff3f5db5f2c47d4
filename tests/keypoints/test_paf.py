"""keypoints/paf.py: the original's answers, each stage against plain Python, and what must hold for any maps."""

import numpy as np
import pytest
import scipy.ndimage
from conftest import golden
from people import person, visible

from entity import EAR_LIMBS, LIMB_RATIOS, LIMBS, N_JOINTS, N_LIMBS, Decoding, Joint
from keypoints import paf
from keypoints.candidates import find_candidates
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.paf import Grouping, assemble, decode, find_connections
from keypoints.peaks import find_peaks, smooth

GOLDEN = ("decode_000000040083.npz", "decode_000000197388.npz")


def all_connections(*arguments, **options):
    return [find_connections(limb, candidates) for limb, candidates in enumerate(find_candidates(*arguments, **options))]


def group(connections, peaks):
    """The persons of the connections of all limbs."""
    grouping = Grouping(np.asarray(peaks, float))
    for limb, of_limb in enumerate(connections):
        grouping.add(limb, of_limb)
    return grouping.persons


# The original


def enlarge_align_corners(maps, width, height):
    """Bilinear, corner cells on corner pixels: the original's enlargement. maps (C, h, w) -> (C, height, width) float32."""

    def matrix(n_in, n_out):
        position = np.linspace(0, n_in - 1, n_out)
        return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(n_in)))

    return (matrix(maps.shape[1], height) @ maps.astype(np.float64) @ matrix(maps.shape[2], width).T).astype(np.float32)


def original_decode(arrays):
    """The network's output in a golden file, decoded on maps enlarged the original's way: enlarged PAFs, peaks, size of the maps."""
    width, height = arrays["image_size"]
    map_wh = [-(-round(side * 320 / min(width, height)) // 8) * 8 for side in (width, height)]
    heatmaps = enlarge_align_corners(arrays["heatmaps"], *map_wh)
    return enlarge_align_corners(arrays["pafs"], *map_wh), find_peaks(smooth(heatmaps[:N_JOINTS], 1, 2.5), 0.05), np.array(map_wh)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_people(name):
    """The same people with the same joints, in the same order; the original's score is the sum over the joints, ours their mean."""
    arrays = golden(name)
    pafs, peaks, map_wh = original_decode(arrays)
    people = assemble(pafs, peaks, nearest=True)
    assert people.poses.shape == arrays["poses"].shape
    np.testing.assert_array_equal(people.poses[..., 2], arrays["poses"][..., 2])
    points = people.poses[..., :2] * (arrays["image_size"] / map_wh)
    np.testing.assert_allclose(points, arrays["poses"][..., :2], rtol=0, atol=1e-3)
    counts = (people.poses[..., 2] > 0).sum(1)
    np.testing.assert_allclose(people.scores * counts, arrays["scores"], rtol=1e-4)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_people_were_not_merged(name, monkeypatch):
    """As many persons are left as were started: the original's fault in merging (facts.md, 3) did not touch these cases."""
    started = []

    class Counted(paf.Person):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self)

    monkeypatch.setattr(paf, "Person", Counted)
    pafs, peaks, _ = original_decode(golden(name))
    persons = group(all_connections(pafs, peaks, Decoding(), nearest=True), peaks)
    assert len(started) == len(persons) > 0


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_people_in_half_pixel_geometry(name):
    """decode() itself finds the original's people and joints, each within half a cell of where the original found it in the maps."""
    arrays = golden(name)
    people = decode(arrays["pafs"], arrays["heatmaps"], cell=1)
    _, _, map_wh = original_decode(arrays)
    size_wh = np.array(arrays["pafs"].shape[:0:-1])
    cells = arrays["poses"][..., :2] * (map_wh / arrays["image_size"]) * (size_wh - 1) / (map_wh - 1)
    np.testing.assert_array_equal(people.poses[..., 2], arrays["poses"][..., 2])
    distances = np.abs(people.poses[..., :2] - cells)[arrays["poses"][..., 2] > 0]
    assert distances.max() < 0.5
    assert np.median(distances) < 0.1


# Connections


def one_by_one(scores):
    """The best pair of all, the first one in reading order where several are equal, until none is left."""
    scores, pairs = scores.copy(), []
    while scores.size and scores.max() > -np.inf:
        i, j = np.unravel_index(scores.argmax(), scores.shape)
        pairs.append((int(i), int(j)))
        scores[i], scores[:, j] = -np.inf, -np.inf
    return pairs


def connect(scores):
    """The pairs (row, column) that find_connections makes of scores (A, B), -inf where no pair may be."""
    rows, columns = np.nonzero(np.isfinite(scores))
    order = np.argsort(-scores[rows, columns], kind="stable")
    candidates = [(int(i), len(scores) + int(j), scores[i, j], 1.0) for i, j in zip(rows[order], columns[order], strict=True)]
    return [(i, j - len(scores)) for i, j, _ in find_connections(0, candidates)]


@pytest.mark.parametrize("levels", [None, 2, 5])
@pytest.mark.parametrize("missing", [0, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (4, 9), (12, 12)])
def test_connections_are_what_one_by_one_takes(shape, missing, levels):
    """Random scores, some pairs impossible, some equal: the same pairs, best first."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = rng.random(shape)
        if levels:
            scores = np.ceil(scores * levels) / levels
        scores[rng.random(shape) < missing] = -np.inf
        assert connect(scores) == one_by_one(scores)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_no_connections_without_pairs(shape):
    assert connect(np.full(shape, -np.inf)) == []


def two_peaks(limb, from_xy, to_xy):
    """peaks (2, 4) at the ends of a limb, ordered by joint."""
    a, b = LIMBS[limb]
    return np.array(sorted([(a, *from_xy, 0.5), (b, *to_xy, 0.6)]), np.float32)


def constant_pafs(limb, vector, size=(12, 20)):
    pafs = np.zeros((2 * N_LIMBS, *size), np.float32)
    pafs[2 * limb], pafs[2 * limb + 1] = vector[0], vector[1]
    return pafs


def one_score(pafs, peaks, decoding=Decoding(), nearest=False):
    """The score of the only connection, or None."""
    scores = [score for limb in all_connections(pafs, peaks, decoding, nearest) for _, _, score in limb]
    assert len(scores) <= 1
    return scores[0] if scores else None


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("limb", range(N_LIMBS))
def test_each_limb_reads_its_own_channels(limb, nearest):
    """Limb i, from its first joint to its second, in channels 2 i and 2 i + 1; the score is the PAF along the limb."""
    peaks = two_peaks(limb, (3, 2), (11, 8))  # a vector of (8, 6), length 10
    pafs = constant_pafs(limb, (0.5, 0.25))
    connections = all_connections(pafs, peaks, Decoding(), nearest)
    assert [len(found) for found in connections] == [int(other == limb) for other in range(N_LIMBS)]
    i, j, score = connections[limb][0]
    assert (peaks[i, 0], peaks[j, 0]) == LIMBS[limb]
    assert score == pytest.approx(0.5 * 0.8 + 0.25 * 0.6, abs=1e-6)
    assert one_score(-pafs, peaks, nearest=nearest) is None  # a field that points back connects nothing


def test_score_is_the_mean_of_ten_samples():
    """The field's line integral as a sum (eq. 11): in the middles of ten parts; with whole pixels, as the original, from end to end."""
    pafs = constant_pafs(0, (0, 0))
    pafs[0] = np.random.default_rng(0).uniform(0.1, 1, pafs.shape[1:])
    peaks = two_peaks(0, (2.3, 4.6), (15.8, 4.6))
    x = 2.3 + 13.5 * (np.arange(10) + 0.5) / 10
    samples = scipy.ndimage.map_coordinates(pafs[0].astype(np.float64), [np.full(10, 4.6), x], order=1)
    assert one_score(pafs, peaks) == pytest.approx(samples.mean(), abs=1e-6)
    assert one_score(pafs, peaks, nearest=True) == pytest.approx(pafs[0, 5, np.rint(np.linspace(2.3, 15.8, 10)).astype(int)].mean(), abs=1e-6)
    x = 2.3 + 13.5 * (np.arange(12) + 0.5) / 12
    samples = scipy.ndimage.map_coordinates(pafs[0].astype(np.float64), [np.full(12, 4.6), x], order=1)
    assert one_score(pafs, peaks, Decoding(n_integ_points=12)) == pytest.approx(samples.mean(), abs=1e-6)


def test_inner_products_must_exceed_the_threshold():
    peaks = two_peaks(6, (2, 5), (11, 5))
    for height, score in ((0.049, None), (0.051, 0.051)):
        found = one_score(constant_pafs(6, (height, 0)), peaks)
        assert found is None if score is None else found == pytest.approx(score, abs=1e-6)
    assert one_score(constant_pafs(6, (0.25, 0)), peaks, Decoding(inner_product_thresh=0.25)) is None
    assert one_score(constant_pafs(6, (0.25, 0)), peaks, Decoding(inner_product_thresh=0.249)) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize(
    ("n_zeros", "threshold", "connected"), [(1, 8, True), (2, 8, False), (2, 7, True), (3, 7, False), (0, 9, True), (1, 9, False)]
)
def test_more_than_so_many_samples_must_support_a_limb(n_zeros, threshold, connected):
    """The limb's ten samples lie on ten pixels; n_zeros of them are empty."""
    pafs = constant_pafs(6, (1, 0))
    pafs[12, :, 4 : 4 + n_zeros] = 0
    score = one_score(pafs, two_peaks(6, (1.5, 5), (11.5, 5)), Decoding(n_integ_points_thresh=threshold))
    assert score == (pytest.approx(1 - n_zeros / 10, abs=1e-6) if connected else None)


def test_a_connection_has_a_score_above_zero():
    """Nine samples support it, and the tenth takes everything away."""
    pafs = constant_pafs(6, (0.1, 0))
    pafs[12, :, 2] = -0.8
    peaks = two_peaks(6, (1.5, 5), (11.5, 5))
    assert one_score(pafs, peaks) == pytest.approx(0.01, abs=1e-6)
    pafs[12, :, 2] = -1
    assert one_score(pafs, peaks) is None


@pytest.mark.parametrize(
    ("ratio", "penalty", "score"),
    [(1, 1, 1), (0.5, 1, 10 / 16), (0.8, 1, 1), (0.2, 1, 4 / 16), (0.5, 1.2, 10 / 16 - 0.2), (0.5, 0.5, 1), (0.1, 1.2, None)],
)
def test_long_limbs_are_punished(ratio, penalty, score):
    """A limb of 16 pixels in maps 20 wide, in a field of 1: score = 1 + min(ratio 20 / 16 - penalty, 0)."""
    decoding = Decoding(limb_length_ratio=ratio, length_penalty_value=penalty)
    assert one_score(constant_pafs(0, (1, 0)), two_peaks(0, (2, 5), (18, 5)), decoding) == (None if score is None else pytest.approx(score, abs=1e-6))


def test_the_length_penalty_knows_the_width_not_the_height():
    """A limb longer than the maps are wide is punished by default."""
    score = one_score(constant_pafs(0, (0, 1), size=(40, 10)), two_peaks(0, (5, 5), (5, 30)))
    assert score == pytest.approx(10 / 25, abs=1e-6)


def test_peaks_at_one_place_are_not_connected():
    assert one_score(constant_pafs(0, (1, 0)), two_peaks(0, (5, 5), (5, 5))) is None


def test_each_peak_is_used_once_per_limb():
    """Two necks, three right waists: the better pairs win."""
    peaks = np.array([(1, 2, 2, 1), (1, 2, 8, 1), (8, 12, 2, 1), (8, 12, 8, 1), (8, 14, 5, 1)], np.float32)
    connections = all_connections(constant_pafs(0, (1, 0)), peaks, Decoding())
    assert sorted((i, j) for i, j, _ in connections[0]) == [(0, 2), (1, 3)]


# Grouping


def grouped(peaks, **limbs):
    """group() with peaks [(joint, score)] and connections given by limb: limb_6=[(i, j, score)]."""
    peaks = np.array([(joint, 0, 0, score) for joint, score in peaks], np.float32).reshape(-1, 4)
    return group([limbs.get(f"limb_{limb}", []) for limb in range(N_LIMBS)], peaks)


def test_group_starts_and_extends():
    """Neck and waist start a person, the knee extends it; scores of peaks and of connections add up, each once."""
    (one,) = grouped([(1, 0.5), (8, 0.25), (9, 0.125)], limb_0=[(0, 1, 1.0)], limb_1=[(1, 2, 2.0)])
    assert one.joints == {1: 0, 8: 1, 9: 2}
    assert one.count == 3
    assert one.score == 0.5 + 0.25 + 0.125 + 1.0 + 2.0


def test_group_extends_against_the_limbs_direction():
    """The connection's second end belongs to a person, its first does not."""
    (one,) = grouped([(0, 0.5), (1, 0.25), (2, 0.125), (16, 1.0), (14, 2.0)], limb_6=[(1, 2, 1.0)], limb_9=[(2, 3, 1.0)], limb_17=[(4, 3, 4.0)])
    assert one.joints == {1: 1, 2: 2, 16: 3, 14: 4}
    assert one.score == 0.25 + 0.125 + 1.0 + 2.0 + 1.0 + 1.0 + 4.0


def test_group_keeps_persons_apart():
    two = grouped([(1, 1), (1, 1), (8, 1), (8, 1)], limb_0=[(0, 3, 1.0), (1, 2, 0.5)])
    assert [person.joints for person in two] == [{1: 0, 8: 3}, {1: 1, 8: 2}]
    assert [person.score for person in two] == [3.0, 2.5]


MERGING = {
    "peaks": [(0, 0.5), (1, 0.25), (2, 0.125), (14, 1.0), (16, 2.0)],
    "limb_6": [(1, 2, 4.0)],  # neck - shoulder
    "limb_9": [(2, 4, 8.0)],  # shoulder - ear
    "limb_15": [(0, 3, 16.0)],  # nose - eye: another person
    "limb_17": [(3, 4, 32.0)],  # eye - ear: the same one, after all
}


def test_group_merges():
    """Eye and ear join head and trunk. The count is the number of joints: the original adds the connection's score to it (facts.md, fault 3)."""
    (one,) = grouped(**MERGING)
    assert one.joints == {0: 0, 1: 1, 2: 2, 14: 3, 16: 4}
    assert one.count == 5
    assert one.score == sum(score for _, score in MERGING["peaks"]) + 4 + 8 + 16 + 32


def test_group_goes_on_with_a_merged_person():
    """All its peaks belong to it: a later limb extends it from any of them, and one inside it changes nothing.

    (No real limbs go on like this, from the ear and from nose to shoulder; group() does not know.)
    """
    (one,) = grouped(**{**MERGING, "peaks": [*MERGING["peaks"], (17, 0.0625)], "limb_17": [(3, 4, 32.0), (0, 2, 128.0)], "limb_18": [(4, 5, 64.0)]})
    assert one.joints == {0: 0, 1: 1, 2: 2, 14: 3, 16: 4, 17: 5}
    assert one.score == sum(score for _, score in MERGING["peaks"]) + 4 + 8 + 16 + 32 + 0.0625 + 64


def test_group_does_not_merge_persons_that_share_a_joint():
    """Both have a nose, so the connection of eye and ear is dropped, with its score."""
    two = grouped([(0, 1), (0, 1), (1, 1), (2, 1), (14, 1), (16, 1)], limb_6=[(2, 3, 1.0)], limb_9=[(3, 5, 1.0)], limb_14=[(2, 0, 1.0)],
                  limb_15=[(1, 4, 1.0)], limb_17=[(4, 5, 9.0)])  # fmt: skip
    assert [person.joints for person in two] == [{1: 2, 2: 3, 16: 5, 0: 0}, {0: 1, 14: 4}]
    assert [person.score for person in two] == [7.0, 3.0]


def test_group_keeps_the_joint_a_person_has():
    """A second waist for a person that has one is left alone."""
    (one,) = grouped([(1, 1), (8, 1), (8, 1), (9, 1)], limb_0=[(0, 1, 1.0)], limb_1=[(1, 3, 1.0), (2, 3, 0.5)])
    assert one.joints == {1: 0, 8: 1, 9: 3}
    assert one.score == 5.0


@pytest.mark.parametrize("limb", range(N_LIMBS))
def test_ear_limbs_never_start_a_person(limb):
    a, b = LIMBS[limb]
    persons = grouped([(a, 1), (b, 1)], **{f"limb_{limb}": [(0, 1, 1.0)]})
    assert [person.joints for person in persons] == ([] if limb in EAR_LIMBS else [{a: 0, b: 1}])


def test_group_of_nothing():
    assert grouped(np.zeros((0, 2))) == []


# Whole maps


def maps_of(poses, size_wh):
    xs, ys = map(cell_centers, size_wh)
    return make_pafs(poses, xs, ys), make_heatmaps(poses, xs, ys)


def assert_nobody(people):
    assert len(people) == 0
    assert [array.shape for array in people] == [(0, 18, 3), (0,), (0, 18)]
    assert [array.dtype for array in people] == [np.float64] * 3


@pytest.mark.parametrize("value", [0.0, -0.1, 0.04])
@pytest.mark.parametrize("size", [(46, 62), (1, 1), (1, 2), (2, 1), (2, 2)])
def test_decode_empty_maps(size, value):
    """Nothing above the threshold, nobody there; and no warning."""
    assert_nobody(decode(np.zeros((38, *size), np.float32), np.full((19, *size), value, np.float32)))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1)])
def test_decode_tiny_maps(size):
    """Every joint has a peak, and all peaks lie at one place or two: no limbs."""
    heatmaps = np.zeros((19, *size), np.float32)
    heatmaps[:, 0, 0] = 1
    assert_nobody(decode(np.ones((38, *size), np.float32), heatmaps))


def test_decode_peaks_without_pafs():
    """Joints that no field connects are nobody."""
    _, heatmaps = maps_of(person(160, 60, 20)[None], (320, 240))
    assert_nobody(decode(np.zeros((38, 30, 40), np.float32), heatmaps))
    assert_nobody(assemble(np.zeros((38, 30, 40), np.float32), np.zeros((0, 4), np.float32)))


def test_decode_does_not_change_its_arguments():
    pafs, heatmaps = maps_of(person(160, 60, 20)[None], (320, 240))
    kept = pafs.copy(), heatmaps.copy()
    pafs.setflags(write=False)
    heatmaps.setflags(write=False)
    assert len(decode(pafs, heatmaps)) == 1
    np.testing.assert_array_equal(pafs, kept[0])
    np.testing.assert_array_equal(heatmaps, kept[1])


def test_assemble_does_not_change_its_arguments():
    pafs, _ = maps_of(person(160, 60, 20)[None], (320, 240))
    peaks = np.array([(joint, (x - 3.5) / 8, (y - 3.5) / 8, 1) for joint, (x, y, _) in enumerate(person(160, 60, 20))], np.float32)
    kept = pafs.copy(), peaks.copy()
    assert len(assemble(pafs, peaks)) == 1
    np.testing.assert_array_equal(pafs, kept[0])
    np.testing.assert_array_equal(peaks, kept[1])


def test_decode_shapes_and_missing_joints():
    """A missing joint is a row of zeros with confidence 0; a found one has v = 2 and the height of its peak."""
    poses = np.stack([person(100, 60, 18), person(240, 60, 18)])
    poses[1, [Joint.RightHand, Joint.LeftFoot, Joint.LeftEar]] = 0
    people = decode(*maps_of(poses, (360, 240)))
    assert [array.shape for array in people] == [(2, 18, 3), (2,), (2, 18)]
    missing = people.poses[..., 2] == 0
    assert sorted(map(tuple, np.argwhere(missing)[:, 1:].tolist())) == sorted([(Joint.RightHand,), (Joint.LeftFoot,), (Joint.LeftEar,)])
    assert (people.poses[missing] == 0).all()
    assert (people.confidences[missing] == 0).all()
    assert (people.poses[~missing, 2] == 2).all()
    assert (people.confidences[~missing] > 0.4).all()
    assert (people.confidences[~missing] <= 1).all()


@pytest.mark.parametrize("cell", [1, 4, 8, 10.5])
def test_decode_cell(cell):
    """Cell g stands at cell (g + 0.5) - 0.5, whatever its size; v and missing joints stay as they are."""
    pose = person(160, 60, 20)
    pose[Joint.LeftFoot] = 0
    maps = maps_of(pose[None], (320, 240))
    in_cells = decode(*maps, cell=1)
    scaled = decode(*maps, cell=cell)
    there = in_cells.poses[..., 2] > 0
    np.testing.assert_allclose(scaled.poses[there, :2], (in_cells.poses[there, :2] + 0.5) * cell - 0.5, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(scaled.poses[~there], 0)
    np.testing.assert_array_equal(scaled.poses[..., 2], in_cells.poses[..., 2])


def arm(n_joints):
    """Shoulder, elbow, hand: the first n_joints of them."""
    pose = person(160, 60, 30)
    pose[[joint for joint in Joint if joint not in (Joint.RightShoulder, Joint.RightElbow, Joint.RightHand)[:n_joints]]] = 0
    return maps_of(pose[None], (320, 240))


@pytest.mark.parametrize(("n_joints", "least", "found"), [(2, 3, 0), (3, 3, 1), (3, 4, 0), (2, 2, 1)])
def test_a_person_has_enough_joints(n_joints, least, found):
    assert len(decode(*arm(n_joints), Decoding(n_subset_limbs_thresh=least))) == found


def test_a_person_has_enough_score():
    """A score at the threshold is enough; it is counted per joint."""
    maps = arm(3)
    score = decode(*maps).scores[0]
    assert len(decode(*maps, Decoding(subset_score_thresh=score))) == 1
    assert_nobody(decode(*maps, Decoding(subset_score_thresh=np.nextafter(score, 9))))


def test_score_is_peaks_and_connections_per_joint():
    people = decode(*arm(3))
    pafs, heatmaps = arm(3)
    peaks = paf.locate_peaks(heatmaps[:N_JOINTS], 0.05)
    links = [score for limb in all_connections(pafs, peaks, Decoding()) for _, _, score in limb]
    assert len(links) == 2
    assert people.scores[0] == pytest.approx((people.confidences[0].sum() + sum(links)) / 3, rel=1e-6)


def test_peaks_must_exceed_the_heatmap_threshold():
    """A hand whose peak is lower than the others' goes first."""
    pafs, heatmaps = arm(3)
    heatmaps[Joint.RightHand] *= 0.5
    height = decode(pafs, heatmaps).confidences[0, Joint.RightHand]
    people = decode(pafs, heatmaps, Decoding(heatmap_peak_thresh=height, n_subset_limbs_thresh=2))
    assert np.flatnonzero(people.poses[0, :, 2]).tolist() == [Joint.RightShoulder, Joint.RightElbow]
    people = decode(pafs, heatmaps, Decoding(heatmap_peak_thresh=height - 1e-4))
    assert np.flatnonzero(people.poses[0, :, 2]).tolist() == [Joint.RightShoulder, Joint.RightElbow, Joint.RightHand]


# Mirrors

MIRRORED_JOINTS = [Joint[joint.name.replace("left", "?").replace("right", "left").replace("?", "right")] for joint in Joint]
MIRRORED_LIMBS = [LIMBS.index((MIRRORED_JOINTS[a], MIRRORED_JOINTS[b])) for a, b in LIMBS]


# Proportions

STRETCH = Decoding(max_stretch=3)


def chimera():
    """Maps of two people far apart, whose PAFs would give the second one's left hand to the first: there is a field along the way.

    The first has no left forearm of his own, the second no left elbow.
    """
    one, other = person(100, 80, 16), person(500, 80, 16)
    one[Joint.LeftHand], other[Joint.LeftElbow] = 0, 0
    bridge = np.zeros((18, 3))
    bridge[Joint.LeftElbow], bridge[Joint.LeftHand] = one[Joint.LeftElbow], other[Joint.LeftHand]
    size = (640, 240)
    pafs, _ = maps_of(np.stack([one, other, bridge]), size)
    _, heatmaps = maps_of(np.stack([one, other]), size)
    return pafs, heatmaps, one, other


def reach(people):
    """The longest limb of all, pixels."""
    return max(np.hypot(*(pose[b] - pose[a])[:2]) for pose in people.poses for a, b in LIMBS if pose[a, 2] and pose[b, 2])


def test_limbs_out_of_proportion_are_refused():
    """Without the rule the first person's forearm is ten times too long; with it both have what is theirs."""
    pafs, heatmaps, one, other = chimera()
    free, bound = decode(pafs, heatmaps, Decoding(limb_length_ratio=10)), decode(pafs, heatmaps, STRETCH._replace(limb_length_ratio=10))
    assert reach(free) > 300
    assert reach(bound) < 80
    assert len(bound) == 2
    for expected in (one, other):
        distances = [np.abs(pose - expected)[(pose[:, 2] > 0) & (expected[:, 2] > 0), :2].max() for pose in bound.poses]
        assert min(distances) < 3
    assert not any(pose[Joint.LeftHand, 2] and pose[Joint.LeftElbow, 2] for pose in bound.poses)


def test_limbs_too_short_are_refused():
    """A connection a ninth as long as the person lets expect, or shorter, is none; one a little longer is."""
    peaks = np.array([(Joint.RightElbow, 50.0, 50.0, 1.0), (Joint.RightHand, 50.0, 56.0, 1.0)])
    limb = LIMBS.index((Joint.RightElbow, Joint.RightHand))
    pafs = constant_pafs(limb, (0, 1), (100, 100))
    own = 6 / LIMB_RATIOS[limb]
    candidates = find_candidates(pafs, peaks, STRETCH)[limb]
    for times, possible in ((0.34, True), (0.3, False), (1, True), (8.9, True), (9.1, False)):
        for units in ([own * times, np.nan], [np.nan, own * times], [own * times] * 2):
            assert bool(find_connections(limb, candidates, 3, units.__getitem__)) == possible
    assert find_connections(limb, candidates, 3, [np.nan, np.nan].__getitem__)


@pytest.mark.parametrize("seed", range(4))
def test_no_limit_changes_nothing(seed):
    """Maps of noise, many wrong connections: max_stretch=inf gives the people that the rule's absence gives."""
    rng = np.random.default_rng(seed)
    pafs, heatmaps = (rng.random((n, 20, 30), dtype=np.float32) * 2 - 1 for n in (38, 19))
    decoding = Decoding(inner_product_thresh=-1, n_integ_points_thresh=3, n_subset_limbs_thresh=1, subset_score_thresh=-9)
    peaks = find_peaks(heatmaps[:N_JOINTS], 0.8)
    people = assemble(pafs, peaks, decoding)
    assert len(people) > 3
    free = group(all_connections(pafs, peaks, decoding), peaks)
    np.testing.assert_array_equal(people.scores, [each.score / each.count for each in free])
    assert len(assemble(pafs, peaks, decoding._replace(max_stretch=1e9))) == len(people)


@pytest.mark.parametrize("head", [8, 16, 30])
def test_people_of_any_size_and_direction_pass(head):
    """Made-up people in all directions lose no joint by the rule."""
    poses = np.stack([person(150, 150, head, angle) for angle in np.linspace(0, 6, 7)])
    for pose in poses:
        maps = maps_of(visible(pose[None], (300, 300)), (300, 300))
        free, bound = decode(*maps), decode(*maps, STRETCH)
        np.testing.assert_array_equal(free.poses, bound.poses)


def mirrored_maps(pafs, heatmaps):
    """What a perfect network answers for the mirrored picture."""
    pafs = pafs.reshape(N_LIMBS, 2, *pafs.shape[1:])[MIRRORED_LIMBS][..., ::-1] * np.array([-1, 1], np.float32)[:, None, None]
    return pafs.reshape(2 * N_LIMBS, *pafs.shape[2:]), heatmaps[[*MIRRORED_JOINTS, N_JOINTS]][..., ::-1]


def assert_mirrored(people, mirror, width):
    """The same people in any order, from right to left."""
    poses = people.poses[:, MIRRORED_JOINTS]
    poses[..., 0] = np.where(poses[..., 2] > 0, width - 1 - poses[..., 0], 0)
    left = list(range(len(mirror)))
    for pose, score, confidences in zip(poses, people.scores, people.confidences[:, MIRRORED_JOINTS], strict=True):
        twin = min(left, key=lambda n: np.abs(mirror.poses[n] - pose).max())
        left.remove(twin)
        np.testing.assert_array_equal(mirror.poses[twin, :, 2], pose[:, 2])
        np.testing.assert_allclose(mirror.poses[twin], pose, rtol=0, atol=1e-3)
        np.testing.assert_allclose(mirror.scores[twin], score, rtol=1e-4)
        np.testing.assert_allclose(mirror.confidences[twin], confidences, rtol=0, atol=1e-5)
    assert not left


@pytest.mark.parametrize("seed", range(5))
def test_mirrored_maps_give_mirrored_people(seed):
    """Left and right exchanged, x of the PAFs turned; people cut by the border among them, and noise on the maps."""
    rng = np.random.default_rng(seed)
    size_wh = 480, 240
    poses = np.array([person(x, rng.uniform(20, 120), rng.uniform(14, 25), rng.normal(0, 0.2), 0.05, rng) for x in (15, 130, 290, 460)])
    pafs, heatmaps = maps_of(visible(poses, size_wh), size_wh)
    pafs += rng.normal(0, 0.02, pafs.shape).astype(np.float32)
    heatmaps += rng.normal(0, 0.005, heatmaps.shape).astype(np.float32)
    people = decode(pafs, heatmaps)
    assert len(people) >= 4
    assert_mirrored(people, decode(*mirrored_maps(pafs, heatmaps)), size_wh[0])


@pytest.mark.parametrize("name", GOLDEN)
def test_mirrored_network_maps_give_mirrored_people(name):
    arrays = golden(name)
    people = decode(arrays["pafs"], arrays["heatmaps"])
    assert len(people) >= len(arrays["poses"])
    assert_mirrored(people, decode(*mirrored_maps(arrays["pafs"], arrays["heatmaps"])), 8 * arrays["pafs"].shape[2])
