"""Make a network for the points of faces or hands: a small one learns what MediaPipe's landmark models see in crops of COCO's people.

python -m distil.points crops face face_pack.npz --coco_dir coco
python -m distil.points train face face_pack.npz face.pt --total 60
python -m distil.export face.pt models/light_facenet.npz
python -m distil.score face face_dev.npz
"""

import sys
from functools import partial

import numpy as np
from tqdm import tqdm

import cli
from distil import options as shared
from distil.body import LAST_STAGE, to_input
from distil.kinds import KINDS, boxes_of
from distil.mediapipe_teacher import open_teacher, teach
from distil.pack import Pack, cut, write_pack
from distil.photos import photos_of_coco
from distil.point_views import point_view
from distil.targets import point_maps
from errors import InputError
from files import check_path
from models import ARCHS
from streams.threads import read_ahead

RATE, BATCH = 2e-3, 32
HIGH, BACKGROUND = 6, 0.3  # a cell whose target is 1 counts so much more; the background counts as so much of a point
MIN_BOX = 32  # pixels of the photo
NOBODY = 0.1  # crops without a face or hand, for each crop with one


def parser():
    p = cli.Parser(prog="python -m distil.points", description=__doc__)
    commands = p.add_subparsers(required=True, metavar="COMMAND")
    c = commands.add_parser("crops", help="Cut crops of faces or hands, and write where the teacher sees their points.")
    t = commands.add_parser("train", help="Train on the crops.")
    for command in (c, t):
        command.add_argument("kind", choices=tuple(KINDS), metavar="KIND", help="What the crops show, face or hand.")
        command.add_argument("pack", metavar="PACK", help="The .npz of the crops.")
    shared.add_coco_options(c)
    c.add_argument("--dev", action="store_true", help="Cut crops from those photos of val that are never trained on, instead.")
    c.add_argument("--count", type=cli.positive_int, default=10**9, help="Cut so many crops at most (default: all).")
    c.add_argument(
        "--min_box", type=cli.positive_int, default=MIN_BOX, metavar="PIXELS", help=f"Leave out boxes whose side is smaller (default: {MIN_BOX})."
    )
    c.add_argument("--seed", type=partial(cli.whole_number, least=0), default=0, help="Choose the crops by this number (default: 0).")
    c.set_defaults(work=make_pack)
    t.add_argument("state", metavar="STATE", help="The file in which the training is kept, for --resume and distil.export.")
    t.add_argument(
        "--batch", type=cli.positive_int, default=BATCH, help=f"Put so many crops into a batch; fewer need less memory (default: {BATCH})."
    )
    shared.add_training_options(t, RATE)
    t.set_defaults(work=train)
    return p


def make_pack(options):
    check_path(options.pack, "PACK")
    look, rng = open_teacher(options.kind), np.random.default_rng(options.seed)
    photos = photos_of_coco(options.coco_dir, ["val"] if options.dev else options.splits, held_out=options.dev)
    crops = []
    with tqdm(rng.permutation(len(photos)), "photos", unit="photo", disable=None) as progress:
        for number in progress:
            crops += crops_of(photos[number], options.kind, options.min_box, look)
            progress.set_postfix(crops=len(crops))
            if len(crops) >= options.count:
                break
    if not crops:
        raise InputError(f"--coco_dir {options.coco_dir}: the teacher sees no {options.kind} in these photos; take more, or a lower --min_box")
    crops = crops[: options.count]
    nobody = [photo for photo in photos if not len(photo.poses)]
    chosen = rng.integers(len(nobody), size=round(NOBODY * len(crops))) if nobody else []
    empty = [empty_crop(nobody[number], KINDS[options.kind].points, rng) for number in chosen]
    write_pack(options.pack, crops + empty)
    print(f"{options.pack}: {len(crops)} crops with a {options.kind}, {len(empty)} without")


def crops_of(photo, kind, min_box, look) -> list:
    """The faces or hands of a photo's labelled people of which the teacher is sure: distil.pack.Crop rows."""
    rows = [row for pose in photo.poses for row in boxes_of(kind, pose) if row[0][2] - row[0][0] >= min_box]
    image, crops = photo.read() if rows else None, []
    for box, is_left in rows:
        crop = cut(image, box)
        answer = teach(look, crop.image)
        if answer is not None and answer[1].mean() <= KINDS[kind].unsure:
            points, spread, score = answer
            crops.append(crop._replace(points=points, spread=spread, score=score, left=is_left, id=photo.image_id, split=f"{photo.split}2017"))
    return crops


def empty_crop(photo, n_points, rng):
    """A square of a photo in which nobody is."""
    image = photo.read()
    size = np.array([image.shape[1], image.shape[0]])
    side = int(rng.integers(min(MIN_BOX, *size), min(size) + 1))
    left, top = rng.integers(0, size - side + 1).tolist()
    crop = cut(image, (left, top, left + side, top + side))
    return crop._replace(points=np.full((n_points, 2), np.nan), spread=np.zeros(n_points), id=photo.image_id)


def train(options):
    shared.need_torch()
    kind = KINDS[options.kind]
    row, pack = ARCHS[kind.arch], Pack(options.pack, kind.points)
    examples = (to_input(x, row) for x, _, _ in endless(pack, kind, row.input_size, options.batch, np.random.default_rng(options.seed)))
    trainer = shared.make_trainer(shared.training_options(options), kind.arch, (), {}, examples)
    print(f"{len(pack)} crops, {sum(p.numel() for p in trainer.student.parameters())} parameters, {trainer.device}", flush=True)
    batches = endless(pack, kind, row.input_size, options.batch, np.random.default_rng([options.seed, trainer.iteration]))
    trainer.run(read_ahead(batches), make_loss(row, trainer.device))
    print(f"{options.state}: {trainer.iteration} iterations; python -m distil.export {options.state} WEIGHTS.npz writes the weights")


def endless(pack, kind, side, size, rng):
    """Batches: x (size, side, side, 3) uint8, maps (size, P + 1, side / 8, side / 8) float32, weights (size, P) float32; each crop once a round."""
    left = []
    while True:
        made = []
        for _ in range(size):
            left = left or rng.permutation(len(pack)).tolist()
            n = left.pop()
            view, points = point_view(pack.image(n), pack.points[n], pack.box[n], pack.left[n], kind, side, rng)
            made.append((view, point_maps(points, side), counts(pack.spread[n], kind)))
        yield tuple(map(np.stack, zip(*made, strict=True)))


def counts(spread, kind):
    """spread (P,) between the teacher's runs -> (P,) float32: how much each point counts, 1 where the teacher is sure."""
    return (1 / (1 + (spread / kind.doubt) ** 2)).astype(np.float32)


def make_loss(row, device):
    """loss_of(student, (x, maps, weights), part) of distil.loop.Trainer: squared errors; what is high counts more, what the teacher doubts less."""
    import torch

    def loss_of(student, batch, part):
        x, target, weights = batch
        stages, _ = student(to_input(x, row, device))
        target, weights = torch.from_numpy(target).to(device), torch.from_numpy(weights).to(device)
        losses = []
        for maps in stages:
            error = (maps.float() - target) ** 2 * (1 + HIGH * target)
            points = (error[:, :-1].sum((2, 3)) * weights).sum(1)
            losses.append((points + BACKGROUND * error[:, -1].sum((1, 2))).mean() / weights.shape[1])
        return sum(losses[:-1]) + LAST_STAGE * losses[-1], {f"stage {number}": loss for number, loss in enumerate(losses, 1)}

    return loss_of


def main(argv=None) -> int:
    return shared.run(parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
