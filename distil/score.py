"""How near the points of a face or hand network are to the teacher's, on crops that it was not trained on, through the project's own decoding.

python -m distil.score face face_dev.npz
python -m distil.score hand hand_dev.npz --weights models/light_handnet.npz --nobody hand_pack.npz

NME: the mean distance of a face's points from the teacher's, by the distance between the outer corners of its eyes (faces that are not in
profile). PCK: the share of points within 10 % (5 %) of the box. The second table is for choosing the threshold of the peaks: points that are drawn
within 10 % of the box, points drawn elsewhere, and points drawn in crops of a pack that hold no face or hand.
"""

import sys

import numpy as np

import cli
import cli_network
from distil.kinds import KINDS
from distil.pack import Pack
from engines import open_net
from keypoints.image import crop
from keypoints.points import PointDetector

NEAR, NEARER = 0.1, 0.05  # of the box
PROFILE = 0.45  # the eyes of a face in profile are nearer to each other than this, in face sizes (the root of the points' box)
EYES = (36, 45)  # outer corners
GROUPS = (("all", 0, np.inf), ("box below 64 px", 0, 64), ("64 to 128 px", 64, 128), ("128 px and more", 128, np.inf))
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def parser():
    p = cli.Parser(prog="python -m distil.score", description=__doc__)
    p.add_argument("kind", choices=tuple(KINDS), metavar="KIND", help="What the crops show, face or hand.")
    p.add_argument("pack", metavar="PACK", help="The .npz of crops of photos that were not trained on.")
    p.add_argument("--weights", metavar="FILE", help="Score these weights, an .npz or an .xml of OpenVINO (default: those that ship).")
    p.add_argument("--nobody", metavar="PACK", help="Look at the crops without a face or hand of another pack, too.")
    cli_network.add_openvino_options(p)
    return p


def score(options):
    kind = KINDS[options.kind]
    net = open_net(kind.arch, options.weights, **cli_network.openvino_options(options))
    pack = Pack(options.pack, kind.points)
    rows = np.flatnonzero(pack.has_points)
    found = detect(net, pack, rows)
    for line in accuracy(found, pack, rows, options.kind == "face"):
        print(line)
    others = Pack(options.nobody, kind.points) if options.nobody else pack
    empty = detect(net, others, np.flatnonzero(~others.has_points))
    for line in thresholds(found, pack, rows, empty):
        print(line)


def detect(net, pack, rows):
    """(len(rows), P, 3) float64: x, y in pixels of the pack's crops, height of the peak; each crop cut at its box, as the toolkit does."""
    boxes = np.rint(pack.box[rows]).astype(int)
    crops = [crop(pack.image(n), box) for n, box in zip(rows, boxes, strict=True)]
    mirrored = [bool(is_left) for is_left in pack.left[rows]]
    found = np.array(PointDetector(net, 0.0).detect_crops(crops, mirrored)).reshape(len(rows), pack.points.shape[1], 3)
    found[..., :2] += boxes[:, None, :2]
    return found


def distances(found, pack, rows):
    """(N, P): to the teacher's points, in sides of the box; infinite for a point without any peak."""
    side = pack.box[rows, 2] - pack.box[rows, 0]
    return np.nan_to_num(np.hypot(*np.moveaxis(found[..., :2] - pack.points[rows], 2, 0)) / side[:, None], nan=np.inf)


def accuracy(found, pack, rows, is_face):
    """Lines of a table: PCK, and for faces NME, of all crops and of small, middle and large ones. found: of detect, for these rows of the pack."""
    distance = distances(found, pack, rows)
    side = pack.box[rows, 2] - pack.box[rows, 0]
    pixels = side / pack.scale[rows]
    errors = normalised_errors(distance * side[:, None], pack.points[rows]) if is_face else None
    for name, low, high in GROUPS:
        chosen = (pixels >= low) & (pixels < high)
        if not chosen.any():
            continue
        line = f"{name:16s} {chosen.sum():5d} crops  PCK 10 % {(distance[chosen] < NEAR).mean():.3f}  5 % {(distance[chosen] < NEARER).mean():.3f}"
        if is_face:
            some = errors[chosen & np.isfinite(errors)]
            line += f"  NME {some.mean():.4f}  median {np.median(some):.4f}" if len(some) else ""
        yield line


def normalised_errors(pixels, points):
    """pixels (N, 70): distances; points (N, 70, 2): the teacher's -> (N,) mean distance by that between the eyes, NaN for faces in profile."""
    eyes = np.hypot(*(points[:, EYES[0]] - points[:, EYES[1]]).T)
    size = np.sqrt(np.ptp(points[:, :68], axis=1).prod(1))
    return np.where(eyes > PROFILE * size, pixels.mean(1) / eyes, np.nan)


def thresholds(found, pack, rows, empty):
    """Lines of a table: what is drawn at each threshold. empty (M, P, 3): of detect, in crops that hold nothing."""
    near, peaks = distances(found, pack, rows) < NEAR, np.nan_to_num(found[..., 2])
    invented = np.nan_to_num(empty[..., 2])
    yield f"peak above   right   wrong   missing   points invented in each of {len(empty)} empty crops"
    for threshold in THRESHOLDS:
        drawn = peaks > threshold
        shares = (drawn & near).mean(), (drawn & ~near).mean(), (~drawn).mean()
        there = f"{(invented > threshold).sum() / len(empty):.1f}" if len(empty) else "-"
        yield f"{threshold:10.2f}" + "".join(f"   {share:.3f}" for share in shares) + f"     {there}"


def main(argv=None) -> int:
    return cli.run(parser(), score, argv)


if __name__ == "__main__":
    sys.exit(main())
