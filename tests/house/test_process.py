"""process.py and session.py: Ctrl-C from the first moment, closed and broken streams, little memory, names that are orders to a terminal."""

import process

import os
import platform
import signal
import subprocess
import sys
import time

import pytest
from conftest import PATIENCE, ROOT, run_script
from videos import fake_main, write_pictures

from session import Output, ending_on_signals, shown, unwrapped_ends

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py") if "import process" in path.read_text() and "__main__" in path.read_text())
SCRIPTS = [name for name in SCRIPTS if name not in ("process.py", "cli.py")]

# Runs a script; the named module, which its imports come to, sends a signal to itself when it is imported.
INTERRUPTED_AT = """
import os, runpy, signal, sys
module, number, script = sys.argv[1], int(sys.argv[2]), sys.argv[3]

class Interrupt:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Interrupt())
sys.path[0], sys.argv[:] = os.path.dirname(script), sys.argv[3:]
sys.modules["__main__"].__file__ = script
runpy.run_path(script, run_name="__main__")
"""


def interrupt_at(module, script, number=signal.SIGINT, before=None):
    command = [sys.executable, "-c", INTERRUPTED_AT, module, str(int(number)), str(ROOT / script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, preexec_fn=before, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_while_python_imports_is_one_line(script):
    ended = interrupt_at("argparse", script)  # every script comes to it, some before NumPy
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", f"{script}: interrupted\n")


def test_where_ctrl_c_is_ignored_it_stays_so():
    """As nohup, and shells that start something in the background, want it."""
    ended = interrupt_at("argparse", "plot_train_log.py", before=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert ended.returncode == 2
    assert "LOG" in ended.stderr


def test_nothing_happens_where_others_import_us():
    code = "import signal, sys; before = signal.getsignal(signal.SIGINT), sys.excepthook; import pose_detector"
    code += "; assert before == (signal.getsignal(signal.SIGINT), sys.excepthook)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=PATIENCE).returncode == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_with_their_status_and_a_second_one_does_not_break_off_what_the_first_closes(name):
    number, closed = getattr(signal, name), []

    def work():
        with ending_on_signals():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGHUP)
                closed.append(True)

    with pytest.raises(SystemExit) as ended:
        work()
    assert (ended.value.code, closed) == (128 + number, [True])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_whose_exception_is_lost_is_sent_again(monkeypatch, name):
    monkeypatch.setattr("session.INSISTENCE", 0.05)
    number, n_lost = getattr(signal, name), 0

    def work():
        nonlocal n_lost
        with ending_on_signals():
            for _ in range(2):
                try:
                    signal.raise_signal(number) if n_lost == 0 else time.sleep(PATIENCE)
                except SystemExit:
                    n_lost += 1
            time.sleep(PATIENCE)

    with pytest.raises(SystemExit) as ended:
        work()
    assert (ended.value.code, n_lost) == (128 + number, 2)


HALF_IMPORTED = """
import os
try:
    os.kill(os.getpid(), {number})
    for _ in range(1000):
        pass
except BaseException as error:
    raise ImportError("initialization failed") from error
"""


@pytest.mark.parametrize(("name", "status", "said"), [("SIGTERM", 143, ""), ("SIGHUP", 129, ""), ("SIGINT", 130, "{}: interrupted\n")])
@pytest.mark.parametrize(("script", "module"), [("pose_detector.py", "openvino"), ("web_demo.py", "gradio")])
def test_a_signal_during_the_import_of_a_library_ends_the_script_as_ever(tmp_path, script, module, name, status, said):
    """pybind11 makes an ImportError of what is raised while a module of its is imported."""
    (tmp_path / f"{module}.py").write_text(HALF_IMPORTED.format(number=int(getattr(signal, name))))
    options = {"pose_detector.py": ("lightposenet", "--img", ROOT / "data" / "person.png"), "web_demo.py": ("--port", "0")}
    ended = run_script(script, *options[script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert (ended.returncode, ended.stderr) == (status, said.format(script))


def test_an_error_while_a_signal_ends_the_work_keeps_its_words():
    """What cannot be closed is said."""

    def work():
        with unwrapped_ends():
            try:
                sys.exit(143)
            finally:
                raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        work()


def test_closing_that_takes_its_time_is_not_broken_off(monkeypatch):
    monkeypatch.setattr("session.INSISTENCE", 0.01)
    closed = []

    def slow():
        try:
            yield
        finally:
            time.sleep(0.2)
            closed.append("generator")

    def work():
        with ending_on_signals():
            steps = slow()
            next(steps)
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                time.sleep(0.2)
                steps.close()
                closed.append("work")

    with pytest.raises(SystemExit):
        work()
    assert closed == ["generator", "work"]


# Streams


def run_closed(folder, redirections, *arguments):
    """A script on pictures, by a shell that closes what is named."""
    command = " ".join([f'"{sys.executable}" "{ROOT}/pose_detector.py"', *map(str, arguments), redirections])
    return subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_with_closed_streams_the_work_is_done(tmp_path, redirections):
    """And what is printed gets into no file that has the stream's number then."""
    write_pictures(tmp_path / "in", ["0.png", "1.png"])
    ended = run_closed(tmp_path, redirections, "lightposenet --input in --out drawn --jsonl r.jsonl --csv r.csv --coco_results r.json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["0.png", "1.png"]
    assert all(line.startswith('{"frame":') for line in (tmp_path / "r.jsonl").read_text().splitlines())
    assert (tmp_path / "r.csv").read_text().count("\n") == 1
    assert (tmp_path / "r.json").read_text() == "[\n]\n"


def test_with_closed_stderr_errors_are_not_on_stdout(tmp_path):
    ended = run_closed(tmp_path, "2>&-", "lightposenet --input gone --out drawn")
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "")


def test_a_broken_pipe_is_said_and_the_work_is_done(tmp_path):
    write_pictures(tmp_path / "in", ["0.png", "1.png"])
    ended = run_closed(tmp_path, "| true", "lightposenet --input in --jsonl r.jsonl")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "broken pipe" in ended.stderr
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 2


class Broken:
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    def fileno(self):
        raise OSError


def test_an_output_that_breaks_goes_on():
    output = Output(Broken())
    assert output.write("a") == 1
    assert output.write("b") == 1
    assert isinstance(output.error, BrokenPipeError)


# Names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ä 写真\n", "plain ä 写真\n"),
        ("a\x1b[2Jb\n", "a\\x1b[2Jb\n"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb", "a\\x0db"),
        ("\x9b31m", "\\x9b31m"),
        ("\r 50%|##  |", "\r 50%|##  |"),
        ("\r      \r", "\r      \r"),
        ("\x1b[A\x1b[A", "\x1b[A\x1b[A"),
        ("tab\tline\nline\n", "tab\tline\nline\n"),
    ],
)
def test_control_characters_are_shown(text, expected):
    """tqdm's own movements stay."""
    assert shown(text) == expected


def test_names_reach_the_terminal_escaped(tmp_path, capfd):
    name = "\x1b[31mred.png"
    write_pictures(tmp_path / "in", ["0.png"])
    (tmp_path / "in" / name).write_bytes(b"")
    assert fake_main(["--input", tmp_path / "in", "--jsonl", tmp_path / "\x1b]0;r"]) == 1
    printed = capfd.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "\\x1b[31mred.png" in printed.err


# Memory


def limited(megabytes):
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs limits on address space")
@pytest.mark.parametrize("megabytes", [300, 500, 690])
@pytest.mark.parametrize("script", ["pose_detector.py", "train_coco_pose_estimation.py", "gen_ignore_mask.py", "plot_train_log.py"])
def test_too_little_memory_for_the_libraries_is_one_line(script, megabytes):
    ended = subprocess.run(
        [sys.executable, ROOT / script], capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limited(megabytes), check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert f"{script}: not enough memory for the libraries" in ended.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs limits on address space")
def test_too_little_memory_for_quantising_is_one_line(tmp_path):
    """NNCF and OpenVINO end it in other ways where they come to it: with shapes that nobody wrote, and tracebacks of threads."""
    pytest.importorskip("nncf", reason="INT8 needs NNCF")
    write_pictures(tmp_path / "in", ["0.png"])
    command = [sys.executable, ROOT / "convert_model.py", "lightposenet", ROOT / "models" / "light_posenet.npz", tmp_path / "r.xml"]
    command += ["--data_type", "INT8", "--calibration", tmp_path / "in"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limited(840), check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "not enough memory (quantising lightposenet needs" in ended.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs limits on address space")
@pytest.mark.parametrize("engine", ["openvino", "chainer"])
def test_too_little_memory_for_the_network_is_one_line(tmp_path, engine):
    command = [sys.executable, ROOT / "pose_detector.py", "lightposenet", "--img", ROOT / "data" / "person.png", "--out", tmp_path / "r.png"]
    ended = subprocess.run([*command, "--engine", engine], capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limited(720), check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "not enough memory" in ended.stderr
    assert not (tmp_path / "r.png").exists()


MANY_THREADS = """
import threading
import process

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) >> 8

process.begin()
ready, before = threading.Barrier(9), megabytes()
threading.stack_size(1 << 20)
for _ in range(8):
    threading.Thread(target=lambda: (bytearray(1000), ready.wait(), ready.wait())).start()
ready.wait()
print(megabytes() - before)
ready.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_where_memory_is_limited_threads_take_no_addresses_for_themselves():
    """64 MB each by itself; where these are not to be had, each allocation is a mapping, and compiling a network did not end."""
    ended = subprocess.run([sys.executable, "-c", MANY_THREADS], cwd=ROOT, capture_output=True, text=True, preexec_fn=limited(4000), check=True)
    assert int(ended.stdout) < 60


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("x"),
        RuntimeError("Check failed:\nstd::bad_alloc"),
        RuntimeError("[CPU] Convolution node with name 'x' can't alloc"),
        ImportError("a.so: failed to map segment from shared object"),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error):
    assert process.shortage_in(error) is error
    assert process.shortage_in(ValueError("a process was killed, or out of memory")) is None
    outer = ValueError("damaged")
    outer.__context__ = error
    assert process.shortage_in(outer) is error
    assert process.words_of(outer).startswith("not enough memory (")


# Homes


@pytest.mark.parametrize("home", [{"HOME": "/proc/nonexistent"}, {"HOME": os.devnull}, {"XDG_CACHE_HOME": os.fsdecode(b"/tmp/\xff\xfe")}])
@pytest.mark.parametrize("script", ["pose_detector.py", "plot_train_log.py"])
def test_without_a_home_the_work_is_done_in_silence(tmp_path, home, script):
    log = tmp_path / "log"
    log.write_text('[{"iteration": 1, "main/loss": 0.5}]')
    picture = ["lightposenet", "--img", ROOT / "data" / "person.png", "--out", tmp_path / "r.png"]
    ended = run_script(script, *(picture if script == "pose_detector.py" else [log]), env=home)
    assert (ended.returncode, ended.stderr) == (0, "")
