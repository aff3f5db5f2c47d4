"""Put a training run together and run it."""

import contextlib
import copy
import signal
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from engines import memory
from engines.chainer_compat import chainer
from engines.chainer_net import ChainerNet, open_device
from errors import InputError
from evaluation.coco import check_coco, check_pictures, read_annotations
from evaluation.coco_ap import choose, coco_entries, coco_figures, detect_all
from models import ARCHS, VGG19, shapes_of
from training import extensions, snapshot
from training.iterator import SampleIterator
from training.machines import open_communicator, share_cores, together
from training.updater import Teacher, Updater, initial_weights, learning_rate, make_chain, make_optimizer

INTERRUPTED = {getattr(signal, name): 128 + getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
COLUMNS = ("epoch", "iteration", "main/loss", "val/loss", "main/paf", "val/paf", "main/heat", "val/heat", "AP", "rate", "wait", "elapsed_time")
AFTER_VGG = ("conv4_3_CPM", "conv4_4_CPM")  # their gradients are scaled as VGG's are


def run(recipe, datasets, weights, teacher, detector_of) -> int:
    """Train. recipe: a training.recipe.Recipe. datasets: training samples, validation samples, indices of these. weights: to begin with, None to
    resume. teacher: a network or None. detector_of(net) -> a PoseDetector, to measure AP. Returns the exit status; raises InputError.
    """
    memory.reserve(memory.of_training(shapes_of(recipe.arch)), f"training {recipe.arch}")
    communicator = open_communicator(recipe.communicator)
    with together(communicator, recipe.prog):
        return run_process(recipe, datasets, weights, teacher, detector_of, communicator)


def run_process(recipe, datasets, weights, teacher, detector_of, communicator) -> int:
    """What one process does; arguments as of run, and ChainerMN's communicator or None."""
    processes = communicator.size if communicator else 1
    is_first = communicator is None or communicator.rank == 0
    device = open_device(communicator.intra_rank if communicator and recipe.gpu >= 0 else recipe.gpu)
    device.use()
    share_cores(communicator)
    stop = extensions.Stop(recipe.iteration, communicator)
    trainer, chain = make_trainer(recipe, datasets, weights, teacher, communicator, device, stop)
    same = {**recipe.same, "processes": processes, "samples": len(datasets[0])}
    if recipe.resume is not None:
        resume(recipe, trainer, same)
    if communicator:
        communicator.bcast_data(chain)
    saved = trainer.updater.ema or chain
    add_validation(trainer, recipe, datasets, saved, device, communicator)
    if is_first:
        net = ChainerNet(saved, device)
        net.arch = ARCHS[recipe.arch]
        add_extensions(trainer, recipe, net, same, detector_of)
    begin = trainer.updater.iteration
    silent = np.errstate(over="ignore", invalid="ignore")  # a diverging run has its own line
    with listening(stop, trainer, begin, recipe.prog if is_first else None), kept(trainer, recipe.out, begin), silent:
        trainer.run(show_loop_exception_msg=False)
        if is_first:
            finish(trainer, recipe, begin, stop)
    if communicator:
        communicator.mpi_comm.barrier()  # mpiexec ends all when one has ended with a status: not before the files are written
    return 0 if stop.now is None else INTERRUPTED[stop.now]


def throughput(arch, samples, weights, batch, iterations, jobs=1) -> tuple:
    """(images per second, share of the time spent waiting for data) of training on the CPU with Adam, after the first iteration.

    samples: training samples, as CocoDataLoader; jobs: processes that make them.
    """
    chain = make_chain(ARCHS[arch].network, shapes_of(arch), weights)
    iterator = SampleIterator(samples, batch, jobs=jobs)
    updater = Updater(iterator, make_optimizer("adam", 1e-5).setup(chain), open_device(-1), lambda _: 1e-5)
    try:
        updater.update()
        updater.share_waited()
        begin = time.perf_counter()
        for _ in range(iterations):
            updater.update()
        return iterations * batch / (time.perf_counter() - begin), updater.share_waited()
    finally:
        iterator.finalize()


def make_trainer(recipe, datasets, weights, teacher, communicator, device, stop) -> tuple:
    """(trainer with its updater, the chain in training), with nothing of a snapshot yet."""
    samples, _, _ = datasets
    network, shapes = ARCHS[recipe.arch].network, shapes_of(recipe.arch)
    weights = weights or initial_weights(shapes, np.random.default_rng(recipe.seed))
    chain = make_chain(network, shapes, weights, recipe.batch_normalisation, communicator)
    chain.to_device(device)
    rank, size = (communicator.rank, communicator.size) if communicator else (0, 1)
    iterator = SampleIterator(samples, recipe.batchsize, recipe.seed, recipe.loaderjob, rank, size)
    optimizer = make_optimizer(recipe.optimizer, recipe.lr).setup(chain)
    trunk = list(dict.fromkeys(key.split("/")[0] for key in shapes_of(VGG19))) if recipe.arch == "posenet" else []
    updater = Updater(
        iterator,
        optimizer,
        device,
        partial(learning_rate, total=recipe.iteration, schedule=recipe.schedule, base=recipe.lr),
        ema=copy.deepcopy(chain) if recipe.ema else None,
        ema_decay=recipe.ema,
        frozen=trunk,
        slow=[*trunk, *AFTER_VGG] if trunk else [],
        freeze_until=recipe.freeze,
        teacher=Teacher(teacher, recipe.teacher_weight) if teacher else None,
        communicator=communicator,
    )
    return chainer.training.Trainer(updater, stop, out=recipe.out), chain


def resume(recipe, trainer, same):
    """Read the snapshot that --resume names, or the newest one in --out. Raises InputError."""
    path = recipe.resume or snapshot.find_last(recipe.out)
    if path is None:
        raise InputError(f"--resume: there is no snapshot in {recipe.out}; name one, or leave --resume out to begin")
    add_log(trainer, recipe)
    snapshot.load(path, trainer, same)
    if trainer.updater.iteration >= recipe.iteration:
        raise InputError(f"--resume {path}: it is of iteration {trainer.updater.iteration}, and --iteration {recipe.iteration} is reached; raise it")


def add_log(trainer, recipe):
    """LogReport, whose entries are in the snapshots."""
    trainer.extend(chainer.training.extensions.LogReport(trigger=when_to_log(recipe), filename="log", postprocess=rounded), name="LogReport")


def when_to_log(recipe):
    """Also at every validation and AP, so that each stands at its own iteration, and at the end."""
    periods = (recipe.log_interval, recipe.val_interval, recipe.eval_interval)
    return extensions.Every(*filter(None, periods), last=recipe.iteration)


def rounded(entry):
    """Floats with six digits, in place: that is how LogReport takes it."""
    entry.update({name: float(f"{value:.6g}") for name, value in entry.items() if isinstance(value, float)})


def add_validation(trainer, recipe, datasets, chain, device, communicator):
    """On every process."""
    _, samples, indices = datasets
    size = communicator.size if communicator else 1
    if len(indices) < size:
        raise InputError(f"--val_samples {len(indices)}: expected one at least for each of the {size} processes; raise it")
    indices = indices[: len(indices) // size * size]  # every process takes as many
    validation = extensions.Validation(samples, indices, recipe.valbatchsize, chain, device, communicator)
    if communicator:
        import chainermn

        validation = chainermn.create_multi_node_evaluator(validation, communicator)
    trainer.extend(validation, trigger=extensions.Every(recipe.val_interval))


def add_extensions(trainer, recipe, net, same, detector_of):
    """On the first process: log, table, bar, curves, AP, models and snapshots. net: what is saved, as a network."""
    chainers, every = chainer.training.extensions, extensions.Every
    log, models = when_to_log(recipe), every(recipe.interval)
    trainer.extend(chainers.observe_value("rate", lambda t: t.updater.rate_of(max(t.updater.iteration - 1, 0))), trigger=log)
    trainer.extend(extensions.DataWait(), trigger=log)
    trainer.extend(extensions.Finite(), trigger=log)
    if "LogReport" not in trainer._extensions:
        add_log(trainer, recipe)
    columns = [name for name in COLUMNS if name != "AP" or recipe.eval_interval]
    table = chainers.PrintReport(columns, out=extensions.Table())
    table._log_len = len(trainer.get_extension("LogReport").log)  # a resumed run prints its own lines
    trainer.extend(table, trigger=log)
    trainer.extend(extensions.Progress(recipe.iteration))
    if recipe.eval_interval:
        measure = partial(average_precision, detector_of(net), *pictures_to_evaluate(recipe))
        trainer.extend(extensions.AveragePrecision(measure), trigger=every(recipe.eval_interval))
    trainer.extend(extensions.Curves(recipe.out), trigger=every(recipe.val_interval))
    trainer.extend(extensions.Models(recipe.out, net.chain), trigger=models)
    trainer.extend(extensions.Snapshots(recipe.out, same, recipe.keep), trigger=models)


def pictures_to_evaluate(recipe) -> tuple:
    """(COCO's dataset of --eval_samples pictures of val, their folder). Raises InputError before the run, not in it."""
    annotations, folder = check_coco(recipe.coco_dir, "val")
    dataset = choose(read_annotations(annotations), recipe.eval_samples)
    check_pictures(dataset["images"], folder)
    return dataset, folder


def average_precision(detector, dataset, folder):
    """AP on the pictures; None where it is not defined."""
    found, _ = detect_all(detector, dataset["images"], folder)
    return coco_figures(dataset, coco_entries(found))["AP"]


@contextmanager
def listening(stop, trainer, begin, prog):
    """`with listening(stop, trainer, begin, prog):` the first Ctrl-C, SIGTERM or SIGHUP ends the run after its iteration, the second one at once.

    At once, too, where no iteration was finished since number `begin`: there is nothing to keep.
    """

    def take(number, _):
        if stop.now is not None or (trainer.updater.iteration == begin and stop.communicator is None):
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(INTERRUPTED[number])
        stop.now = number
        if prog:
            tqdm.write(f"{prog}: interrupted; this iteration is finished, and a snapshot written (once more: end at once)", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in INTERRUPTED if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, take) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def kept(trainer, out, begin):
    """`with kept(trainer, out, begin):` where the run breaks off, a snapshot keeps what was done since iteration `begin`, if one can be written."""
    try:
        yield
    except (InputError, OSError) as error:
        if trainer.updater.iteration > begin and "snapshots" in trainer._extensions:
            with contextlib.suppress(InputError):
                trainer.get_extension("snapshots")(trainer)
        if isinstance(error, InputError):
            raise
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error}); make room, and go on with --resume") from None


def finish(trainer, recipe, begin, stop):
    """Write what the intervals left out, and say where it is."""
    iteration = trainer.updater.iteration
    for name in ("models", "snapshots"):
        extension = trainer.get_extension(name)
        if iteration > begin and iteration % recipe.interval:
            extension(trainer)
    if iteration % recipe.val_interval:
        trainer.get_extension("curves")(trainer)
    what = "done" if stop.now is None else "interrupted; --resume continues"
    written = [name for name in (extensions.MODEL.format(iteration), "log", "loss.png") if (Path(recipe.out) / name).is_file()]
    print(f"{recipe.out}: iteration {iteration} of {recipe.iteration}, {what}; {', '.join(written)}")
