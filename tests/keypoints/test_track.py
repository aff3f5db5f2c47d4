"""keypoints/track.py: made-up people that walk, cross and vanish; the one-euro filter against the paper's formulas; a real video."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from conftest import SHARED, needs_shared
from people import person

import pose_detector
from entity import N_JOINTS, OKS_SIGMAS, Joint
from keypoints.track import OneEuroFilter, Rules, Smoothing, Tracker, distance_of, pose_size, similarity_of
from keypoints.whole import WholePerson

RATE = 25.0
BIRTH = Rules().min_sightings  # frames until a person has a number


def whole(pose):
    return WholePerson(pose, 1.0, np.where(pose[:, 2] > 0, 0.8, 0))


def follow(frames, rate=RATE, **options):
    """frames: per frame a list of poses. Returns per frame the numbers, and the tracker."""
    tracker = Tracker(**options)
    return [[each.number for each in tracker.update([whole(pose) for pose in poses], i / rate)] for i, poses in enumerate(frames)], tracker


def walk(x, y, speed, n_frames, rng=None, head=20.0, jitter=0.05):
    """A person who walks; speed in pixels per frame."""
    return [person(x + speed * i, y, head, jitter=jitter, rng=rng) for i in range(n_frames)]


# Numbers


def test_a_walking_person_keeps_the_number():
    """From the fifth sighting on; none before."""
    numbers, tracker = follow([[pose] for pose in walk(50, 100, 4, 60, np.random.default_rng(0))])
    assert numbers == [[None]] * (BIRTH - 1) + [[0]] * (61 - BIRTH)
    assert tracker.n_numbers == 1


@pytest.mark.parametrize("n_people", [2, 5])
def test_many_people_in_any_order(n_people):
    """The order in which they are found does not matter."""
    rng = np.random.default_rng(1)
    walks = [walk(80 + 150 * i, 100, 3 - i, 40, rng) for i in range(n_people)]
    owners = {}
    tracker = Tracker()
    for t in range(40):
        order = rng.permutation(n_people)
        for i, each in zip(order, tracker.update([whole(walks[i][t]) for i in order], t / RATE), strict=True):
            if t >= BIRTH - 1:
                owners.setdefault(i, set()).add(each.number)
    assert sorted(map(tuple, owners.values())) == [(i,) for i in range(n_people)]


@pytest.mark.parametrize("speed", [3, 8])
def test_people_who_cross_keep_their_numbers(speed):
    """They pass each other, one a little lower than the other, and are found in every frame."""
    rng = np.random.default_rng(2)
    n_frames = 600 // speed // 2
    left, right = walk(100, 100, speed, n_frames, rng), walk(400, 112, -speed, n_frames, rng)
    numbers, tracker = follow([[a, b] for a, b in zip(left, right, strict=True)])
    assert numbers[-1] == numbers[BIRTH - 1] == [0, 1]
    assert tracker.n_numbers == 2


def test_people_who_cross_and_hide_each_other():
    """While they overlap only the nearer one is found."""
    rng = np.random.default_rng(3)
    left, right = walk(100, 100, 6, 50, rng), walk(400, 130, -6, 50, rng)
    frames = [[b] if abs(a[1, 0] - b[1, 0]) < 25 else [a, b] for a, b in zip(left, right, strict=True)]
    assert any(len(poses) == 1 for poses in frames)
    numbers, tracker = follow(frames)
    assert numbers[-1] == numbers[BIRTH - 1] == [0, 1]
    assert tracker.n_numbers == 2


@pytest.mark.parametrize(("missing_seconds", "same"), [(0.04, True), (0.4, True), (0.96, True), (1.08, False), (3.0, False)])
def test_who_vanishes_and_comes_back(missing_seconds, same):
    """Standing still, within a second under the old number, later under a new one."""
    n_missing = round(missing_seconds * RATE) - 1  # frames between the two sightings that are missing_seconds apart
    frames = [[pose] for pose in walk(100, 100, 0, 20)] + [[]] * n_missing + [[pose] for pose in walk(100, 100, 0, 20)]
    numbers, tracker = follow(frames)
    assert numbers[19] == [0]
    assert numbers[-1] == [0 if same else 1]
    assert tracker.n_numbers == (1 if same else 2)


def test_who_walks_on_behind_something():
    """The place where they come back is expected from their speed."""
    walked = walk(100, 100, 4, 50, head=25)
    frames = [[] if 20 <= i < 30 else [pose] for i, pose in enumerate(walked)]
    numbers, _ = follow(frames)
    assert numbers[30:] == [[0]] * 20


def test_flickering_ghosts_get_no_number():
    """Something seen for fewer than five frames, again and again, or every now and then."""
    ghost = person(300, 200, 20)
    frames = [[ghost] if i % 20 < BIRTH - 1 else [] for i in range(100)]
    assert follow(frames)[1].n_numbers == 0
    assert follow([[ghost] if i % 8 == 0 else [] for i in range(100)])[1].n_numbers == 0


def test_dead_tracks_are_forgotten():
    """So that a day of video needs no more memory than a minute."""
    tracker = Tracker(smooth=True)
    for i in range(300):
        tracker.update([whole(person(50.0 * (i % 40), 100, 5))], i / RATE)
    assert len(tracker.tracks) <= 30


def test_another_person_at_another_place_is_another():
    frames = [[pose] for pose in walk(100, 100, 0, 10)] + [[pose] for pose in walk(500, 100, 0, 10)]
    numbers, _ = follow(frames)
    assert (numbers[9], numbers[-1]) == ([0], [1])


def test_missing_joints():
    """Half of the joints are missing in each frame, other ones each time; the number stays."""
    rng = np.random.default_rng(4)
    frames = []
    for pose in walk(100, 100, 2, 60, rng):
        pose[rng.permutation(N_JOINTS)[:9]] = 0
        frames.append([pose])
    numbers, tracker = follow(frames)
    assert numbers[BIRTH:] == [[0]] * (60 - BIRTH)
    assert tracker.n_numbers == 1


def test_nobody_and_people_with_no_joint_in_common():
    numbers, _ = follow([[]] * 5)
    assert numbers == [[]] * 5
    upper, lower = person(100, 100), person(100, 100)
    upper[8:14], lower[:8], lower[14:] = 0, 0, 0
    assert similarity_of(*(np.where(pose[:, 2:] > 0, pose[:, :2], np.nan) for pose in (upper, lower)), 100) == 0


@pytest.mark.parametrize(
    ("n_joints", "n_common", "is_enough"), [(18, 5, True), (18, 4, False), (5, 4, False), (4, 4, True), (3, 3, True), (2, 2, False)]
)
def test_a_few_joints_are_compared_with_a_few_alone(n_joints, n_common, is_enough):
    """People of whom a face is seen keep their number; a part of somebody does not take it."""
    whole, part = np.full((2, 18, 2), np.nan)
    whole[:n_joints] = part[:n_common] = 100, 100
    assert (similarity_of(whole, part, 50.0) > 0) == is_enough
    assert np.isfinite(distance_of(whole, part, 50.0)) == is_enough


def test_a_face_alone_keeps_its_number():
    """Nose, eyes and an ear, and nothing else of the person."""
    frames = []
    for pose in walk(100, 100, 2, 30):
        pose[[joint for joint in Joint if joint not in (Joint.nose, Joint.right_eye, Joint.left_eye, Joint.right_ear)]] = 0
        frames.append([pose])
    numbers, _ = follow(frames)
    assert numbers[BIRTH:] == [[0]] * (30 - BIRTH)


def test_same_steps_at_another_rate():
    """Rules are in seconds: with 5 frames per second a person missing for a frame is no new one."""
    frames = [[pose] if i != 12 else [] for i, pose in enumerate(walk(100, 100, 5, 25))]
    assert follow(frames, rate=5)[1].n_numbers == 1


# Sizes, and parts of one person


@pytest.mark.parametrize("ratio", [0.3, 0.5, 2.0, 4.0])
def test_a_number_is_not_given_to_somebody_of_another_size(ratio):
    """Somebody is lost, and at the same place comes somebody twice as large or half as large, or more so."""
    frames = [[pose] for pose in walk(300, 200, 0, 20)] + [[]] * 3 + [[pose] for pose in walk(300, 200, 0, 20, head=20 * ratio)]
    numbers, _ = follow(frames)
    assert (numbers[19], numbers[-1]) == ([0], [1])


def test_who_comes_nearer_keeps_the_number():
    """From 15 to 60 pixels per head in two seconds."""
    numbers, _ = follow([[person(300, 200, 15 + 45 * i / 50)] for i in range(50)])
    assert numbers[BIRTH:] == [[0]] * (50 - BIRTH)


@pytest.mark.parametrize("seed", range(6))
def test_a_person_in_two_parts_has_one_number(seed):
    """After ten frames the person is split for three seconds, above the hips or at random, in any order: one number, on the larger part."""
    rng = np.random.default_rng(seed)
    upper = np.isin(np.arange(N_JOINTS), [*range(8), *range(14, N_JOINTS)]) if seed < 3 else rng.permutation(N_JOINTS) < 11
    frames = []
    for i, pose in enumerate(walk(100, 100, 3, 85, rng)):
        parts = [np.where(upper[:, None], pose, 0), np.where(upper[:, None], 0, pose)]
        frames.append([pose] if i < 10 else parts[:: rng.choice([-1, 1])])
    numbers, tracker = follow(frames)
    assert tracker.n_numbers == 1
    assert [sorted(row, key=str) for row in numbers[10:]] == [[0, None]] * 75


@pytest.mark.parametrize("seed", range(5))
def test_place_scale_and_mirror_do_not_matter(seed):
    """Moved, enlarged and mirrored the same poses get the same numbers; and no number stands twice in a frame."""
    rng = np.random.default_rng(seed)
    walks = [walk(*rng.uniform(100, 700, 2), rng.uniform(-6, 6), 40, rng, head=rng.uniform(10, 40)) for _ in range(6)]
    kept = rng.random((40, 6)) > 0.15
    frames = [[walks[k][i] for k in range(6) if kept[i, k]] for i in range(40)]
    numbers, _ = follow(frames)
    assert all(len(set(row) - {None}) == sum(number is not None for number in row) for row in numbers)
    changed = [[pose * (-3, 3, 1) + (5000, 70, 0) for pose in row] for row in frames]
    assert follow(changed)[0] == numbers


def test_persons_are_not_changed():
    given = whole(person(100, 100))
    pose = given.pose.copy()
    (found,) = Tracker(smooth=True).update([given], 0.0)
    assert given.number is None
    np.testing.assert_array_equal(given.pose, pose)
    np.testing.assert_array_equal(found.pose, pose)


# Similarity and assignment


def test_similarity_is_cocos():
    """Written out joint by joint, as COCO's evaluation does, with the tolerance that Rules says."""
    rng = np.random.default_rng(5)
    a = rng.uniform(0, 100, (N_JOINTS, 2))
    b = a + rng.normal(0, 8, a.shape)
    a[3], b[7] = np.nan, np.nan
    terms = [np.exp(-((a[i] - b[i]) ** 2).sum() / (2 * 60**2 * (Rules().slack * 2 * OKS_SIGMAS[i]) ** 2)) for i in range(N_JOINTS) if i not in (3, 7)]
    assert similarity_of(a, b, 60) == pytest.approx(np.mean(terms), rel=1e-12)
    assert similarity_of(a, a, 60) == 1


@pytest.mark.parametrize("seed", range(8))
def test_assignment_against_brute_force(seed):
    """Of all ways to give people to tracks, the one with the largest sum of similarities."""
    rng = np.random.default_rng(seed)
    n_tracks, n_people = rng.integers(1, 5, 2)
    tracker = Tracker(rules=Rules(min_sightings=1, min_similarity=0.0))
    before = [person(*rng.uniform(80, 160, 2), 20) for _ in range(n_tracks)]
    tracker.update([whole(pose) for pose in before], 0.0)
    after = [person(*rng.uniform(80, 160, 2), 20) for _ in range(n_people)]
    size = pose_size(before[0][:, :2])
    table = np.array([[similarity_of(a[:, :2], b[:, :2], size) for b in after] for a in before])
    rows, columns = (range(n) for n in table.shape)
    short, long = (rows, columns) if n_tracks <= n_people else (columns, rows)
    best = max(
        sum(table[i, j] if short is rows else table[j, i] for i, j in zip(short, order, strict=True))
        for order in itertools.permutations(long, len(short))
    )
    found = [each.number for each in tracker.update([whole(pose) for pose in after], 0.04)]
    old = [(number, j) for j, number in enumerate(found) if number < n_tracks]
    assert len(set(found)) == n_people
    assert len(old) == len(short)
    assert sum(table[i, j] for i, j in old) == pytest.approx(best, abs=1e-9)


# The one-euro filter


def joints(x, y=0.0):
    return np.tile([float(x), float(y)], (N_JOINTS, 1))


def test_filter_is_the_papers():
    """One coordinate at a time in plain Python, Casiez et al., algorithm 1; along a line, where the speed's length is its absolute value."""
    p, rng, size = Smoothing(1.3, 0.7, 0.9), np.random.default_rng(6), 50.0
    values, times = rng.normal(0, 20, 50).cumsum(), rng.uniform(0.01, 0.1, 50).cumsum()
    smooth = OneEuroFilter(p)
    found = [smooth(joints(value), when, size)[4, 0] for value, when in zip(values, times, strict=True)]

    def alpha(cutoff, step):
        return 1 / (1 + 1 / (2 * np.pi * cutoff) / step)

    x, speed, expected = values[0], 0.0, [values[0]]
    for value, step in zip(values[1:], np.diff(times), strict=True):
        speed += alpha(p.derivative_cutoff, step) * ((value - x) / step - speed)
        x += alpha(p.min_cutoff + p.beta * abs(speed) / size, step) * (value - x)
        expected.append(x)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_filter_leaves_constant_joints_alone():
    smooth, still = OneEuroFilter(), joints(12.5, 99)
    for i in range(20):
        np.testing.assert_array_equal(smooth(still, i / RATE, 80.0), still)


def test_filter_calms_still_joints():
    """Noise of 1 % of the person's size becomes less than half (measured: 0.40)."""
    rng, smooth, size = np.random.default_rng(7), OneEuroFilter(), 200.0
    noisy = joints(300, 300) + rng.normal(0, 0.01 * size, (400, N_JOINTS, 2))
    found = np.array([smooth(points, i / RATE, size) for i, points in enumerate(noisy)])[25:]
    assert found.std(0).mean() < 0.5 * noisy[25:].std(0).mean()


def test_filter_follows_fast_joints():
    """A hand that moves 3 sizes per second lags less than 8 % of the size, and stops where it stops."""
    smooth, size = OneEuroFilter(), 200.0
    track = np.concatenate([np.zeros(10), np.arange(40) * 3 * size / RATE, np.full(50, 39 * 3 * size / RATE)])
    found = np.array([smooth(joints(x), i / RATE, size)[0, 0] for i, x in enumerate(track)])
    assert np.abs(found - track)[20:50].max() < 0.08 * size
    assert abs(found[-1] - track[-1]) < 0.005 * size


def test_filter_keeps_missing_joints_missing():
    """NaN in, NaN out, in the same joints; after a short gap the filter goes on, after a long one it begins anew."""
    smooth = OneEuroFilter(restart_seconds=0.5)
    smooth(joints(100), 0.0, 80.0)
    gap = joints(100)
    gap[Joint.Nose] = np.nan
    found = smooth(gap, 0.04, 80.0)
    assert np.isnan(found[Joint.Nose]).all()
    assert np.isfinite(np.delete(found, Joint.Nose, 0)).all()
    assert smooth(joints(101), 0.4, 80.0)[Joint.Nose, 0] < 101
    smooth(gap, 0.44, 80.0)
    smooth(gap, 0.8, 80.0)
    found = smooth(joints(150), 1.0, 80.0)
    assert found[Joint.Nose, 0] == 150
    assert 101 < found[Joint.Neck, 0] < 150


def test_filter_takes_time_from_the_time_stamps():
    """The longer ago the last value is, the less it says."""
    values = []
    for step in (0.01, 0.04, 0.2):
        smooth = OneEuroFilter(Smoothing(min_cutoff=1.0, beta=0.0))
        smooth(joints(0), 10.0, 80.0)
        values.append(smooth(joints(1), 10.0 + step, 80.0)[0, 0])
    np.testing.assert_allclose(values, [1 / (1 + 1 / (2 * np.pi * step)) for step in (0.01, 0.04, 0.2)])


def test_filter_bears_two_frames_at_one_time():
    smooth = OneEuroFilter()
    smooth(joints(5), 1.0, 80.0)
    assert np.isfinite(smooth(joints(6), 1.0, 80.0)).all()


def test_tracker_smooths_people_with_a_number():
    """And nobody else; raw values stay; missing joints are NaN."""
    rng = np.random.default_rng(8)
    tracker, raw, smoothed = Tracker(smooth=True), [], []
    for i in range(100):
        pose = person(200, 100, 20, jitter=0.05, rng=rng)
        pose[Joint.LeftHand] = 0
        (each,) = tracker.update([whole(pose)], i / RATE)
        np.testing.assert_array_equal(each.pose, pose)
        assert (each.smoothed is None) == (each.number is None) == (i < BIRTH - 1)
        if each.smoothed is not None:
            assert np.isnan(each.smoothed[Joint.LeftHand]).all()
            raw.append(pose[:, :2])
            smoothed.append(each.smoothed)
    raw, smoothed = (np.delete(np.array(values)[20:], Joint.LeftHand, 1) for values in (raw, smoothed))
    assert smoothed.std(0).mean() < 0.6 * raw.std(0).mean()
    np.testing.assert_allclose(smoothed.mean(0), raw.mean(0), atol=0.5)


# A real video


@pytest.fixture(scope="module")
def video_lines(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "r.jsonl"
    video = SHARED / "samples" / "video.avi"
    options = ["--short_side", "256", "--precision", "f32", "--smooth", "--jsonl", str(path)]
    assert pose_detector.main(["lightposenet", "--input", str(video), *options]) == 0
    return [json.loads(line) for line in path.read_text().splitlines()]


def second_differences(lines, key, most_speed=0.01):
    """Of joints that hardly move, over three frames in a row: |p0 - 2 p1 + p2| by the person's size. Speed: sizes per frame, over 8 frames."""
    people = {(each["id"], line["frame"]): each for line in lines for each in line["people"] if "id" in each}
    found = []
    for (number, frame), each in people.items():
        around = [people.get((number, frame + step)) for step in (-4, -1, 0, 1, 4)]
        if None in around:
            continue
        size = pose_size(np.array([point[:2] for point in each["keypoints"] if point]))
        for joint in Joint:
            points = [one["keypoints"][joint] for one in around]
            if None in points or np.hypot(*np.subtract(points[4], points[0])[:2]) > 8 * most_speed * size:
                continue
            before, now, after = (np.array(one[key][joint][:2]) for one in around[1:4])
            found.append(np.hypot(*(before - 2 * now + after)) / size)
    return np.array(found)


@needs_shared
def test_video_identities(video_lines):
    """About 8 to 12 people are in view at a time, and some come and go: those in the middle keep one number throughout.

    Measured with the fourth weights of lightposenet, in f32: 958 people, 891 of them numbered, 8 identities, which last for 201, 201, 151, 125, 107,
    50, 31 and 25 frames. The third is lost for 17 frames and had 25 before (in INT8, 182 in one piece). With the third weights 941 people, 878
    numbered, 8 identities: 201, 200, 181, 123, 107, 50, 13 and 3. The second weights found 1,313, most of what they found more being fragments
    (against human-pose-estimation-0001 on every fourth frame both find 204 of the same people, of 241 and of 331), with 14 identities.
    """
    assert len(video_lines) == 205
    counts = Counter(each["id"] for line in video_lines for each in line["people"] if "id" in each)
    n_people, n_numbered = sum(len(line["people"]) for line in video_lines), sum(counts.values())
    most = [count for _, count in counts.most_common(5)]
    assert n_numbered > 0.85 * n_people
    assert len(counts) <= 12
    assert most[2] >= 150
    assert most[4] >= 100
    assert sum(most) > 0.8 * n_numbered
    for line in video_lines:
        numbers = [each["id"] for each in line["people"] if "id" in each]
        assert len(set(numbers)) == len(numbers)


@needs_shared
def test_video_is_smoothed(video_lines):
    """Still joints tremble less than half as much (the measured figures are in docs/tracking.md)."""
    raw, smoothed = (second_differences(video_lines, key) for key in ("keypoints", "smoothed"))
    assert len(raw) > 1500
    assert smoothed.mean() < 0.5 * raw.mean()
    assert np.median(smoothed) < 0.5 * np.median(raw)
