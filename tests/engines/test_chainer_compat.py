"""Chainer on NumPy 2: its import is silent, our own warnings are not, each engine does without the other, and what training needs runs."""

import os
import subprocess
import sys

import pytest
from conftest import PATIENCE, ROOT

IMPORT = "from engines.chainer_compat import chainer"
RUN_LIGHT = """
import sys
import numpy as np
from engines import open_net
net = open_net("lightposenet", engine={engine!r})
pafs, heatmaps = net(np.zeros((1, 3, 16, 24), np.float32))
print(pafs.shape, heatmaps.shape, sorted({{name.split(".")[0] for name in sys.modules}} & {{"chainer", "openvino", "cupy"}}))
"""
REFUSED = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from errors import InputError
from engines import open_net
for _ in range(2):
    try:
        open_net("lightposenet", engine={engine!r})
    except InputError as error:
        print(error)
"""


def python(code, *options, **env):
    """Run code in a fresh Python in the project's folder, without the warning settings of this one."""
    base = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE")}
    return subprocess.run(
        [sys.executable, *options, "-c", code], cwd=ROOT, env={**base, **env}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def assert_silent(process):
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


@pytest.mark.parametrize("filters", ["default", "always", "error"])
def test_import_is_silent(filters):
    assert_silent(python(IMPORT, "-W", filters))


def test_first_import_is_silent(tmp_path):
    """Python warns of invalid escape sequences only while it compiles a file."""
    process = python(f"import sys; sys.dont_write_bytecode = True; {IMPORT}", "-W", "default", PYTHONPYCACHEPREFIX=str(tmp_path))
    assert_silent(process)


STAND_IN = """
import warnings
warnings.warn("pkg_resources is deprecated as an API. Refrain from using this package or pin to Setuptools<81.", UserWarning, stacklevel=2)
class DistributionNotFound(Exception): ...
class VersionConflict(Exception): ...
def require(requirement): raise DistributionNotFound
"""


def test_import_is_silent_with_a_newer_setuptools(tmp_path):
    """From version 80 on pkg_resources warns with a UserWarning; a stand-in does so here, and has what Chainer asks of it."""
    stand_in = tmp_path / "pkg_resources.py"
    stand_in.write_text(STAND_IN, encoding="utf-8")
    process = python("import pkg_resources; print(pkg_resources.__file__)", "-W", "default", PYTHONPATH=str(tmp_path))
    assert process.stdout == f"{stand_in}\n"
    assert "UserWarning: pkg_resources is deprecated" in process.stderr  # to anybody else
    code = f"{IMPORT}; import pkg_resources; assert pkg_resources.__file__ == {str(stand_in)!r}"
    assert_silent(python(code, "-W", "default", PYTHONPATH=str(tmp_path)))


def test_our_own_warnings_are_still_shown():
    categories = ("UserWarning", "DeprecationWarning", "SyntaxWarning", "FutureWarning", "RuntimeWarning")
    warn = "; ".join(f"warnings.warn('this is ours', {category})" for category in categories)
    process = python(f"import warnings; {IMPORT}; {warn}", "-W", "default")
    assert process.returncode == 0
    assert process.stdout == ""
    for category in categories:
        assert process.stderr.count(f"{category}: this is ours") == 1


def test_import_leaves_the_filters_as_they_were():
    process = python(f"import numpy, warnings; before = list(warnings.filters); {IMPORT}; print(before == warnings.filters)")
    assert (process.stdout, process.stderr) == ("True\n", "")


@pytest.mark.parametrize("engine", ["openvino", "chainer"])
def test_an_engine_does_without_the_other(engine):
    process = python(RUN_LIGHT.format(engine=engine), "-W", "error")
    assert process.stderr == ""
    assert process.stdout == f"(1, 38, 2, 3) (1, 19, 2, 3) ['{engine}']\n"


def test_models_import_no_engine():
    process = python('import sys, models; print({"chainer", "openvino", "cupy", "cv2"} & set(sys.modules))')
    assert (process.stdout, process.stderr) == ("set()\n", "")


@pytest.mark.parametrize(
    ("engine", "missing", "words"),
    [
        ("chainer", ["chainer"], ["the Chainer engine needs chainer, which is not installed", "make venv", "or use --engine openvino"]),
        ("chainer", ["pkg_resources"], ["needs pkg_resources", "pip install 'setuptools<81'", "or use --engine openvino"]),
        ("openvino", ["openvino"], ["the OpenVINO engine needs openvino, which is not installed", "make venv", "or use --engine chainer"]),
    ],
)
def test_a_missing_engine_names_its_cure(engine, missing, words):
    process = python(REFUSED.format(engine=engine, missing=missing), "-W", "error")
    assert process.stderr == ""
    first, second = process.stdout.splitlines()  # one line each time
    assert first == second
    for word in words:
        assert word in first


@pytest.mark.parametrize(("engine", "missing"), [("openvino", ["chainer", "pkg_resources"]), ("chainer", ["openvino"])])
def test_a_missing_engine_is_not_missed_by_the_other(engine, missing):
    process = python(REFUSED.format(engine=engine, missing=missing))
    assert (process.stdout, process.stderr) == ("", "")


def test_what_training_needs_runs_without_a_warning(tmp_path):
    code = f"""
from engines.chainer_compat import chainer
import numpy as np
F, L = chainer.functions, chainer.links
rng = np.random.default_rng(0)
x = rng.random((2, 3, 9, 16), dtype=np.float32)

halved = F.max_pooling_2d(x, 2, 2, cover_all=True).array
assert halved.shape == (2, 3, 5, 8)
assert halved[0, 0, 0, 0] == x[0, 0, :2, :2].max() and halved[1, 2, 4, 7] == x[1, 2, 8, 14:].max()
resized = F.resize_images(x, (18, 32)).array
assert resized.shape == (2, 3, 18, 32)
np.testing.assert_allclose(resized[..., [0, 0, -1, -1], [0, -1, 0, -1]], x[..., [0, 0, -1, -1], [0, -1, 0, -1]])

def dilated():
    return L.Convolution2D(3, 4, 3, 1, 2, dilate=2)

conv = dilated()
y = conv(x)
W, b = conv.W.array, conv.b.array
padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
expected = sum(np.einsum("oi,nihw->nohw", W[..., r, c], padded[..., 2 * r : 2 * r + 9, 2 * c : 2 * c + 16]) for r in range(3) for c in range(3))
np.testing.assert_allclose(y.array, expected + b[:, None, None], atol=1e-5)

optimizer = chainer.optimizers.Adam(alpha=1e-3)
optimizer.setup(conv)
optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(0))
before = W.copy()
loss = F.mean_squared_error(y, np.ones_like(y.array))
conv.cleargrads()
loss.backward()
optimizer.update()
np.testing.assert_allclose(conv.W.array - before, -1e-3 * np.sign(conv.W.grad), rtol=1e-2)
assert F.mean_squared_error(conv(x), np.ones_like(y.array)).array < loss.array

path = {str(tmp_path / "m.npz")!r}
chainer.serializers.save_npz(path, conv)
other = dilated()
assert not np.array_equal(other.W.array, conv.W.array)
chainer.serializers.load_npz(path, other)
np.testing.assert_array_equal(other.W.array, conv.W.array)
np.testing.assert_array_equal(other.b.array, conv.b.array)
with np.load(path, allow_pickle=False) as arrays:
    assert set(arrays) == {{"W", "b"}}
chainer.serializers.save_npz(path, optimizer)
again = chainer.optimizers.Adam()
again.setup(other)
chainer.serializers.load_npz(path, again)
assert again.t == 1 and np.array_equal(other.W.update_rule.state["m"], conv.W.update_rule.state["m"])
"""
    assert_silent(python(code, "-W", "error"))


def test_weights_saved_by_chainer_are_read_strictly(tmp_path):
    code = f"""
from engines import open_net
from models import ARCHS, shapes_of
from engines.chainer_compat import chainer
from models.weights import read_weights
import numpy as np
net = open_net("lightposenet", engine="chainer")
path = {str(tmp_path / "m.npz")!r}
chainer.serializers.save_npz(path, net.chain)
ours = read_weights(ARCHS["lightposenet"].weights, shapes_of("lightposenet"))
theirs = read_weights(path, shapes_of("lightposenet"))
assert list(ours) == list(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in ours)
"""
    assert_silent(python(code, "-W", "error"))
