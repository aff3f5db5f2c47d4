"""The files, folders and videos that are wanted, opened; and the files of one picture."""

from pathlib import Path

from errors import InputError
from files import STDOUT, is_url, make_folder
from streams import ffmpeg, formats, joining, sinks, stdout
from streams.frames import DEFAULT_RATE, Pictures
from streams.video import note_on


def open_sinks(wanted, source, detector) -> list:
    """The outputs of the frames of a source. wanted: streams.wanted.Wanted."""
    opened, kind = _open_drawn(wanted, source), wanted.out_kind
    if kind == "video":
        video = sinks.VideoSink(wanted.out, source.rate or DEFAULT_RATE, wanted.codec, source.live, getattr(source, "times_of", lambda frame: 1))
        video.video.sound = sound_of(source)
        opened.append(video)
    for name, (kind, arguments) in sinks.KINDS.items():
        path = getattr(wanted, name)
        if path == STDOUT:
            opened.append(stdout.sink_for(name, wanted, source, detector))
        elif path is not None:
            make_folder(Path(path).parent)
            opened.append(kind(path, wanted.resume, **arguments(wanted, source, detector)))
    if wanted.resume and isinstance(source, Pictures):
        for sink in opened:
            if getattr(sink, "pictures", None):
                check_continued(sink, source)
    for sink in opened:
        if hasattr(sink, "open"):
            sink.open()
    return opened


def open_parts(wanted, source, detector, number) -> list:
    """As open_sinks, for one of several processes: the files that many pictures share are its own parts of them (streams.joining)."""
    opened = _open_drawn(wanted, source)
    for name, (kind, arguments) in sinks.KINDS.items():
        path = getattr(wanted, name)
        if path is not None and name in joining.GROWING:
            make_folder(joining.part_path(path, number).parent)
            opened.append(kind(joining.part_path(path, number), False, **arguments(wanted, source, detector)))
        elif path is not None:
            opened.append(kind(path, wanted.resume, **arguments(wanted, source, detector)))
    return opened


def _open_drawn(wanted, source) -> list:
    return [sinks.PictureFolder(make_folder(wanted.out), wanted.resume)] if wanted.out_kind == "folder" else []


def notes(wanted, source) -> list:
    """What to say on stderr before the work begins."""
    found = [note_on(wanted.out, wanted.codec), sound_note(source)] if wanted.out_kind == "video" else []
    if wanted.coco_results is not None:
        found.append(coco_note(getattr(source, "stems", [])))
    return [note for note in found if note]


def _shared_files(wanted, source, detector):
    """Yield (name, path, arguments of its sink) of the files that many pictures share."""
    for name in joining.GROWING:
        path = getattr(wanted, name)
        if path not in (None, STDOUT):
            yield name, path, sinks.KINDS[name][1](wanted, source, detector)


def take_up_parts(wanted, source, detector):
    """What processes of an earlier run have left beside the files is joined with them (--resume), or removed."""
    for name, path, arguments in _shared_files(wanted, source, detector):
        if not joining.parts_of(path):
            continue
        if wanted.resume and isinstance(source, Pictures):
            joining.join(name, path, list(source.entries()), lambda sink: check_continued(sink, source), **arguments)
        else:
            joining.forget(path)


def join_parts(wanted, source, detector):
    """The end of several processes' work: whole files, in the order of the pictures."""
    for name, path, arguments in _shared_files(wanted, source, detector):
        joining.join(name, path, list(source.entries()), **arguments)


def put_in_order(wanted, source, detector):
    """After --resume a picture that was left out before may stand behind later ones: it goes to its place."""
    if wanted.resume and isinstance(source, Pictures):
        for name, path, arguments in _shared_files(wanted, source, detector):
            entries = list(source.entries())
            if not joining.is_in_order(name, path, entries):
                joining.join(name, path, entries, **arguments)


def sound_of(source):
    """(path, the second from which on) of a video file with sound; None where there is none."""
    path = getattr(source, "path", None)
    if source.live or not path or is_url(path) or not ffmpeg.has_sound(path):
        return None
    return path, getattr(source, "begin", 0.0)


def sound_note(source):
    """What to say where a video has sound that cannot be kept; None otherwise."""
    if ffmpeg.program() or not sound_of(source):
        return None
    return f"{source.path}: its sound is left out, for the program ffmpeg is not on this machine"


def check_continued(sink, source):
    """Raise InputError where a run over other pictures is continued, or over others in between, so that numbers would stand for two pictures."""
    now = {sinks.encoded(entry.name).decode(): sink.number_of(entry) for entry in source.entries()}
    for name, number in sink.pictures.items():
        name = sinks.encoded(name).decode()
        if name not in now:
            raise InputError(f"--resume: {sink.path} holds {name}, which is not among the pictures now; name another file, or leave --resume out")
        if now[name] != number:
            was = f"{name} was {number} and is now {now[name]}"
            raise InputError(f"--resume: {sink.path}: the pictures' numbers have changed since ({was}); run without --resume")


def coco_note(stems):
    """What to say where some names are numbers, and the numbers cannot be taken all the same; None otherwise."""
    names = [Path(stem).name for stem in stems]
    numbers = [int(name) for name in names if name.isdecimal()]
    if numbers and len(set(numbers)) < len(names):
        return "--coco_results: not all names are different numbers, so image_id is the frame's number; file_name says which picture it is"
    return None


def picture_files(wanted, detector, frame, persons) -> dict:
    """{path: bytes}: the files of results for one picture."""
    contents = {}
    if wanted.json is not None:
        found_to_json = formats.people_to_json if detector.has_pose else formats.parts_to_json
        contents[wanted.json] = formats.to_json_text(frame.name, frame.size_wh, arch=detector.name, **found_to_json(persons))
    if wanted.jsonl is not None:
        contents[wanted.jsonl] = formats.to_json_line(frame, persons)
    if wanted.csv is not None:
        columns = {"parts": detector.parts, "with_pose": detector.has_pose}
        contents[wanted.csv] = ",".join(formats.csv_columns(**columns)) + "\n" + formats.to_csv(frame, persons, **columns)
    if wanted.coco_results is not None:
        entries = formats.to_coco(persons, sinks.coco_ids([frame.stem])(frame), frame.name)
        contents[wanted.coco_results] = "[\n" + ",\n".join(map(formats.compact, entries)) + "\n]\n"
    if wanted.openpose_json is not None:
        contents[sinks.OpenPoseFolder(wanted.openpose_json).path_of(frame)] = formats.to_openpose(persons, wanted.openpose_model)
    return {path: text.encode(errors="backslashreplace") for path, text in contents.items()}
