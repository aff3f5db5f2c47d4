"""The stages of one picture from its file to the written result, and how they grow with people and pixels."""

import numpy as np

from entity import N_JOINTS, STRIDE, Decoding
from keypoints.candidates import find_candidates
from keypoints.draw import draw_people
from keypoints.image import check_maps, fit_size, normalise, raise_to_stride, resize
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.paf import decode, group
from keypoints.peaks import locate_peaks
from keypoints.whole import WholePerson
from speed.clock import timings
from speed.rows import Row
from streams.formats import people_to_json, to_json_text
from streams.picture import read_image
from streams.results import write_files

STAGES = ("read", "prepare", "network", "peaks", "connections", "grouping", "draw", "write")
DECODED = ("peaks", "connections", "grouping")
PEOPLE = (1, 2, 5, 10, 20, 50)
SIDES = (184, 256, 368, 512, 736)


def stage_rows(detector, path, out, repeats) -> list:
    """A Row for each of STAGES, and for all from reading to drawing, of the picture in a file. detector: a PoseDetector. out: where to write JSON."""
    image = read_image(path)
    size_wh = image.shape[1], image.shape[0]
    people = detector.detect(image)
    persons = detector.persons(people)
    net_wh = raise_to_stride(fit_size(size_wh, detector.short_side))
    x = prepare(detector, image, net_wh)
    pafs, heatmaps = (maps[0] for maps in detector.net(x))
    jobs = {
        "read": lambda: read_image(path),
        "prepare": lambda: prepare(detector, image, net_wh),
        "network": lambda: check_maps(*detector.net(x)),
        **decoding_jobs(pafs, heatmaps, detector.decoding),
        "draw": lambda: draw_people(image, persons),
        "write": lambda: write_files({out: to_json_text(path, size_wh, **people_to_json(persons)).encode()}),
        "read to drawn": lambda: draw_all(detector, path),
    }
    measured = timings(jobs, repeats)
    what = f"a picture of {size_wh[0]}x{size_wh[1]}, {len(people)} people"
    rows = []
    for name, timing in measured.items():
        stage = f"{name} ({what})" if name in ("read", "read to drawn") else name
        rows.append(Row("picture", stage, engine_of(detector, name), *timing))
    return rows


def engine_of(detector, stage):
    """Where the stage has one. detector: a PoseDetector with a network of OpenVINO."""
    return f"OpenVINO, {detector.name}" if stage in ("network", "read to drawn") else ""


def prepare(detector, image, net_wh):
    return normalise(resize(image, net_wh), detector.scale, detector.offset)


def draw_all(detector, path):
    image = read_image(path)
    return draw_people(image, detector.persons(detector.detect(image)))


def decoding_jobs(pafs, heatmaps, decoding) -> dict:
    """{one of DECODED: function}, each with what the one before it found."""
    peaks = locate_peaks(heatmaps[:N_JOINTS], decoding.heatmap_peak_thresh)
    candidates = find_candidates(pafs, peaks, decoding)
    return {
        "peaks": lambda: locate_peaks(heatmaps[:N_JOINTS], decoding.heatmap_peak_thresh),
        "connections": lambda: find_candidates(pafs, peaks, decoding),
        "grouping": lambda: group(peaks, candidates, decoding),
    }


def growth_with_people(repeats, counts=PEOPLE) -> dict:
    """{"5 people": {stage: ms}}: decoding and drawing of made-up people in a network's input of 736x368."""
    size_wh, growth = (736, 368), {}
    canvas = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    xs, ys = (cell_centers(side) for side in size_wh)
    for count in counts:
        poses = made_up_poses(count, size_wh)
        pafs, heatmaps = make_pafs(poses, xs, ys), make_heatmaps(poses, xs, ys)
        people = decode(pafs, heatmaps, Decoding())
        persons = [WholePerson(*each) for each in zip(*people, strict=True)]
        jobs = decoding_jobs(pafs, heatmaps, Decoding()) | {"draw": lambda persons=persons: draw_people(canvas, persons)}
        found = f"{count} {'person' if count == 1 else 'people'}"
        growth[found] = {name: each.median for name, each in timings(jobs, repeats, rest=0).items()}
    return growth


def made_up_poses(count, size_wh):
    """(count, 18, 3): standing people beside and behind each other, all of one height, no two in one place."""
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(count * size_wh[0] / size_wh[1] * 1.6)))
    rows = -(-count // columns)
    cell_wh = size_wh[0] / columns, size_wh[1] / rows
    height = min(0.8 * cell_wh[1], 2 * cell_wh[0])
    poses = np.repeat(STANDING[None], count, 0)
    poses[..., :2] *= height
    poses[..., :2] += rng.uniform(-0.03, 0.03, poses[..., :2].shape) * height
    number = np.arange(count)
    poses[..., 0] += ((number % columns + 0.5) * cell_wh[0])[:, None]
    poses[..., 1] += ((number // columns + 0.1) * cell_wh[1])[:, None]
    return poses


# x, y of the joints (entity.Joint) in heights of a person, from the middle of the head's top; v = 2
STANDING = np.array(
    [
        *((0, 0.08), (0, 0.2), (-0.12, 0.2), (-0.16, 0.36), (-0.17, 0.5), (0.12, 0.2), (0.16, 0.36), (0.17, 0.5), (-0.08, 0.52), (-0.08, 0.75)),
        *((-0.08, 0.97), (0.08, 0.52), (0.08, 0.75), (0.08, 0.97), (-0.03, 0.05), (0.03, 0.05), (-0.06, 0.07), (0.06, 0.07)),
    ]
)
STANDING = np.column_stack([STANDING, np.full(len(STANDING), 2.0)])


def growth_with_pixels(detector, image, repeats, sides=SIDES) -> dict:
    """{"368 (664x368)": {"prepare", "network" and those of DECODED: ms}}: of one picture, for several short sides of the network's input."""
    growth = {}
    for side in sides:
        net_wh = raise_to_stride(fit_size((image.shape[1], image.shape[0]), side), STRIDE)
        x = prepare(detector, image, net_wh)
        pafs, heatmaps = (maps[0] for maps in detector.net(x))
        jobs = {"prepare": lambda wh=net_wh: prepare(detector, image, wh), "network": lambda x=x: detector.net(x)}
        jobs |= decoding_jobs(pafs, heatmaps, detector.decoding)
        growth[f"{side} ({net_wh[0]}x{net_wh[1]})"] = {name: each.median for name, each in timings(jobs, repeats).items()}
    return growth
