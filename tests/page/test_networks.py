"""Networks are opened once; two threads never call one at the same time."""

import threading
from types import SimpleNamespace

import pytest
from conftest import assert_input_error

from errors import InputError
from models import ARCHS
from page import networks
from page.networks import USUAL, Networks, SharedNet, at_hand, engines_at_hand


@pytest.fixture
def opened(monkeypatch):
    """What open_net was asked for; it gives stand-ins."""
    asked = []

    def open_net(arch, **options):
        asked.append((arch, options))
        return SimpleNamespace(name=arch, arch=ARCHS[arch], compile_seconds=0.0)

    monkeypatch.setattr(networks, "open_net", open_net)
    return asked


def test_a_network_is_opened_once(opened):
    kept = Networks()
    first = kept.get("lightposenet", "OpenVINO", "f32")
    assert kept.get("lightposenet", "OpenVINO", "f32") is first
    assert kept.get("lightposenet", "OpenVINO", "bf16") is not first
    kept.get("lightposenet", "Chainer")
    assert [(options["engine"], options.get("precision")) for _, options in opened] == [("openvino", "f32"), ("openvino", "bf16"), ("chainer", None)]


def test_the_one_that_was_not_used_for_longest_goes(opened, monkeypatch):
    monkeypatch.setattr(networks, "MOST", 2)
    kept = Networks()
    for precision in ("f32", "bf16", "f32", "f16", "f32", "bf16"):
        kept.get("lightposenet", "OpenVINO", precision)
    assert [options["precision"] for _, options in opened] == ["f32", "bf16", "f16", "bf16"]


def test_chainer_has_one_precision(opened):
    assert_input_error(lambda: Networks().get("lightposenet", "Chainer", "bf16"), "computes in f32", USUAL)
    assert opened == []


@pytest.mark.parametrize("value", [[], ["f32"], {}, None, "", 1.5, "x" * 1000], ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("place", range(3))
def test_what_is_no_choice_is_said(opened, place, value):
    """Gradio lets some of it through."""
    chosen = ["lightposenet", "OpenVINO", "f32"]
    chosen[place] = value
    with pytest.raises(InputError, match="expected one of") as error:
        Networks().get(*chosen)
    assert len(str(error.value)) < 300
    assert opened == []


def test_only_networks_with_weights_are_offered():
    assert "lightposenet" in at_hand()
    assert set(at_hand()) == {name for name, row in ARCHS.items() if row.task == "pose" and row.at_hand}
    assert "OpenVINO" in engines_at_hand()


def test_two_threads_never_call_one_network_at_once():
    inside, most = [], []

    def net(x):
        inside.append(x)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.remove(x)
        return x

    net.name, net.arch, net.compile_seconds = "n", None, 0.0
    shared = SharedNet(net)
    threads = [threading.Thread(target=shared, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
