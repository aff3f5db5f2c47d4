"""The files, folders and videos that the options of cli.add_source_options name: checked before the work begins, then opened."""

import os
import sys
from pathlib import Path

from cli import changed, check_distinct
from errors import InputError
from files import check_folder, check_path, make_folder, real_place
from streams import formats, results, sinks
from streams.frames import DEFAULT_RATE, PICTURES, VIDEOS, Pictures, is_live, open_frames
from streams.live import open_live
from streams.video import CODECS, check_video_path
from streams.window import check_screen

FILES = ("json", "jsonl", "csv", "coco_results")  # options that name a file of results
FOLDERS = ("openpose_json",)  # and a folder
OUTPUTS = ("out", *FILES, *FOLDERS)
WEIGHTS = ("weights", "xml", "bin", "face_weights", "hand_weights", "pose_weights")  # options that name files which are read
OTHERS = PICTURES | VIDEOS | {".npz", ".npy", ".xml", ".bin", ".caffemodel", ".prototxt", ".onnx", ".pb", ".h5", ".py"}


def named(options) -> list:
    """What the options name as outputs."""
    return [getattr(options, name) for name in OUTPUTS if getattr(options, name)]


def check_results(options, inputs=()):
    """Raise InputError for files of results that cannot be written, or that are in use already. inputs: paths of pictures or videos."""
    for name in FILES:
        if getattr(options, name) is not None:
            check_path(getattr(options, name), f"--{name}")
    for name in FOLDERS if out_kind(options.out) != "folder" else ("out", *FOLDERS):
        if getattr(options, name) is not None:
            check_folder(getattr(options, name), f"--{name}")
    source = "img" if options.img is not None else "input"
    names = [options.input] if isinstance(options.input, str) else options.input or []
    listed = [name for name in names if os.path.isfile(name)]  # noqa: PTH113 - Path.is_file raises where a name is too long
    check_distinct(changed(options, **{source: [*listed, *inputs]}), (source, *WEIGHTS), OUTPUTS)


def check_kinds(options):
    """Raise InputError if a file of results has the name of something else, or of a file that will be written into a folder of results."""
    for name in FILES:
        path = Path(getattr(options, name) or "")
        if path.suffix.lower() in OTHERS:
            raise InputError(f"--{name} {path}: this is the name of a picture, a video or weights; name a file for results (.json, .jsonl, .csv)")
        folder = options.openpose_json
        if folder is not None and path.name.endswith(sinks.OPENPOSE) and real_place(path.parent) == real_place(folder):
            raise InputError(f"--{name} {path}: --openpose_json writes files of such names there; choose another name")


def check_options(options):
    """Raise InputError for options that contradict each other, whatever the source is."""
    check_results(options)
    if options.show:
        check_screen()
    kind = out_kind(options.out)
    if kind == "video":
        check_video_path(options.out, options.codec)
    elif options.codec is not None:
        raise InputError(f"--codec is for --out with a video ({', '.join(CODECS)})")
    if kind == "picture":
        results.check_image_path(options.out)
    if not options.show and not named(options):
        raise InputError("nothing would be written: name --out (a folder, a video), --jsonl, --csv, --openpose_json or another file of results")
    if options.resume and (kind == "video" or options.json):
        raise InputError("--resume cannot continue a video or --json; it is for --out FOLDER, --jsonl, --csv, --coco_results and --openpose_json")
    if options.resume and (options.track or options.smooth):
        raise InputError("--resume cannot continue --track and --smooth: the numbers would begin anew; run it from the beginning")


def out_kind(path):
    """None, "picture", "video" or "folder"."""
    if path is None:
        return None
    suffix = Path(path).suffix.lower()
    if str(path).endswith("/") or not suffix or os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return "folder"
    if suffix in CODECS:
        return "video"
    if suffix in results.FORMATS:
        return "picture"
    raise InputError(f"--out {path}: expected a folder, a video ({', '.join(CODECS)}) or a picture ({', '.join(results.FORMATS)})")


def open_source(options):
    """What --input names. Raises InputError."""
    if is_live(options.input):
        if options.resume:
            raise InputError("--resume is for pictures; a camera cannot be asked again")
        return open_live(options.input[0])
    without = options.out if out_kind(options.out) == "folder" else None
    return open_frames(options.input, options.recursive, without)


def check_source(options, source):
    """Raise InputError where the source is too much for the outputs, or is one of them."""
    check_results(options, source.paths if isinstance(source, Pictures) else [] if source.live else [source.path])
    check_kinds(options)
    if out_kind(options.out) == "picture":
        raise InputError(f"--out {options.out}: one picture cannot hold many; name a folder or a video ({', '.join(CODECS)})")
    if out_kind(options.out) == "folder" and isinstance(source, Pictures):
        read = set(map(real_place, source.paths))
        for path in map(sinks.PictureFolder(options.out).path_of, source.entries()):
            if real_place(path) in read:
                raise InputError(f"--out {options.out}: {path} would overwrite a picture of --input; choose another folder")
    if options.json:
        raise InputError("--json is for one picture; --jsonl writes a line for each frame")


def open_sinks(options, source, detector) -> list:
    """The outputs that the options name."""
    opened, resume, kind = [], options.resume, out_kind(options.out)
    columns = {"parts": detector.parts, "with_pose": detector.has_pose, "smoothed": options.smooth}
    if kind == "folder":
        make_folder(options.out)
        opened.append(sinks.PictureFolder(options.out, resume))
    elif kind == "video":
        opened.append(sinks.VideoSink(options.out, source.rate or DEFAULT_RATE, options.codec, source.live))
    if options.jsonl is not None:
        opened.append(sinks.JsonLines(options.jsonl, resume))
    if options.csv is not None:
        opened.append(sinks.Table(options.csv, resume, **columns))
    if options.coco_results is not None:
        note = coco_note(getattr(source, "stems", []))
        if note:
            print(f"{options.prog}: {note}", file=sys.stderr)
        opened.append(sinks.CocoResults(options.coco_results, resume, coco_ids(getattr(source, "stems", []))))
    if options.openpose_json is not None:
        make_folder(options.openpose_json)
        opened.append(sinks.OpenPoseFolder(options.openpose_json, resume))
    if resume and isinstance(source, Pictures):
        for sink in opened:
            if getattr(sink, "pictures", None):
                check_continued(sink, source)
    return opened


def check_continued(sink, source):
    """Raise InputError where a run over other pictures is continued, or over others in between, so that numbers would stand for two pictures."""
    now = {sinks.encoded(entry.name).decode(): sink.number_of(entry) for entry in source.entries()}
    for name, number in sink.pictures.items():
        name = sinks.encoded(name).decode()
        if name not in now:
            raise InputError(
                f"--resume: {sink.file.path} holds {name}, which is not among the pictures now; name another file, or leave --resume out"
            )
        if now[name] != number:
            was = f"{name} was {number} and is now {now[name]}"
            raise InputError(f"--resume: {sink.file.path}: the pictures' numbers have changed since ({was}); run without --resume")


def coco_note(stems):
    """What to say where some names are numbers, and the numbers cannot be taken all the same; None otherwise."""
    names = [Path(stem).name for stem in stems]
    numbers = [int(name) for name in names if name.isdecimal()]
    if numbers and len(set(numbers)) < len(names):
        return "--coco_results: not all names are different numbers, so image_id is the frame's number; file_name says which picture it is"
    return None


def coco_ids(stems):
    """Frame -> image_id: the number that the picture's name is, where all names are numbers and differ; otherwise the frame's number."""
    names = [Path(stem).name for stem in stems]
    if names and all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        return lambda frame: int(Path(frame.stem).name)
    return lambda frame: frame.number


def picture_files(options, detector, frame, found) -> dict:
    """{path: bytes}: the files of results for one picture."""
    persons, contents = detector.persons(found), {}
    if options.json is not None:
        found_to_json = formats.people_to_json if detector.has_pose else formats.parts_to_json
        contents[options.json] = formats.to_json_text(frame.name, frame.size_wh, arch=options.arch, **found_to_json(persons))
    if options.jsonl is not None:
        contents[options.jsonl] = formats.to_json_line(frame, persons)
    if options.csv is not None:
        columns = {"parts": detector.parts, "with_pose": detector.has_pose}
        contents[options.csv] = ",".join(formats.csv_columns(**columns)) + "\n" + formats.to_csv(frame, persons, **columns)
    if options.coco_results is not None:
        entries = formats.to_coco(persons, coco_ids([frame.stem])(frame), frame.name)
        contents[options.coco_results] = "[\n" + ",\n".join(map(formats.compact, entries)) + "\n]\n"
    if options.openpose_json is not None:
        contents[sinks.OpenPoseFolder(options.openpose_json).path_of(frame)] = formats.to_openpose(persons)
    return {path: text.encode(errors="backslashreplace") for path, text in contents.items()}
