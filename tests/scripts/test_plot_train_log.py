"""plot_train_log.py: the curves of one run and of several, and logs that are none."""

import json
import warnings

import numpy as np
import pytest
from conftest import assert_refused, run_script

import plot_train_log
from errors import InputError
from evaluation.curves import read_log
from streams.picture import read_image


def write_log(path, count=40, **extra):
    entries = [{"iteration": 20 * n, "main/loss": 1 / n, "main/paf": 0.4 / n, "main/heat": 0.6 / n, "epoch": 0} for n in range(1, count + 1)]
    for entry in entries[::10]:
        entry.update({"val/loss": 1.1 * entry["main/loss"], **extra})
    path.write_text(json.dumps(entries))
    return path


def size_of(path):
    return read_image(path).shape[1::-1]


def test_curves_of_one_run(tmp_path, capsys):
    write_log(tmp_path / "log")
    assert plot_train_log.main([str(tmp_path)]) == 0
    picture = read_image(tmp_path / "loss.png")
    assert (picture.shape[1], picture.shape[0]) == (1500, 400)  # loss, PAFs, heatmaps
    colored = picture.max(-1).astype(int) - picture.min(-1) > 60
    assert all(colored[:, 500 * n : 500 * (n + 1)].sum() > 300 for n in range(3))
    assert capsys.readouterr().out == f"{tmp_path / 'loss.png'}: 40 entries; iteration 800: main/loss 0.025\n"


def test_no_legend_hides_a_point(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    hidden, save = [], Figure.savefig

    def savefig(figure, *arguments, **options):
        save(figure, *arguments, **options)
        hidden.extend(axes.get_legend().get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)

    monkeypatch.setattr(Figure, "savefig", savefig)
    for name in ("first", "a rather long name of a run"):
        write_log(tmp_path / name, AP=0.3)
    assert plot_train_log.main([str(tmp_path / "first"), str(tmp_path / "a rather long name of a run"), "--out", str(tmp_path / "x.png")]) == 0
    assert hidden == [False] * 4


def test_several_runs_and_ap(tmp_path):
    logs = [write_log(tmp_path / name, AP=0.3) for name in ("first", "second")]
    for number, arguments in enumerate((logs[:1], logs)):
        out = tmp_path / f"{number}.png"
        assert plot_train_log.main([*map(str, arguments), "--out", str(out)]) == 0
        assert size_of(out) == (2000, 400)
    assert (read_image(tmp_path / "0.png") != read_image(tmp_path / "1.png")).any()


@pytest.mark.parametrize(("name", "start"), [("x.pdf", b"%PDF"), ("x.svg", b"<?xml"), ("x.jpg", b"\xff\xd8")])
def test_formats(tmp_path, name, start):
    out = tmp_path / name
    assert plot_train_log.main([str(write_log(tmp_path / "log")), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(start)


def test_a_log_of_one_entry_and_numbers_that_are_none(tmp_path):
    """A diverged run's log has NaN; what can be drawn is drawn."""
    (tmp_path / "log").write_text('[{"iteration": 1, "main/loss": NaN}, {"iteration": 2, "main/loss": 1e300}, {"iteration": 3, "main/loss": null}]')
    assert plot_train_log.main([str(tmp_path)]) == 0
    assert size_of(tmp_path / "loss.png") == (500, 400)


@pytest.mark.parametrize("value", ['"x"', "[1]", "{}", "null", "1" + 400 * "0", "NaN", "1e308", "-Infinity"])
def test_what_cannot_be_drawn_is_left_out(tmp_path, capsys, value):
    (tmp_path / "log").write_text(f'[{{"iteration": 1, "main/loss": 2.0}}, {{"iteration": 2, "main/loss": {value}, "AP": {value}}}]')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plot_train_log.main([str(tmp_path)]) == 0
    assert size_of(tmp_path / "loss.png") == (500, 400)
    assert capsys.readouterr().out == f"{tmp_path / 'loss.png'}: 2 entries; iteration 2\n"


def test_an_existing_picture_stays_where_the_log_is_none(tmp_path):
    (tmp_path / "loss.png").write_bytes(b"mine")
    (tmp_path / "log").write_text("[]")
    assert plot_train_log.main([str(tmp_path)]) == 2
    assert (tmp_path / "loss.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b"null", b"[1]", b"[[]]", b"{}", b"[]", b'[{"epoch": 1}]', b'[{"iteration": "1"}]'),
        *(b'[{"iteration": true}]', b"[" * 100_000, b'[{"iteration": 1}]'),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, content, capsys):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert plot_train_log.main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(path) in err
    assert not (tmp_path / "loss.png").exists()


def test_bad_names(tmp_path, capsys):
    log = write_log(tmp_path / "log")
    (tmp_path / "empty").mkdir()
    cases = {
        (tmp_path / "none",): "no such file",
        (tmp_path / "empty",): "no such file",
        (log, "--out", tmp_path / "x.txt"): "expected a picture's name",
        (log, "--out", log / "x.png"): "no folder",
        (log, "--out", tmp_path): "no extension",
    }
    for arguments, words in cases.items():
        assert plot_train_log.main([str(argument) for argument in arguments]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert words in err
    named = log.rename(tmp_path / "log.png")
    assert plot_train_log.main([str(named), "--out", str(named)]) == 2
    assert read_log(named)
    with pytest.raises(InputError):
        read_log(tmp_path / "none")


def test_the_script(tmp_path):
    assert_refused(run_script("plot_train_log.py", tmp_path / "log"), "plot_train_log.py: log", "no such file")
    write_log(tmp_path / "log")
    process = run_script("plot_train_log.py", "log", cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    assert np.ptp(read_image(tmp_path / "loss.png")) > 200
