"""Run a table of layers with OpenVINO: the fast engine on a CPU. Needs no Chainer."""

import os
import time
import zlib
from collections import OrderedDict, deque

import numpy as np

from engines.cache import workshop
from engines.openvino_compat import open_core, ov
from engines.processor import usual_threads
from engines.waiting import give_up, wait
from entity import STRIDE
from errors import InputError
from models.layers import INPUT, run_layers

ops = ov.opset13
PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
ANY = (-1, 3, -1, -1)  # shape of x
MAX_COMPILED = 6  # input shapes kept ready; precise mode needs four
MAX_CACHED = 4  # shapes that one run adds to the cache folder: a compiled CocoPoseNet takes 200 MB, and a folder of pictures has many shapes


def build_model(network, weights, name="network") -> ov.Model:
    """The table as an ov.Model: input `data` (N, 3, H, W) float32, N, H and W free; outputs named as the table's last layers."""

    def step(layer, inputs):
        if layer.op == "conv":
            y = ops.convolution(
                inputs[0],
                ops.constant(weights[f"{layer.name}/W"]),
                strides=[layer.stride] * 2,
                pads_begin=[layer.pad] * 2,
                pads_end=[layer.pad] * 2,
                dilations=[layer.dilation] * 2,
            )
            y = ops.add(y, ops.constant(weights[f"{layer.name}/b"].reshape(1, -1, 1, 1)))
        elif layer.op == "pool":
            y = ops.max_pool(inputs[0], [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], rounding_type="ceil").output(0)
        elif layer.op == "concat":
            y = ops.concat(inputs, axis=1)
        else:
            y = ops.add(*inputs)
        if layer.relu:
            y = ops.relu(y)
        node = y.get_node() if isinstance(y, ov.Output) else y
        node.set_friendly_name(layer.name)
        return y

    data = ops.parameter(ov.PartialShape([-1, 3, -1, -1]), np.float32, name=INPUT)
    data.output(0).set_names({INPUT})
    names = list(dict.fromkeys(output.layer for output in network.outputs))
    outputs = run_layers(network.layers, data, step, names)
    results = []
    for output_name in names:
        outputs[output_name].output(0).set_names({output_name})
        results.append(ops.result(outputs[output_name]))
    return ov.Model(results, [data], name)


class OpenVinoNet:
    """net(x): x (N, 3, H, W) float32 -> tuple of arrays (N, channels, H/8, W/8) float32, the last stage's outputs.

    For a CPU the model is compiled once, for x of any shape: on photos of many sizes that is several times as quick as once per shape, and
    hardly slower on one size (mobilenet_v2_small: a fifth). For other devices it is compiled per shape; the last MAX_COMPILED shapes stay ready.
    """

    def __init__(self, model, outputs, device="CPU", precision=None, threads=None, cache_dir=None, hint="latency", streams=None):
        """model: an ov.Model with one input (N, 3, H, W), such as build_model makes. outputs: models.layers.Output rows, what is answered.
        precision: f32, bf16, f16, int8 (of a model that was quantised), or None for the device's own choice. threads: None is all.
        cache_dir: compiled models are kept there for the next start (None: nowhere). hint: latency or throughput. streams: pictures that
        the device works on side by side (None: as the hint says). Raises InputError for a device or precision that is not to be had.
        """
        self.outputs = outputs
        self.precision = precision
        self.core = open_core()
        self.device = device
        check_device(self.core, device)
        self.config = {"PERFORMANCE_HINT": hint.upper()}
        if streams is not None:
            self.config["NUM_STREAMS"] = str(streams)
        if precision == "int8":
            _check_quantised(model)
        elif precision is not None:
            _check_precision(self.core, device, precision)
            self.config["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
        if threads is None and device == "CPU" and (threads := usual_threads()) is not None:
            self.config["ENABLE_CPU_PINNING"] = False  # processes that do the same would all be held on the first core
        if threads is not None:
            self.config["INFERENCE_NUM_THREADS"] = threads
        self.cache_dir = cache_dir
        self.model = model
        self.any_shape = device == "CPU"  # one compiled model takes all shapes
        self.is_checked = False  # whether it takes pictures of any size, or the one that came first
        self.compiled = OrderedDict()  # shape (or ANY), changes to the configuration -> ov.CompiledModel and its request
        alone = device != "CPU" or threads is not None or streams is not None or hint != "latency"
        self.beside = () if alone else (("INFERENCE_NUM_THREADS", max(1, n_cores() - 1)),)  # changes for who works beside the network
        self.n_compiled = 0
        self.compile_seconds = 0.0  # so far

    def __call__(self, x) -> tuple:
        x = np.ascontiguousarray(x, np.float32)
        _, request = self._compile(x.shape)
        try:
            request.start_async([x], share_inputs=True)
            return self._answer(request, x.shape)
        except BaseException:
            self._give_up([(request, x)])
            raise

    def stream(self, items):
        """Answer many pictures, several at a time: items yields (anything, x); yields (the same thing, tuple of arrays), in order.

        At most as many pictures as the device takes side by side, and one more, are on their way; while the device works on them,
        the caller works on what was yielded and on the next item. x of one shape after another is quickest. Where nobody said on how many
        threads a CPU shall work, it leaves one core to the caller: together they are quicker, for threads of one network wait for each other.
        """
        # No callbacks: Python that runs in a thread of the device may collect garbage there, and a network that ends in a thread of
        # its own waits for itself, or ends the process (std::terminate).
        idle, waiting, known = [], deque(), None

        def finished():
            thing, x, request = waiting[0]
            answer = self._answer(request, x.shape)
            waiting.popleft()
            idle.append(request)
            return thing, answer

        try:
            for thing, x in items:
                x = np.ascontiguousarray(x, np.float32)
                compiled = self._compile(x.shape, self.beside)[0]
                if compiled is not known:
                    while waiting:
                        yield finished()
                    known, idle[:] = compiled, self._requests(compiled)
                elif not idle:
                    yield finished()
                request = idle.pop()
                waiting.append((thing, x, request))  # x lives until its answer is there
                request.start_async([x], share_inputs=True)
            while waiting:
                yield finished()
        finally:
            self._give_up([(request, x) for _, x, request in waiting])

    def _give_up(self, pairs):
        """pairs: as waiting.give_up. After an inference that was left in its middle OpenVINO answers wrongly, or not at all: it is compiled anew."""
        if pairs:
            give_up(pairs)
            self.n_compiled -= len(self.compiled)
            self.compiled.clear()

    def _requests(self, compiled):
        return [compiled.create_infer_request() for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1)]

    def _answer(self, request, shape) -> tuple:
        """Wait for the request, whose x has this shape, and copy what it answers."""
        try:
            wait(request)
        except RuntimeError:
            self._check(shape)
            raise
        arrays = {name: np.array(request.get_tensor(output).data) for output in request.model_outputs for name in output.names}
        if any(tuple(cells * STRIDE for cells in arrays[output.layer].shape[2:]) != tuple(shape[2:]) for output in self.outputs):
            self._check(shape)
        return tuple(arrays[layer][:, start:stop] for layer, start, stop in self.outputs)

    def _compile(self, shape, changes=None):
        """(ov.CompiledModel, its request) for x of a shape. changes: to the configuration; None: whichever is there already."""
        if not self.is_checked:
            self._check(shape)
            self.is_checked = True
        known = next((key for key in self.compiled if key[0] == (ANY if self.any_shape else shape) and changes in (None, key[1])), None)
        key = known or (ANY if self.any_shape else shape, changes or ())
        pair = self.compiled.pop(key, None)
        if pair is None:
            begin = time.perf_counter()
            model = self.model.clone()
            try:
                model.reshape(list(key[0]))
            except RuntimeError:
                self._check(shape)
                raise
            compiled = self._compile_or_recall(model, self.config | dict(key[1]))
            pair = compiled, compiled.create_infer_request()
            self.n_compiled += 1
            self.compile_seconds += time.perf_counter() - begin
        self.compiled[key] = pair
        if len(self.compiled) > MAX_COMPILED:
            self.compiled.popitem(last=False)
        return pair

    def _compile_or_recall(self, model, config):
        if self.cache_dir is None or self.n_compiled >= MAX_CACHED:
            return compile_model(self.core, model, self.device, config)
        with workshop(self.cache_dir, f"{self.device} {sorted(config.items())} {_trace(model)}") as place:
            return compile_model(self.core, model, self.device, config | ({"CACHE_DIR": place} if place else {}))

    def _check(self, shape):
        """Raise InputError for a shape that the network cannot take, or answers otherwise than with a cell for each 8x8 pixels. It takes 10 ms:
        later shapes are looked at only where something is wrong."""
        model = self.model.clone()
        try:
            model.reshape(list(shape))
        except RuntimeError:
            raise InputError(f"this network cannot take pictures of {shape[3]}x{shape[2]}: it is made for one size; name another one") from None
        ports = {name: port for port in model.outputs for name in port.names}
        for output in self.outputs:
            height, width = (size.get_length() for size in list(ports[output.layer].partial_shape)[2:])
            if (height * STRIDE, width * STRIDE) != tuple(shape[2:]):
                got = f"maps of {width}x{height} for {shape[3]}x{shape[2]} pixels"
                raise InputError(f"this network answers {got}, expected a cell for each {STRIDE}x{STRIDE}; name another one")


def n_cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _trace(model) -> str:
    """What tells most models from each other, quickly: the first numbers of their constants. OpenVINO itself looks at all of them."""
    constants = [op for op in model.get_ops() if op.get_type_name() == "Constant" and op.get_element_type() in (ov.Type.f32, ov.Type.f16)]
    numbers = [op.data.reshape(-1)[:16].tobytes() for op in constants]
    return f"{model.friendly_name} {model.inputs[0].partial_shape} {zlib.crc32(b''.join(numbers))}"


def compile_model(core, model, device, config):
    """core.compile_model. Raises InputError where the device cannot run the model."""
    try:
        return core.compile_model(model, device, config)
    except RuntimeError as error:
        reason, available = str(error).strip().splitlines()[-1], ", ".join(core.available_devices)
        raise InputError(f"--device {device}: OpenVINO cannot run the network there ({reason}); name one of {available}") from None


def _check_quantised(model):
    if not any(op.get_type_name() == "FakeQuantize" for op in model.get_ops()):
        cure = "convert it first (convert_model.py --data_type INT8 --calibration FOLDER), and name that .xml"
        raise InputError(f"--precision int8: this file is not quantised; {cure}")


def check_device(core, device):
    """Raise InputError if this machine has no such device."""
    if device == "CPU":  # always there; to list the others takes 70 ms
        return
    available = core.available_devices
    if device.split(".")[0].split(":")[0] not in {*(name.split(".")[0] for name in available), "AUTO", "HETERO", "MULTI", "BATCH"}:
        raise InputError(f"--device {device}: OpenVINO finds {', '.join(available)} on this machine; name one of these")


def _check_precision(core, device, precision):
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: expected one of {', '.join(PRECISIONS)}")
    wanted = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}[precision]
    try:
        able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:  # a virtual device such as AUTO does not say
        return
    if wanted not in able:
        offered = [name for name, capability in (("f32", "FP32"), ("bf16", "BF16"), ("f16", "FP16")) if capability in able]
        raise InputError(f"--precision {precision}: {device} computes in {', '.join(offered)}; name one of these, or leave --precision out")
