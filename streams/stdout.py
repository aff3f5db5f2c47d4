"""Results that go to stdout (-) as they come: lines, a table, a list; the files of them are in streams/sinks.py."""

from streams import formats, sinks
from streams.results import put_out


class Stdout:
    """A sink that writes texts one after another, the first after `beginning`, and `ending` at the end."""

    def __init__(self, to_text, beginning="", between="", ending=""):
        """to_text: (frame, persons) -> text; an empty one is left out. between: what stands between two of them."""
        self.to_text, self.before, self.between, self.ending = to_text, beginning, between, ending

    def has(self, frame) -> bool:
        return False

    def write(self, frame, persons, drawn):
        text = self.to_text(frame, persons)
        if text:
            put_out(sinks.encoded(self.before + text))
            self.before = self.between

    def close(self):
        put_out(sinks.encoded((self.before if self.before != self.between else "") + self.ending))


def sink_for(name, wanted, source, detector) -> Stdout:
    """The Stdout for a field of streams.wanted.Wanted that names a file of results of many frames."""
    if name == "jsonl":
        return Stdout(formats.to_json_line)
    arguments = sinks.KINDS[name][1](wanted, source, detector)
    if name == "csv":
        header = ",".join(formats.csv_columns(**arguments)) + "\n"
        return Stdout(lambda frame, persons: formats.to_csv(frame, persons, **arguments), header)
    id_of = arguments["id_of"]
    return Stdout(lambda frame, persons: ",\n".join(map(formats.compact, formats.to_coco(persons, id_of(frame), frame.name))), "[\n", ",\n", "\n]\n")
