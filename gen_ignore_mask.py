"""Write the masks of what does not count in COCO's pictures: crowds, and people with too few labelled joints or too small.

python gen_ignore_mask.py --coco_dir coco
python gen_ignore_mask.py --coco_dir coco --split val --vis --out mask_views

A mask is COCO_DIR/ignore_mask_{train,val}2017/{image id, 12 digits}.png, white where pixels do not count, of the picture's size. A picture where
everybody counts has none, and neither has one without anybody to train on. Masks that are there are kept, so a broken run can be continued.
"""

import process  # noqa: F401 (before what takes seconds)

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import cli
from coco_data_loader import CocoDataLoader
from entity import COCO_YEAR
from errors import InputError
from evaluation.coco import SPLITS, check_coco, is_trained_on, mask_path
from files import make_folder
from keypoints import draw
from streams import results
from streams.picture import read_image
from streams.window import has_screen, show_picture
from training import workers

VIEWS = "mask_views"
CHUNK = 16  # pictures that a process takes at a time


def parser():
    p = cli.Parser(prog="gen_ignore_mask.py", description=__doc__)
    cli.add_coco_dir(p)
    p.add_argument("--split", choices=SPLITS, help="Make the masks of this part of COCO only (default: of those that are there).")
    p.add_argument(
        "--jobs",
        type=partial(cli.whole_number, most=256),
        default=os.cpu_count(),
        metavar="N",
        help="Work in N processes (default: as many as there are cores).",
    )
    p.add_argument("--vis", action="store_true", help="Write no masks, but show people and mask side by side; any key shows the next one, q ends.")
    p.add_argument("--out", metavar="FOLDER", help=f"With --vis, write the views into this folder (default: a window; without a screen {VIEWS}).")
    p.add_argument("--number", type=cli.positive_int, default=20, metavar="N", help="With --vis, write N views (default: 20).")
    return p


def generate(options):
    if options.out is not None and not options.vis:
        raise InputError("--out is for --vis; masks go into COCO's folder, --coco_dir")
    splits = [options.split] if options.split else [split for split in SPLITS if (Path(options.coco_dir) / f"{split}{COCO_YEAR}").exists()]
    for split in splits or SPLITS[:1]:
        check_coco(options.coco_dir, split)
        loader = CocoDataLoader(options.coco_dir, mode=split, use_masks=False)
        pictures = [picture for picture in loader.pictures if not all(map(is_trained_on, picture.annotations))]
        if options.vis:
            show_masks(loader, pictures, options)
        else:
            write_masks(loader, pictures, options)


def write_masks(loader, pictures, options):
    """Write those masks that are not there yet."""
    folder = make_folder(mask_path(options.coco_dir, loader.split, 0).parent)
    with tqdm(total=len(pictures), desc=folder.name, unit="mask", disable=None) as bar:
        tasks = [(mask_path(options.coco_dir, loader.split, picture.image_id), picture) for picture in pictures]
        written = 0
        for is_new in run_all(write_mask, tasks, options.jobs):
            written += is_new
            bar.update()
    print(f"{folder}: {written} masks written, {len(pictures) - written} were there; {len(loader) - len(pictures)} pictures need none")


def write_mask(task) -> bool:
    """Write the mask of a task (path, picture), unless it is there; whether it was written."""
    path, picture = task
    if is_whole(path, picture):
        return False
    results.write_image(path, CocoDataLoader.make_mask(picture).astype(np.uint8) * 255)
    return True


def is_whole(path, picture) -> bool:
    """Whether a picture's mask lies at path, complete."""
    try:
        return path.is_file() and read_image(path).shape[1::-1] == picture.size_wh
    except InputError:
        return False


def run_all(work, tasks, jobs):
    """Yield work(task) of each task, in order, by so many processes."""
    if jobs == 1 or len(tasks) <= CHUNK:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(jobs, initializer=workers.settle)
    try:
        workers.start(pool)
        yield from pool.map(work, tasks, chunksize=CHUNK)
    except BrokenProcessPool:
        raise InputError("a process that makes masks has ended by itself (killed, or out of memory); run it again, with fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)


def show_masks(loader, pictures, options):
    """Show or write pictures: the people to train on, and beside them what does not count."""
    folder = options.out or (None if has_screen() else VIEWS)
    if folder is not None:
        folder, pictures = make_folder(folder), pictures[: options.number]
    for picture in tqdm(pictures, unit="picture", disable=None if folder else True):
        image = loader.read(picture)
        view = np.hstack([draw.draw_poses(image, picture.poses), draw.draw_mask(image, CocoDataLoader.make_mask(picture))])
        if folder is not None:
            results.write_image(folder / f"{picture.image_id:012d}.png", view)
        elif not show_picture("ignore mask (any key: next; q: end)", view):
            break
    if folder is not None:
        print(f"{folder}: {len(pictures)} pictures of {loader.split}{COCO_YEAR}; left the labelled people, right in red what does not count")


def main(argv=None) -> int:
    return cli.run(parser(), generate, argv)


if __name__ == "__main__":
    sys.exit(main())
