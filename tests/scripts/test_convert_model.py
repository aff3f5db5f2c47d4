"""convert_model.py as a user runs it: full-size caffemodels to npz and IR, both engines against OpenCV's golden outputs; and bad input."""

import cv2
import numpy as np
import pytest
from caffe_files import SHAPES, caffemodel, mutations
from conftest import ROOT, assert_refused, golden, run_script, seeded_weights

import convert_model
from engines import open_net
from engines.openvino_compat import open_core
from models import ARCHS, shapes_of

GOLDEN = {"posenet": "net_pose.npz", "facenet": "net_face.npz", "handnet": "net_hand.npz"}
LIGHT = ROOT / "models" / "light_posenet.npz"


@pytest.fixture(scope="module", params=[("posenet", 1), ("posenet", 2), ("facenet", 2), ("handnet", 1)], ids=lambda p: f"{p[0]}-V{p[1]}")
def converted(request, tmp_path_factory):
    """arch, folder with net.caffemodel, net.npz, net.xml (FP32, dynamic), fp16.xml."""
    arch, version = request.param
    folder = tmp_path_factory.mktemp(f"{arch}{version}")
    source = folder / "net.caffemodel"
    source.write_bytes(caffemodel(seeded_weights(shapes_of(arch)), version, "four" if version == 1 else "shape"))
    process = run_script("convert_model.py", arch, source, folder / "net.npz")
    assert process.returncode == 0, process.stderr
    assert f"{len(shapes_of(arch)) // 2} of {len(shapes_of(arch)) // 2} layers" in process.stdout
    for target, options in (("net.xml", ["--dynamic"]), ("fp16.xml", ["--data_type", "FP16", "--dynamic"])):
        process = run_script("convert_model.py", arch, source, folder / target, *options)
        assert process.returncode == 0, process.stderr
    yield arch, folder
    for path in folder.iterdir():
        path.unlink()


def golden_input():
    return np.random.default_rng(3).random((1, 3, 96, 136), dtype=np.float32) - 0.5


def run_ir(path, x):
    """{output name: array} in f32."""
    model = open_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {output.any_name: array for output, array in model({"data": x}).items()}


def in_golden_order(arch, outputs):
    """heatmaps then PAFs, as the golden file has them; outputs: of open_net."""
    return np.concatenate(outputs[::-1] if arch == "posenet" else outputs, axis=1)


def test_all_ways_give_the_golden_output(converted):
    arch, folder = converted
    expected, x = golden(GOLDEN[arch])["output"], golden_input()
    for options in ({"engine": "openvino", "precision": "f32"}, {"engine": "chainer"}):
        got = in_golden_order(arch, open_net(arch, folder / "net.npz", **options)(x))
        assert np.abs(got - expected).max() <= 1e-4
    outputs = run_ir(folder / "net.xml", x)
    if arch == "posenet":
        assert list(outputs) == ["Mconv7_stage6_L1", "Mconv7_stage6_L2"]
        ir = np.concatenate([outputs["Mconv7_stage6_L2"], outputs["Mconv7_stage6_L1"]], axis=1)
    else:
        assert list(outputs) == ["Mconv7_stage6"]
        ir = outputs["Mconv7_stage6"]
    assert np.abs(ir - expected).max() <= 1e-4


def test_half_precision_is_half_the_size_and_nearly_the_same(converted):
    _, folder = converted
    assert (folder / "fp16.bin").stat().st_size < 0.51 * (folder / "net.bin").stat().st_size
    x = golden_input()
    full, half = run_ir(folder / "net.xml", x), run_ir(folder / "fp16.xml", x)
    for name, array in full.items():
        assert 0 < np.abs(array - half[name]).max() <= 2e-2 * np.abs(array).max()


def test_converting_twice_gives_the_same_bytes(converted):
    arch, folder = converted
    for target, options in (("net.npz", []), ("net.xml", ["--dynamic"])):
        again = folder / f"again{target[3:]}"
        assert run_script("convert_model.py", arch, folder / "net.caffemodel", again, *options).returncode == 0
        assert again.read_bytes() == (folder / target).read_bytes()
        if target == "net.xml":
            assert again.with_suffix(".bin").read_bytes() == (folder / "net.bin").read_bytes()
    from_npz = folder / "again.xml"
    assert run_script("convert_model.py", arch, folder / "net.npz", from_npz, "--dynamic").returncode == 0
    assert from_npz.with_suffix(".bin").read_bytes() == (folder / "net.bin").read_bytes()


@pytest.mark.parametrize(
    ("options", "shape"),
    [([], [1, 3, 368, 368]), (["--input_shape", "1,3,256,456"], [1, 3, 256, 456]), (["--input_shape", "[2,3,64,64]"], [2, 3, 64, 64])],
)
def test_the_ir_says_what_it_is(tmp_path, options, shape):
    target = tmp_path / "light.xml"
    assert run_script("convert_model.py", "lightposenet", LIGHT, target, *options).returncode == 0
    model = open_core().read_model(target)
    assert list(model.input("data").shape) == shape
    assert model.outputs[0].any_name == "head2_out"
    info = {key: model.get_rt_info(["pose_toolkit", key]).astype(str) for key in ("arch", "task", "stride", "input_scale", "input_offset", "outputs")}
    expected = {"arch": "lightposenet", "task": "pose", "stride": "8", "input_scale": str(1 / 255), "input_offset": "-0.5"}
    assert info == expected | {"outputs": "head2_out[0:38],head2_out[38:57]"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["light.bin", "light.xml"]


def test_the_ir_of_a_light_face_network_has_its_own_size(tmp_path):
    target = tmp_path / "face.xml"
    assert run_script("convert_model.py", "lightfacenet", ARCHS["lightfacenet"].weights, target).returncode == 0
    model = open_core().read_model(target)
    assert list(model.input("data").shape) == [1, 3, 192, 192]
    assert list(model.outputs[0].shape) == [1, 71, 24, 24]


def test_a_dynamic_ir_takes_any_size(tmp_path):
    target = tmp_path / "light.xml"
    assert run_script("convert_model.py", "lightposenet", LIGHT, target, "--dynamic").returncode == 0
    for shape in ((1, 3, 64, 104), (2, 3, 96, 48)):
        x = np.random.default_rng(0).random(shape, dtype=np.float32) - 0.5
        expected = np.concatenate(open_net("lightposenet", precision="f32")(x), axis=1)
        np.testing.assert_allclose(run_ir(target, x)["head2_out"], expected, atol=1e-5)


def test_half_precision_npz_is_read_again(tmp_path):
    target = tmp_path / "half.npz"
    assert run_script("convert_model.py", "lightposenet", LIGHT, target, "--data_type", "FP16").returncode == 0
    assert target.stat().st_size < 0.52 * LIGHT.stat().st_size
    x = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32) - 0.5
    full, half = (np.concatenate(open_net("lightposenet", path, precision="f32")(x), axis=1) for path in (LIGHT, target))
    assert 0 < np.abs(full - half).max() < 5e-3


def test_vgg19_writes_the_trunk(tmp_path):
    source, target = tmp_path / "vgg.caffemodel", tmp_path / "vgg19.npz"
    shapes = shapes_of("vgg19")
    assert len(shapes) == 2 * 10
    weights = seeded_weights(shapes | {"conv4_3/W": (512, 512, 3, 3), "conv4_3/b": (512,)})
    source.write_bytes(caffemodel(weights, version=1, form="four"))
    process = run_script("convert_model.py", "vgg19", source, target, "-v")
    assert process.returncode == 0, process.stderr
    assert "conv4_2/W" in process.stdout
    assert "left over, not part of vgg19: conv4_3" in process.stdout
    with np.load(target) as arrays:
        assert {name: arrays[name].shape for name in arrays.files} == shapes
        np.testing.assert_array_equal(arrays["conv3_4/W"], weights["conv3_4/W"])


def test_int8_is_calibrated_and_reported(tmp_path):
    pytest.importorskip("nncf", reason="INT8 needs NNCF")
    folder, target = tmp_path / "pictures", tmp_path / "INT8" / "light.xml"
    folder.mkdir()
    target.parent.mkdir()
    people = cv2.imread(str(ROOT / "data" / "people.png"))
    for n in range(4):
        cv2.imwrite(str(folder / f"{n}.jpg"), people[:, 40 * n : 40 * n + 560])
    process = run_script(
        "convert_model.py", "lightposenet", LIGHT, target, "--data_type", "INT8", "--calibration", folder, "--input_shape", "1,3,256,456"
    )
    assert process.returncode == 0, process.stderr
    assert "INT8 against FP32, 4 pictures: maps differ by" in process.stdout
    assert "joints found:" in process.stdout
    assert target.with_suffix(".bin").stat().st_size < 0.3 * LIGHT.stat().st_size
    model = open_core().read_model(target)
    assert list(model.input("data").shape) == [1, 3, 256, 456]
    assert model.get_rt_info(["pose_toolkit", "arch"]).astype(str) == "lightposenet"
    assert any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def test_damaged_caffemodels_leave_no_target(tmp_path, monkeypatch, capsys):
    """The whole script, in this process, on a small network: a refusal is one line, and there is no target after it."""
    monkeypatch.setattr(convert_model, "shapes_of", lambda arch: SHAPES)
    rng = np.random.default_rng(0)
    content = caffemodel({name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()})
    source, target = tmp_path / "net.caffemodel", tmp_path / "net.npz"
    statuses = set()
    for _, damaged, _ in mutations(content, 300):
        source.write_bytes(damaged)
        status = convert_model.main(["posenet", str(source), str(target)])
        statuses.add(status)
        out, err = capsys.readouterr()
        if status == 0:
            assert f"written: {target}" in out
            target.unlink()
        else:
            assert err.count("\n") == 1
            assert [path.name for path in tmp_path.iterdir()] == ["net.caffemodel"]
    assert statuses == {0, 1, 2}


def bad_inputs(folder):
    """name: (arguments, words in the message, exit status)."""
    light, target, xml = str(LIGHT), str(folder / "x.npz"), str(folder / "x.xml")
    (folder / "text.caffemodel").write_text("hello, this is no caffemodel")
    (folder / "empty.caffemodel").write_bytes(b"")
    (folder / "empty").mkdir()
    np.savez(folder / "some.npz", a=np.zeros(3, np.float32))
    return {
        "no such source": (["posenet", "nosuch.caffemodel", target], ["nosuch.caffemodel", "no such file"]),
        "text": (["posenet", str(folder / "text.caffemodel"), target], ["expected a Caffe network"]),
        "empty": (["posenet", str(folder / "empty.caffemodel"), target], ["no layer has weights"]),
        "other network's npz": (["posenet", light, target], ["weights of lightposenet"]),
        "foreign npz": (["posenet", str(folder / "some.npz"), target], ["missing"]),
        "unknown source": (["posenet", "net.onnx", target], ["expected a .caffemodel or an .npz", ".onnx"]),
        "unknown target": (["posenet", "net.caffemodel", "net.pb"], ["expected the name of an .npz, an .xml or an .onnx", ".pb"]),
        "same file": (["lightposenet", light, light], ["same file"]),
        "folder of the target": (["lightposenet", light, light + "/x.npz"], ["no folder"]),
        "target is a folder": (["lightposenet", light, str(folder / "dir.npz")], ["got a folder"]),
        "unknown network": (["resnet", light, target], ["resnet"]),
        "vgg19 as IR": (["vgg19", light, xml], ["trunk", ".npz"]),
        "shape": (["lightposenet", light, xml, "--input_shape", "1,3,100,100"], ["multiples of 8"]),
        "two shapes": (["lightposenet", light, xml, "--dynamic", "--input_shape", "1,3,64,64"], ["exclude"]),
        "INT8 without pictures": (["lightposenet", light, xml, "--data_type", "INT8"], ["--calibration"]),
        "INT8 without folder": (
            ["lightposenet", light, xml, "--data_type", "INT8", "--calibration", "nosuch"],
            ["nosuch", "folder"],
        ),
        "INT8 empty folder": (
            ["lightposenet", light, xml, "--data_type", "INT8", "--calibration", str(folder / "empty")],
            ["no pictures"],
        ),
        "INT8 npz": (["lightposenet", light, target, "--data_type", "INT8"], ["--data_type INT8", ".xml"]),
        "shape of an npz": (["lightposenet", light, target, "--dynamic"], ["--dynamic", ".xml"]),
    }


def test_bad_input_is_one_line_and_no_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "dir.npz").mkdir()
    cases = bad_inputs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for name, (arguments, words) in cases.items():
        try:
            status = convert_model.main(arguments)
        except SystemExit as error:  # argparse
            status = error.code
        out, err = capsys.readouterr()
        assert status == (1 if name == "nothing" else 2), name
        assert out == "", name
        assert err.count("\n") == 1, name
        for word in words:
            assert word in err, name
        assert sorted(tmp_path.rglob("*")) == before, name


def test_a_bad_source_in_a_real_process(tmp_path):
    (tmp_path / "cut.caffemodel").write_bytes(caffemodel(seeded_weights(shapes_of("vgg19")))[:1_000_000])
    assert_refused(run_script("convert_model.py", "vgg19", tmp_path / "cut.caffemodel", tmp_path / "x.npz"), "cut off")
    assert not (tmp_path / "x.npz").exists()


def test_int8_without_nncf_names_the_cure(tmp_path):
    (tmp_path / "nncf.py").write_text("raise ModuleNotFoundError(\"No module named 'nncf'\", name='nncf')\n")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    arguments = ["lightposenet", LIGHT, tmp_path / "x.xml", "--data_type", "INT8", "--calibration", tmp_path]
    process = run_script("convert_model.py", *arguments, env={"PYTHONPATH": str(tmp_path)})
    assert process.returncode == 2
    assert "pip install nncf" in process.stderr.splitlines()[-1]
    assert not (tmp_path / "x.xml").exists()


def test_onnx_into_a_new_folder(tmp_path):
    """The folder is made, and the file is one that OpenVINO reads."""
    target = tmp_path / "new" / "light.onnx"
    process = run_script("convert_model.py", "lightposenet", LIGHT, target, "--input_shape", "1,3,64,96")
    assert process.returncode == 0
    assert "light.onnx" in process.stdout
    assert list(open_core().read_model(target).input("data").shape) == [1, 3, 64, 96]
    assert [path.name for path in target.parent.iterdir()] == ["light.onnx"]


@pytest.mark.parametrize("target", ["half.npz", "half.xml", "half.onnx"])
def test_numbers_too_large_for_half_precision(tmp_path, target):
    with np.load(LIGHT) as arrays:
        weights = {name: arrays[name] for name in arrays.files}
    weights["stem1/W"] = weights["stem1/W"] * 1e9
    np.savez(tmp_path / "big.npz", **weights)
    process = run_script("convert_model.py", "lightposenet", tmp_path / "big.npz", tmp_path / target, "--data_type", "FP16")
    assert process.returncode == 2
    assert "stem1/W holds" in process.stderr
    assert process.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["big.npz"]
