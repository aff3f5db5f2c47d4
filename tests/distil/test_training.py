"""Short trainings on made-up data, where PyTorch is installed (distil/requirements.txt); elsewhere these are skipped."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import PATIENCE, ROOT, assert_input_error, seeded_weights
from distil_files import made_crops, made_pack

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -r distil/requirements.txt")

from distil import body, export, points  # noqa: E402
from distil.kinds import KINDS  # noqa: E402
from distil.loop import Schedule, Trainer, read_state  # noqa: E402
from distil.muon import STEP, Muon, orthogonal  # noqa: E402
from distil.pack import Pack  # noqa: E402
from distil.student import Student  # noqa: E402
from distil.widen import widen  # noqa: E402
from engines import open_net  # noqa: E402
from engines.openvino_net import OpenVinoNet, build_model  # noqa: E402
from models import ARCHS, shapes_of  # noqa: E402
from models.layers import INPUT, Network, Output, chain, concat, conv, parameter_shapes, pool  # noqa: E402
from models.light import light_network  # noqa: E402
from models.weights import read_weights  # noqa: E402

SMALL = Network(
    chain(
        *(INPUT, conv("a", 6), pool("p1"), conv("b", 8), pool("p2"), conv("c", 8, 7), pool("p3"), conv("one", 4, 1, relu=False)),
        *(concat("d", "one", "p3"), conv("e", 8), conv("paf", 4, relu=False), conv("heat", 3, 1, relu=False, inputs=("e",))),
    ),
    ((Output("one", 0, 4),), (Output("paf", 0, 4), Output("heat", 0, 3))),
)


def noise(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32) - 0.5


def said(student, x):
    with torch.no_grad():
        return student.eval()(torch.from_numpy(x))[0][-1].numpy()


@pytest.mark.parametrize("network", [SMALL, light_network((5, 2), 16, 8, (4, 6))], ids=["pools", "light"])
def test_a_student_that_took_weights_is_the_network_of_the_table(network):
    weights = seeded_weights(parameter_shapes(network.layers))
    student = Student(network)
    student.take(weights, [torch.from_numpy(noise((2, 3, 32, 40), seed)) for seed in range(3)])
    x = noise((2, 3, 48, 32), 9)
    expected = np.concatenate(OpenVinoNet(build_model(network, weights), network.outputs, precision="f32")(x), axis=1)
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(said(student, x), expected, atol=tolerance)
    for name, array in student.weights().items():
        np.testing.assert_allclose(array, weights[name], atol=1e-5)
    batches = said(student.train(), x)  # and its normalisation knows the statistics: batches of the same kind change little
    assert np.abs(batches - expected).max() <= np.abs(expected).max()


def test_exported_weights_answer_as_the_student_after_training():
    student = Student(SMALL)
    optimiser = torch.optim.SGD(student.parameters(), 0.05)
    for seed in range(5):
        stages, _ = student(torch.from_numpy(noise((4, 3, 32, 32), seed)))
        sum((stage**2).mean() for stage in stages).backward()
        optimiser.step()
    x = noise((1, 3, 40, 32), 7)
    net = OpenVinoNet(build_model(SMALL, student.weights()), SMALL.outputs, precision="f32")
    np.testing.assert_allclose(np.concatenate(net(x), axis=1), said(student, x), atol=1e-4)
    assert list(student.weights()) == list(parameter_shapes(SMALL.layers))


def test_a_new_student_says_that_nobody_is_there():
    maps = said(Student(ARCHS["lightposenet"].network), noise((1, 3, 64, 64)))
    assert abs(maps[:, -1].mean() - 1) < 0.3
    assert np.abs(maps[:, :-1]).mean() < 0.3


def test_a_wider_student_begins_with_the_function_of_the_shipped_weights():
    arch = "lightfacenet"
    wide = light_network((71,), 104, 52, (20, 32))
    weights = widen(read_weights(ARCHS[arch].weights, shapes_of(arch)), wide, np.random.default_rng(0))
    student = Student(wide)
    student.take(weights, [torch.from_numpy(noise((2, 3, 64, 64)))])
    x = noise((1, 3, 96, 96), 1)
    np.testing.assert_allclose(said(student, x), open_net(arch, precision="f32")(x)[0], atol=1e-4)


def test_body_from_crops_to_weights(tmp_path, monkeypatch, capsys):
    folder, state, weights = made_crops(tmp_path, monkeypatch), tmp_path / "s.pt", tmp_path / "w.npz"
    train = ["train", str(folder), str(state), "--total", "10", "--cells", "500", "--threads", "1"]
    assert body.main([*train, "--steps", "3"]) == 0
    first = read_state(state)
    assert first["iteration"] == 3
    assert first["facts"]["hints"] == [["block2", 8], ["refine4", 5]]
    assert body.main([*train, "--steps", "2", "--resume"]) == 0
    second = read_state(state)
    assert (second["iteration"], second["minutes"] > first["minutes"]) == (5, True)
    assert not torch.equal(first["average"]["convolutions.stem1.weight"], second["average"]["convolutions.stem1.weight"])
    assert export.main([str(state), str(weights)]) == 0
    pafs, heatmaps = open_net("lightposenet", weights)(noise((1, 3, 64, 72)))
    assert (pafs.shape, heatmaps.shape) == ((1, 38, 8, 9), (1, 19, 8, 9))
    assert body.main(train) == 2
    assert "--resume goes on with it" in capsys.readouterr().err


def test_body_goes_on_from_the_shipped_weights_and_wider(tmp_path, monkeypatch, capsys):
    folder, state, weights = made_crops(tmp_path, monkeypatch), tmp_path / "s.pt", tmp_path / "w.npz"
    start = ["--start", str(ARCHS["lightposenet"].weights), "--total", "10", "--steps", "1", "--cells", "300", "--threads", "1"]
    assert body.main(["train", str(folder), str(state), *start, "--widths", "200,100,24,56", "--rate", "1e-9"]) == 0
    assert export.main([str(state), str(weights)]) == 0
    assert "change them in models/LightPoseNet.py" in capsys.readouterr().out
    arrays = dict(np.load(weights))
    network = light_network((38, 19), 200, 100, (24, 56))
    assert {name: array.shape for name, array in arrays.items()} == parameter_shapes(network.layers)
    assert export.weights_of_state(state)[1] == network
    assert body.main(["train", str(folder), str(state), "--resume", "--total", "10", "--steps", "1", "--cells", "300"]) == 0
    assert read_state(state)["iteration"] == 2


def test_points_learn_and_their_weights_run(tmp_path):
    made_pack(tmp_path / "p.npz", 6)
    state, weights = tmp_path / "s.pt", tmp_path / "w.npz"
    train = ["train", "hand", str(tmp_path / "p.npz"), str(state), "--total", "30", "--batch", "4", "--threads", "1"]
    assert points.main([*train, "--steps", "1", "--rate", "1e-6"]) == 0
    before = loss_of_state(state, tmp_path / "p.npz")
    assert points.main([*train, "--steps", "25", "--resume"]) == 0
    assert read_state(state)["iteration"] == 26
    assert loss_of_state(state, tmp_path / "p.npz") < 0.95 * before
    assert export.main([str(state), str(weights)]) == 0
    (maps,) = open_net("lighthandnet", weights)(noise((1, 3, 192, 192)))
    assert maps.shape == (1, 22, 24, 24)


def loss_of_state(state, pack):
    """Of the student, on the same batch."""
    kind = KINDS["hand"]
    row = ARCHS[kind.arch]
    student = Student(row.network)
    student.load_state_dict(read_state(state)["student"])
    batch = next(points.endless(Pack(pack, 21), kind, row.input_size, 6, np.random.default_rng(1)))
    with torch.no_grad():
        return float(points.make_loss(row, torch.device("cpu"))(student, batch, 0)[0])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_saves_its_state(tmp_path, number, status):
    made_pack(tmp_path / "p.npz", 6)
    command = [
        sys.executable,
        "-m",
        "distil.points",
        "train",
        "hand",
        str(tmp_path / "p.npz"),
        str(tmp_path / "s.pt"),
        "--total",
        "30",
        "--batch",
        "2",
    ]
    with subprocess.Popen([*command, "--threads", "1"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "parameters" in process.stdout.readline()
            assert process.stdout.readline().startswith("1 iterations")
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == status, err
    assert "--resume goes on" in out + err
    state = read_state(tmp_path / "s.pt")
    assert state["iteration"] > 0
    assert not list(tmp_path.glob(".*part*"))


def test_states_are_told_apart(tmp_path, capsys):
    made_pack(tmp_path / "hand.npz", 3)
    made_pack(tmp_path / "face.npz", 3, kind="face")
    state = str(tmp_path / "s.pt")

    def train(kind, *more):
        return points.main(["train", kind, str(tmp_path / f"{kind}.npz"), state, "--total", "9", "--steps", "1", "--batch", "2", *more])

    assert train("hand", "--resume") == 2
    assert train("hand") == 0
    assert train("face", "--resume") == 2
    assert train("hand", "--resume", "--start", "x.npz") == 2
    errors = capsys.readouterr().err.splitlines()
    for line, words in zip(errors, ("is not there", "arch was lighthandnet, got lightfacenet", "leave one of them out"), strict=True):
        assert words in line
    (tmp_path / "s.pt").write_bytes(b"something else")
    assert export.main([state, str(tmp_path / "w.npz")]) == 2
    assert "expected the file of a training of distil" in capsys.readouterr().err
    assert not (tmp_path / "w.npz").exists()


def test_a_compiled_network_learns_the_same(tmp_path):
    x, learnt = torch.from_numpy(noise((4, 3, 32, 32))), []

    def loss_of(student, batch, part):
        loss = sum((maps**2).mean() for maps in student(batch)[0])
        return loss, {"maps": loss}

    for compiled in (False, True):
        torch.manual_seed(3)
        student, facts = Student(SMALL), {"arch": "lightposenet", "widths": None}
        begin = flat(student)
        trainer = Trainer(student, tmp_path / f"{compiled}.pt", facts, Schedule(1, 1, 1e-2, 3, compiled), torch.device("cpu"))
        trainer.run([x] * 4, loss_of)
        learnt.append(flat(student) - begin)
    assert torch.cosine_similarity(*learnt, dim=0) > 0.95
    assert read_state(tmp_path / "True.pt")["student"].keys() == student.state_dict().keys()


def flat(student):
    return torch.cat([p.detach().flatten().clone() for p in student.parameters()])


def test_a_state_whose_numbers_are_of_another_network(tmp_path, capsys):
    made_pack(tmp_path / "hand.npz", 3)
    path = tmp_path / "s.pt"
    options = ["train", "hand", str(tmp_path / "hand.npz"), str(path), "--total", "9", "--steps", "1", "--batch", "2"]
    assert points.main(options) == 0
    good = read_state(path)
    name = next(iter(good["average"]))
    damages = (
        {"facts": {}},
        {"facts": None},
        {"facts": {**good["facts"], "widths": "abc"}},
        {"facts": {**good["facts"], "widths": [0, 1, 2, 3]}},
        {"average": {}, "student": {}},
        {"average": {**good["average"], name: "text"}, "student": {**good["student"], name: "text"}},
        {"average": {**good["average"], name: torch.zeros(3)}, "student": {**good["student"], name: torch.zeros(3)}},
    )
    capsys.readouterr()
    for damage in damages:
        torch.save({**good, **damage}, path)
        assert export.main([str(path), str(tmp_path / "w.npz")]) == 2
        assert points.main([*options, "--resume"]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 2
        assert all(str(path) in line for line in errors)
    assert not (tmp_path / "w.npz").exists()


def test_widths_of_a_network_that_has_none_to_choose():
    from distil.options import network_of

    assert_input_error(lambda: network_of("posenet", (1, 2, 3, 4)), "--widths", "posenet")
    assert network_of("lighthandnet", (96, 48, 16, 32)) == ARCHS["lighthandnet"].network


def test_a_training_that_diverges_says_so(tmp_path):
    trainer = Trainer(Student(SMALL), tmp_path / "s.pt", {}, Schedule(1, 1, 1e-3), torch.device("cpu"))

    def loss_of(student, batch, part):
        loss = student(torch.from_numpy(batch))[0][0].mean() * np.nan
        return loss, {"stage 1": loss}

    assert_input_error(lambda: trainer.run(iter([noise((1, 3, 16, 16))]), loss_of), "diverged", "--rate")
    assert not (tmp_path / "s.pt").exists()


def test_the_rate_rises_and_falls_along_a_cosine():
    schedule = Schedule(60, 60, 1e-3)
    assert schedule.rate_at(0, 0) < 1e-5
    np.testing.assert_allclose([schedule.rate_at(part, 10**4) for part in (0, 0.5, 1, 2)], (1.003e-3, 0.503e-3, 3e-6, 3e-6), rtol=1e-6)


def test_the_average_follows_the_student(tmp_path):
    trainer = Trainer(Student(SMALL), tmp_path / "s.pt", {}, Schedule(1, 1, 1e-2, 4), torch.device("cpu"))

    def loss_of(student, batch, part):
        loss = (student(torch.from_numpy(batch))[0][-1] ** 2).mean()
        return loss, {"stage 2": loss}

    seen = [trainer.student.state_dict()["convolutions.a.weight"].clone()]
    expected = seen[0].clone()

    def batches():
        for seed in range(9):
            yield noise((2, 3, 16, 16), seed)
            seen.append(trainer.student.state_dict()["convolutions.a.weight"].clone())

    trainer.run(batches(), loss_of)
    for iteration, weight in enumerate(seen[1:5], 1):
        keep = iteration / (iteration + 10)
        expected = expected * keep + weight * (1 - keep)
    np.testing.assert_allclose(trainer.average.state_dict()["convolutions.a.weight"], expected, atol=1e-6)
    assert trainer.iteration == 4


@pytest.mark.parametrize("shape", [(96, 864), (192, 96), (7, 7), (1, 30)])
def test_an_orthogonal_step_has_the_directions_of_the_gradient_at_one_strength(shape):
    gradient = torch.from_numpy(noise(shape)) + 3  # one direction is far stronger than the others
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    strengths = u.T @ orthogonal(gradient) @ v.T
    diagonal = strengths.diagonal()
    assert diagonal.min() > 0.5
    assert diagonal.max() < 1.4
    assert (strengths - torch.diag(diagonal)).abs().max() < 0.15


def test_muon_steps_are_as_large_as_the_rate_says_and_reach_the_least_squares():
    weights = torch.nn.Parameter(torch.zeros(16, 4, 3, 3))
    optimiser, aim = Muon([weights], lr=0.05, weight_decay=0.0), torch.from_numpy(noise((16, 4, 3, 3)))
    losses = []
    for _ in range(200):
        before = weights.detach().clone()
        loss = ((weights - aim) ** 2).sum()
        weights.grad = torch.autograd.grad(loss, weights)[0]
        optimiser.step()
        losses.append(loss.item())
        if len(losses) == 1:
            assert float((weights.detach() - before).pow(2).mean().sqrt()) == pytest.approx(0.05 * STEP, rel=0.3)
    assert losses[-1] < 0.02 * losses[0]


def test_a_state_of_an_older_version_goes_on_and_one_of_other_sizes_is_refused(tmp_path, monkeypatch, capsys):
    folder, path = made_crops(tmp_path, monkeypatch), tmp_path / "s.pt"
    train = ["train", str(folder), str(path), "--total", "10", "--cells", "500", "--threads", "1"]
    assert body.main([*train, "--steps", "2"]) == 0
    state = read_state(path)
    torch.save({name: value for name, value in state.items() if name != "muon"}, path)
    assert body.main([*train, "--steps", "1", "--resume"]) == 0
    capsys.readouterr()
    state = read_state(path)
    state["muon"]["state"][0]["momentum"] = torch.zeros(3)
    torch.save(state, path)
    assert body.main([*train, "--steps", "1", "--resume"]) == 2
    assert "its optimiser is not that of the network" in capsys.readouterr().err
