"""Make a body network: a small one learns the maps, and the inner features, of a large one, raised by COCO's labels.

python -m distil.body crops crops --coco_dir coco --teacher_weights models/human-pose-estimation-0001.xml --count 7000 --seed 1
python -m distil.body train crops body.pt --start models/light_posenet.npz --total 600
python -m distil.export body.pt models/light_posenet.npz
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import cli
from distil import options as shared
from distil.crops import HINTS_SCALE, MAPS_SCALE, CropSets, Drawer, make_set
from distil.hints import HINTS, add_outputs, weights_of
from distil.photos import photos_of_coco, photos_of_folder
from engines import open_net
from errors import InputError
from files import make_folder
from models import ARCHS, OURS
from streams.threads import read_ahead

CELLS = 9216  # of a batch
RATE = 1.5e-3
LAST_STAGE = 1.5  # how much more it counts than the stages before
HINTS_COUNT = (1.0, 0.1)  # how much hints count in the beginning and in the end
HIGH = 3  # a cell whose target is 1 counts this much more than one whose target is 0
PER_CELL = 4  # brings the loss to numbers of about 1


def parser():
    p = cli.Parser(prog="python -m distil.body", description=__doc__)
    commands = p.add_subparsers(required=True, metavar="COMMAND")
    c = commands.add_parser("crops", help="Cut crops of photos, and write what the teacher says of them.")
    c.add_argument("folder", metavar="FOLDER", help="Write the crops into this folder, 2.5 MB each.")
    shared.add_coco_options(c)
    c.add_argument("--photos", nargs="+", default=[], metavar="FOLDER", help="Cut crops from the photos of these folders too, which have no labels.")
    about = "Ask this network (default: human-pose-estimation-0001)."
    pose_archs = [name for name, row in ARCHS.items() if row.task == "pose"]
    c.add_argument("--teacher", default="human-pose-estimation-0001", choices=pose_archs, help=about)
    c.add_argument(
        "--teacher_weights", metavar="FILE", help="Read the teacher's weights from this .xml or .npz (default: those that ship, or were fetched)."
    )
    c.add_argument("--count", type=cli.positive_int, default=7000, help="Cut so many crops (default: 7000).")
    c.add_argument("--side", type=cli.stride_multiple, default=384, help="Cut crops of this side, pixels (default: 384).")
    c.add_argument(
        "--seed",
        type=partial(cli.whole_number, least=0),
        default=0,
        help="Choose the crops by this number; another one cuts other crops, beside those that are there (default: 0).",
    )
    c.set_defaults(work=make_crops)
    t = commands.add_parser("train", help="Train on the crops.")
    t.add_argument("folder", metavar="FOLDER", help="The folder of crops.")
    t.add_argument("state", metavar="STATE", help="The file in which the training is kept, for --resume and distil.export.")
    t.add_argument(
        "--arch",
        default="lightposenet",
        choices=[name for name in OURS if ARCHS[name].task == "pose"],
        help="Train this network (default: lightposenet).",
    )
    t.add_argument(
        "--cells",
        type=cli.positive_int,
        default=CELLS,
        help=f"Put crops with so many cells of maps into a batch; fewer need less memory (default: {CELLS}).",
    )
    shared.add_training_options(t, RATE)
    t.set_defaults(work=train)
    return p


def make_crops(options):
    photos = photos_of_coco(options.coco_dir, options.splits) + [photo for folder in options.photos for photo in photos_of_folder(folder)]
    folder, name = make_folder(options.folder), f"seed{options.seed}"
    if (folder / f"{name}.json").exists():
        raise InputError(f"{folder}: the crops of --seed {options.seed} are there; name another seed, or remove {name}.json and {name}_*.npy")
    hints = HINTS.get(options.teacher, ())
    net = add_outputs(open_net(options.teacher, options.teacher_weights, hint="throughput"), [hint.layer for hint in hints])
    with tqdm(total=options.count, unit="crop", disable=None) as progress:
        make_set(folder, name, options.count, net, Drawer(photos, options.side), hints, np.random.default_rng(options.seed), progress.update)
    print(f"{folder}: {options.count} crops of {options.side} pixels from {len(photos)} photos")


def train(options):
    shared.need_torch()
    row, sets = ARCHS[options.arch], CropSets(Path(options.folder))
    taps = [(each.tap, len(each.deviations)) for each in sets.axes]
    examples = (to_input(x, row) for x, _, _ in endless(sets, np.random.default_rng(options.seed), options.cells))
    trainer = shared.make_trainer(shared.training_options(options), options.arch, taps, {"hints": [list(tap) for tap in taps]}, examples)
    hint_weights = weights_of(sets.axes) if taps else np.zeros(0, np.float32)
    print(f"{len(sets)} crops, {sum(p.numel() for p in trainer.student.parameters())} parameters, {trainer.device}", flush=True)
    batches = endless(sets, np.random.default_rng([options.seed, trainer.iteration]), options.cells)
    trainer.run(read_ahead(batches), make_loss(row, hint_weights, trainer.device))
    print(f"{options.state}: {trainer.iteration} iterations; python -m distil.export {options.state} WEIGHTS.npz writes the weights")


def endless(sets, rng, cells):
    while True:
        yield sets.batch(rng, cells)


def to_input(x, row, device="cpu"):
    """x (N, H, W, 3) uint8 -> (N, 3, H, W) float32 tensor as the row of ARCHS wants it, channels last."""
    import torch

    return torch.from_numpy(x).to(device).permute(0, 3, 1, 2).float().mul_(row.scale).add_(row.offset)


def make_loss(row, hint_weights, device):
    """loss_of(student, (x, y, f), part) of distil.loop.Trainer: squared errors of each stage's maps, and of the hints."""
    import torch

    hint_weights = torch.from_numpy(hint_weights).to(device)[None, :, None, None]

    def loss_of(student, batch, part):
        x, y, f = batch
        stages, hints = student(to_input(x, row, device))
        target = torch.from_numpy(y).to(device).float() / MAPS_SCALE
        weight = (1 + HIGH * target.abs()) * PER_CELL / (target.shape[2] * target.shape[3])
        losses = [(((maps.float() - target) ** 2) * weight).sum((1, 2, 3)).mean() for maps in stages]
        parts = {f"stage {number}": loss for number, loss in enumerate(losses, 1)}
        loss = sum(losses[:-1]) + LAST_STAGE * losses[-1]
        if hints:
            said = torch.from_numpy(f).to(device).float() / HINTS_SCALE
            parts["hints"] = ((torch.cat(hints, 1).float() - said) ** 2 * hint_weights).sum(1).mean()
            begin, end = HINTS_COUNT
            loss = loss + (begin + (end - begin) * part) * parts["hints"]
        return loss, parts

    return loss_of


def main(argv=None) -> int:
    return shared.run(parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
