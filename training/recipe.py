"""How a network is trained, as named values. The fields are called as the options of train_coco_pose_estimation.py are."""

from dataclasses import dataclass

from entity import COCO_DIR, LEARNING

SAME = ("arch", "insize", "batchsize", "seed", "optimizer", "lr", "schedule", "ema", "batch_normalisation", "freeze")  # in a resumed run


@dataclass(frozen=True)
class Recipe:
    """Of one run. Numbers that count are of iterations, except where it is said."""

    arch: str  # of models.ARCHS
    out: str  # folder of snapshots, models and log
    insize: int  # pixels
    resume: str | None = None  # a snapshot; "": the newest one in `out`; None: begin
    iteration: int = LEARNING.iterations
    batchsize: int = LEARNING.batch  # samples of each process
    seed: int = 0
    loaderjob: int = 2  # processes that make samples
    optimizer: str = "adam"  # adam, adamw or sgd
    lr: float = LEARNING.rate
    schedule: str = "original"  # original, cosine or constant
    freeze: int = LEARNING.freeze
    ema: float = 0.0  # decay of the running average; 0: none
    batch_normalisation: bool = False
    teacher_weight: float = 1.0  # of the teacher's maps; a label's is 1
    valbatchsize: int = 4  # samples
    val_interval: int = LEARNING.interval
    eval_interval: int = 0  # 0: AP is not measured
    eval_samples: int = 50  # pictures
    log_interval: int = 20
    interval: int = LEARNING.interval  # between snapshots, and models
    keep: int = 3  # snapshots that stay; 0: all
    gpu: int = -1  # its number; -1: the CPU
    communicator: str | None = None  # of ChainerMN
    coco_dir: str = COCO_DIR
    prog: str = "training"  # who speaks: begins the lines on stderr

    @property
    def same(self) -> dict:
        """{field: value} that a resumed run must share."""
        return {name: getattr(self, name) for name in SAME}
