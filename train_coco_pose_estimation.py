"""Train a pose network on COCO.

python train_coco_pose_estimation.py --arch lightposenet --initmodel models/light_posenet.npz --coco_dir coco --out result
python train_coco_pose_estimation.py --arch posenet --coco_dir coco --batchsize 10 --gpu 0 --out result
mpiexec -n 2 python train_coco_pose_estimation.py --communicator naive --coco_dir coco --out result

OUT gets snapshot_iter_N (--resume continues from the newest one, bit for bit), model_iter_N (pose_detector.py takes it), log and loss.png.
Ctrl-C ends after the iteration at work, with a snapshot.
"""

import process  # noqa: F401 (before what takes seconds)

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import cli
from engines import open_net
from entity import LEARNING, TRAINING
from errors import InputError
from files import make_folder
from models import ARCHS, MODELS, OURS, VGG19, other_shapes, shapes_of
from models.weights import read_weights
from training.recipe import Recipe

POSE_ARCHS = [name for name in OURS if ARCHS[name].task == "pose"]
TEST = {"iteration": 10, "val_samples": 10, "interval": 5, "val_interval": 5, "log_interval": 1}  # of --test, where not named otherwise


def parser():
    p = cli.Parser(prog="train_coco_pose_estimation.py", description=__doc__)
    count, zero = partial(cli.whole_number, least=1), partial(cli.whole_number, least=0)
    bounds = {"rate": (1e-12, 10), "share": (0, 0.999999), "weight": (0, 1000)}
    rate, share, weight = (partial(cli.bounded_float, least=least, most=most, what=what) for what, (least, most) in bounds.items())
    p.add_argument("--arch", choices=POSE_ARCHS, default="posenet", help="Train this network (default: posenet).")
    cli.add_coco_dir(p)
    p.add_argument("--out", default="result", metavar="FOLDER", help="Write snapshots, models, log and curves into this folder (default: result).")
    p.add_argument("--initmodel", metavar="FILE", help="Begin with these weights, an .npz or a model_iter_N, instead of random ones.")
    p.add_argument(
        "--vgg",
        metavar="FILE",
        help="Begin posenet's trunk with VGG-19's weights, an .npz or .caffemodel (default: models/vgg19.npz if it is there).",
    )
    p.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="SNAPSHOT",
        help="Go on with a run that ended early, from this snapshot (without a name: the newest one in --out).",
    )
    p.add_argument("--iteration", type=count, metavar="N", help=f"Train for N iterations (default: {LEARNING.iterations}).")
    p.add_argument(
        "--batchsize",
        type=count,
        default=LEARNING.batch,
        metavar="N",
        help=f"Take N samples an iteration, in each process; fewer need less memory (default: {LEARNING.batch}).",
    )
    p.add_argument(
        "--insize",
        type=cli.stride_multiple,
        default=TRAINING.insize,
        metavar="PIXELS",
        help=f"Train on squares of this side; smaller ones are quicker and find smaller people worse (default: {TRAINING.insize}).",
    )
    p.add_argument(
        "--seed",
        type=zero,
        default=0,
        metavar="N",
        help="Begin weights, order and variation of the samples by this number; the same number gives the same run (default: 0).",
    )
    p.add_argument(
        "--loaderjob",
        type=zero,
        default=2,
        metavar="N",
        help="Make samples in N processes beside the training; 0 makes them in the training itself (default: 2).",
    )
    p.add_argument("--test", action="store_true", help=f"Try everything in a short run: {', '.join(f'{k} {v}' for k, v in TEST.items())}.")

    group = p.add_argument_group("learning")
    group.add_argument(
        "--optimizer",
        choices=("adam", "adamw", "sgd"),
        default="adam",
        help="Learn with this rule; adam is the original's, adamw decays the weights too (default: adam).",
    )
    group.add_argument(
        "--lr",
        type=rate,
        metavar="RATE",
        help=f"Learn at this rate; lower where the loss jumps (default: {LEARNING.rate}; sgd {100 * LEARNING.rate}).",
    )
    group.add_argument(
        "--schedule",
        choices=("original", "cosine", "constant"),
        default="original",
        help="Let the rate fall to a tenth twice (original), fall along a cosine, or stay (default: original).",
    )
    group.add_argument(
        "--freeze",
        type=zero,
        default=LEARNING.freeze,
        metavar="N",
        help=f"Leave the layers of VGG-19 as they are for the first N iterations, while the new layers learn (default: {LEARNING.freeze}).",
    )
    group.add_argument(
        "--ema",
        type=share,
        default=0.0,
        metavar="D",
        help="Save a running average of the weights, of which each iteration changes the share 1 - D, for example 0.999 (default: 0, no average).",
    )
    group.add_argument(
        "--batch_normalisation",
        action="store_true",
        help="Train lightposenet with batch normalisation, which steadies large rates; what is saved has it folded in.",
    )

    group = p.add_argument_group("a teacher, and pictures without labels")
    group.add_argument("--teacher", metavar="FILE", help="Learn from the maps of this better network (.xml, .npz) where COCO has no labels.")
    pose_archs = [name for name, row in ARCHS.items() if row.task == "pose"]
    about = "Say which network the teacher is (default: human-pose-estimation-0001)."
    group.add_argument("--teacher_arch", default="human-pose-estimation-0001", choices=pose_archs, help=about)
    group.add_argument(
        "--teacher_weight", type=weight, default=1.0, metavar="W", help="Let the teacher's maps count W times as much as COCO's labels (default: 1)."
    )
    group.add_argument(
        "--pictures",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="Train on the pictures of these folders too, which have no labels; this needs --teacher.",
    )

    group = p.add_argument_group("validation and files")
    group.add_argument(
        "--valbatchsize", type=count, default=4, metavar="N", help="Validate N samples at a time; fewer need less memory (default: 4)."
    )
    group.add_argument(
        "--val_samples", type=count, metavar="N", help=f"Validate on N pictures of val, always the same (default: {LEARNING.val_samples}, or all)."
    )
    group.add_argument("--val_interval", type=count, metavar="N", help=f"Validate every N iterations (default: {LEARNING.interval}).")
    group.add_argument("--eval_interval", type=zero, default=0, metavar="N", help="Measure COCO's AP every N iterations; 0 never does (default: 0).")
    group.add_argument(
        "--eval_samples", type=count, default=50, metavar="N", help="Measure AP on N pictures of val; more take longer and say more (default: 50)."
    )
    group.add_argument("--log_interval", type=count, metavar="N", help="Write a line of the log every N iterations (default: 20).")
    group.add_argument("--interval", type=count, metavar="N", help=f"Write a snapshot and a model every N iterations (default: {LEARNING.interval}).")
    group.add_argument("--keep", type=zero, default=3, metavar="N", help="Keep the newest N snapshots; 0 keeps all (default: 3).")

    group = p.add_argument_group("machines")
    group.add_argument(
        "--gpu",
        type=partial(cli.whole_number, least=-1),
        default=-1,
        metavar="N",
        help="Train on the GPU of this number, through CuPy; -1 is the CPU (default: -1).",
    )
    group.add_argument(
        "--communicator",
        choices=("naive", "flat", "pure_nccl"),
        help="Train in several processes, under mpiexec, that talk by this communicator of ChainerMN; pure_nccl is for GPUs.",
    )
    p.set_defaults(prog=p.prog)
    return p


def with_defaults(options):
    """The options with what --test, the optimizer and the set leave open."""
    usual = {"iteration": LEARNING.iterations, "interval": LEARNING.interval, "val_interval": LEARNING.interval, "log_interval": 20}
    chosen = {name: getattr(options, name) for name in usual}
    filled = {name: value if value is not None else (TEST if options.test else usual)[name] for name, value in chosen.items()}
    base = options.lr if options.lr is not None else LEARNING.rate * (100 if options.optimizer == "sgd" else 1)
    return cli.changed(options, lr=base, **filled)


def check(options):
    """Raise InputError for options that contradict each other, or name nothing, before anything slow begins."""
    if options.pictures and not options.teacher:
        raise InputError("--pictures have no labels: name --teacher, a network whose maps they are to be trained with")
    if options.batch_normalisation and options.arch != "lightposenet":
        raise InputError(f"--batch_normalisation is for lightposenet; {options.arch} trains without")
    if options.vgg and options.arch != "posenet":
        raise InputError(f"--vgg is for posenet; {options.arch} has other layers; leave it out, or use --initmodel")
    if options.vgg and options.initmodel:
        raise InputError("--vgg and --initmodel both name the first weights; give one of them")
    if options.initmodel and options.batch_normalisation and options.resume is None:
        raise InputError("--batch_normalisation is for training from nothing: a network that has it folded in goes on without it")
    out = Path(options.out)
    try:
        tempfile.TemporaryFile(dir=next(each for each in (out, *out.absolute().parents) if os.path.lexists(each))).close()
    except OSError as error:
        raise InputError(f"--out {out}: files cannot be written there ({error.strerror}); choose another folder") from None
    if options.resume is None and any(out.glob("snapshot_iter_*")):
        raise InputError(f"--out {out}: there are snapshots of an earlier run; --resume continues it, or choose another folder")


def first_weights(options) -> dict:
    """The weights to begin with: --initmodel's, or random ones with VGG-19's trunk where it is to be had."""
    shapes = shapes_of(options.arch)
    if options.initmodel:
        return read_weights(options.initmodel, shapes, other_shapes(options.arch))
    from training.updater import initial_weights

    weights = initial_weights(shapes, np.random.default_rng(options.seed))
    if options.arch != "posenet":
        return weights
    path = options.vgg or (MODELS / "vgg19.npz" if (MODELS / "vgg19.npz").is_file() else None)
    if path is None:
        note = f"models/{VGG19}.npz is missing, so posenet's trunk begins with random weights; ./getModels.sh --vgg fetches it"
        print(f"{options.prog}: {note}", file=sys.stderr)
        return weights
    if str(path).lower().endswith(".caffemodel"):
        from models.caffe import read_caffemodel

        return weights | read_caffemodel(path, shapes_of(VGG19))[0]
    return weights | read_weights(path, shapes_of(VGG19), other_shapes(VGG19))


def make_datasets(options) -> tuple:
    """Training samples, validation samples and the indices of those that are used."""
    from coco_data_loader import CocoDataLoader  # which --help need not wait for
    from training.mixed import MixedSamples, UnlabelledSamples

    train = CocoDataLoader(options.coco_dir, options.insize, "train", options.seed)
    val = CocoDataLoader(options.coco_dir, options.insize, "val")
    wanted = options.val_samples or min(TEST["val_samples"] if options.test else LEARNING.val_samples, len(val))
    if wanted > len(val):
        raise InputError(f"--val_samples {wanted}: val2017 has only {len(val)} pictures to validate on; name fewer")
    extra = [UnlabelledSamples(folder, options.insize) for folder in options.pictures]
    indices = [number * len(val) // wanted for number in range(wanted)]  # evenly spread, the same in every run
    return (MixedSamples([train, *extra]) if extra else train), val, indices


def train(options):
    options = with_defaults(options)
    check(options)
    datasets = make_datasets(options)
    weights = None if options.resume is not None else first_weights(options)
    teacher = open_net(options.teacher_arch, options.teacher, precision="f32") if options.teacher else None
    make_folder(options.out)
    from pose_detector import PoseDetector
    from training.run import run  # Chainer takes a second to import: after what can be checked without

    recipe = Recipe(**{name: getattr(options, name) for name in Recipe.__dataclass_fields__})
    return run(recipe, datasets, weights, teacher, PoseDetector)


def main(argv=None) -> int:
    return cli.run(parser(), train, argv)


if __name__ == "__main__":
    sys.exit(main())
