"""Options of what is read and what is written, and the named values that the rooms below take of them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cli
from files import STDIN


def add_source_options(parser, pose=True, words=False):
    """--img or --input, and the outputs (streams/pipeline.py). pose: the detector finds poses, which can be tracked, and evaluated as COCO does.
    words: what is read may be named without an option too (cli_network.add_network)."""
    group = parser.add_argument_group("pictures in")
    source = group.add_mutually_exclusive_group(required=not words)
    source.add_argument(
        "--img",
        metavar="PICTURE",
        help="Read one picture: a file, a URL, or - for stdin. It is drawn into result.png unless --out or --no_draw says otherwise.",
    )
    source.add_argument(
        "--input",
        nargs="+",
        metavar="X",
        help="Read pictures, a folder, a 'glob', a list of files (.txt), a video (- for one on stdin: y4m, MJPEG), a camera by its number, "
        "or a URL (rtsp://, http://).",
    )
    group.add_argument(
        "-r", "--recursive", action="store_true", help="Read the folders in a folder too; without this only the pictures right in it are read."
    )
    add_output_options(parser, pose)


def add_camera_options(parser, pose=True):
    """--camera or --input, and the outputs of what goes on without an end."""
    group = parser.add_argument_group("camera")
    group.add_argument(
        "--camera",
        type=partial(cli.whole_number, least=0, most=1000),
        default=0,
        metavar="N",
        help="Read the camera of this number; 0 is the first one (default: 0).",
    )
    group.add_argument("--input", metavar="X", help="Play this video in the camera's place, or read a camera behind a URL (rtsp://, http://).")
    add_output_options(parser, pose, live=True)


def add_output_options(parser, pose=True, live=False):
    """--out and the files of results."""
    group = parser.add_argument_group("results out")
    many = "a folder or a video (.mp4, .webm, .avi)"
    kinds = f"into {many}" if live else f"into a picture (- for a PNG on stdout); many into {many}"
    unit = "frame" if live else "picture or frame"
    group.add_argument("--out", metavar="X", help=f"Draw the result {kinds}.")
    group.add_argument("--jsonl", metavar="FILE", help=f"Write the numbers, a line of JSON for each {unit}.")
    group.add_argument("--csv", metavar="FILE", help="Write a table with a line for each person, for spreadsheets.")
    group.add_argument("--openpose_json", metavar="FOLDER", help=f"Write a file for each {unit}, as OpenPose does, for tools that read its files.")
    models = ("COCO", "BODY_25")
    about = "Write 18 joints (COCO) or 25 (BODY_25) into --openpose_json; some tools read only BODY_25 (default: COCO)."
    group.add_argument("--openpose_model", choices=models, default="COCO", help=about)
    group.add_argument(
        "--codec",
        metavar="FOURCC",
        help="Write the video with this codec, four letters, where a player needs another one than H.264 (avc1; VP90 in .webm, MJPG in .avi).",
    )
    if not live:
        add_choice_options(parser)
        about = "Write the numbers of one picture; - writes them to stdout, as for --jsonl, --csv and --coco_results."
        group.add_argument("--json", metavar="FILE", help=about)
        group.add_argument(
            "--resume", action="store_true", help="Go on with a run over pictures that was interrupted, without doing again what is done."
        )
        group.add_argument("--show", action="store_true", help="Open a window with the result.")
    group.add_argument(
        "-v", "--verbose", action="store_true", help=f"Print a line for each {unit}: what was found, how long it took, what was left out."
    )
    if pose:
        _add_people_options(group, live)
    _add_drawing_options(parser.add_argument_group("drawing"), pose, live)
    parser.set_defaults(prog=parser.prog)


def add_choice_options(parser):
    """--first, --last, --step, --fps (streams/selection.py)."""
    group = parser.add_argument_group("frames of a video, or some of many pictures")
    number = partial(cli.whole_number, least=0)
    group.add_argument("--first", type=number, default=0, metavar="N", help="Begin with frame N, counted from 0, to leave out what comes before.")
    group.add_argument("--last", type=number, metavar="N", help="End with frame N, to try something out on a few frames.")
    group.add_argument(
        "--step", type=cli.positive_int, default=1, metavar="N", help="Take every Nth frame, to be N times as fast; the time goes on as it was."
    )
    rate = partial(cli.bounded_float, least=0.1, most=1000, what="rate")
    group.add_argument(
        "--fps", type=rate, metavar="N", help="Take N frames of a video's second; of pictures, show N in a second of --out VIDEO (default: 25)."
    )


def _add_people_options(group, live):
    """Which people count, and who they are."""
    share = partial(cli.bounded_float, least=0, most=100, what="rank")
    about = (
        "Leave out people whose rank is lower; --labels shows the ranks. Raise it where too much is found (default: 0, the network's own thresholds)."
    )
    group.add_argument("--threshold", type=share, default=0.0, metavar="RANK", help=about)
    group.add_argument(
        "--max_people", type=cli.whole_number, metavar="N", help="Keep only the N people of a picture who rank highest (default: all)."
    )
    group.add_argument("--track", action="store_true", help="Give people numbers, the same one to the same person from frame to frame.")
    group.add_argument("--smooth", action="store_true", help="Do as --track does, and let joints tremble less (a one-euro filter).")
    if not live:
        group.add_argument("--coco_results", metavar="FILE", help="Write a list that pycocotools loads.")


def _add_drawing_options(group, pose, live):
    """What a drawn picture looks like."""
    if not live:
        group.add_argument("--no_draw", action="store_true", help="Draw nothing, not even result.png; for those who want only the numbers.")
    about = "Write the number and the rank above each person." if pose else "Write the mean confidence of the points above them."
    group.add_argument("--labels", action="store_true", help=about)
    backgrounds = ("photo", "black", "blurred")  # keypoints.draw.BACKGROUNDS
    about = "Draw on the photo, on black, or on the blurred photo, where it should not be seen who it is (default: photo)."
    group.add_argument("--background", choices=backgrounds, default="photo", help=about)
    if pose:
        group.add_argument("--heatmaps", action="store_true", help="Draw the network's heatmaps too, which show why a joint was found or missed.")


# Options that decide what the numbers and pictures of a run are, so that one with others is another run.
DECIDE = (
    *("weights", "face_weights", "hand_weights", "xml", "hand", "precise", "flip", "short_side", "scales", "no_faces", "no_hands", "min_face"),
    *("min_hand", "most", "input_scale", "input_offset", "precision", "engine", "threshold", "max_people", "openpose_model"),
    *("labels", "heatmaps", "background"),
)
READS = ("weights", "xml", "bin", "face_weights", "hand_weights", "pose_weights")  # options that name files which are read


def asked(options) -> tuple:
    """(streams.wanted.Source, Wanted): what the options of add_source_options or add_camera_options ask for."""
    from streams.durations import is_animated
    from streams.frames import PICTURES
    from streams.selection import Choice
    from streams.wanted import Source, Wanted

    given = vars(options)
    if "camera" in given:
        source = Source(camera=str(options.camera) if options.input is None else options.input)
    else:
        choice = Choice(options.first, options.last, options.step, options.fps)
        source = Source(img=options.img, names=tuple(options.input or given.get("names") or ()), recursive=options.recursive, choice=choice)
    values = {name: given[name] for name in Wanted.__dataclass_fields__ if name in given}
    settings = {name: Path(given[name]).name if name in READS and given[name] else given[name] for name in DECIDE if name in given}
    wanted = Wanted(**values, settings=settings, reads={name: given[name] for name in READS if given.get(name)})
    alone = given.get("names", [])  # named without --img or --input: a picture, and nothing is said of results
    is_picture = len(alone) == 1 and (source.picture or (Path(alone[0]).suffix.lower() in PICTURES and not is_animated(alone[0])))
    if alone == [STDIN] or (is_picture and not wanted.named):
        source = Source(img=alone[0], choice=source.choice)
    if source.img is not None and wanted.out is None and not wanted.to_stdout and not wanted.no_draw:
        wanted = replace(wanted, out="result.png")
    return source, wanted
