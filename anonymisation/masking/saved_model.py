"""A batch model for any SavedModel with the signature of TensorFlow's Object Detection API. Imports TensorFlow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import tensorflow as tf  # noqa: TID253 - the one module that uses it
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError, ImplausibleOutputError, ModelFailedError, ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.outputs import OPTIONAL_OUTPUT, REQUIRED_OUTPUTS, read_outputs
from anonymisation.masking.plausibility import Plausibility
from anonymisation.masking.second_look import SecondLook
from anonymisation.masking.tiling import MAX_BATCH
from anonymisation.masking.views import InputForm

SIGNATURE: Final = "serving_default"
# An optional file with the model's input size, as in {"side": 416, "multiple": 32, "most_pixels": 4194304}.
FORM_FILE: Final = "assets.extra/view.json"
# A model may include a segmentation network for a second look: its signature, and its parameters (`SecondLook`).
SECOND_SIGNATURE: Final = "segmentation"
SECOND_INPUT: Final = "input_tensor"
SECOND_OUTPUT: Final = "log_odds"
SECOND_LOOK_FILE: Final = "assets.extra/second_look.json"
# Larger values are implausible: the log odds of the smallest 32-bit probability are -87, and networks give a few tens.
MOST_ODDS: Final = 10_000

_Form = TypeVar("_Form", InputForm, SecondLook)

# The errors that TensorFlow raises for damaged files, depending on the file and the place of the damage.
_LOADING_ERRORS: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, tf.errors.OpError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Devices:
    """How TensorFlow uses the processors. All options but `threads` are for GPUs and have no effect without one.

    Attributes:
        threads: threads of one operation (None: one per core); has no effect once TensorFlow has run.
        memory_growth: allocate a GPU's memory as needed, so that two processes can share it; has no effect once
            TensorFlow has run.
        mixed_precision: run suitable operations with 16 bits (TensorFlow's graph rewrite). It stays off for a model
            with a second look: the integer arithmetic of its network would no longer be exact.
        xla: compile the graph with XLA where possible (TensorFlow's automatic clustering).
    """

    threads: int | None = None
    memory_growth: bool = True
    mixed_precision: bool = False
    xla: bool = False


class SavedModel:
    """A loaded network of the TF1 form (input `inputs`, any batch) or TF2 form (`input_tensor`, mostly one picture).

    A model without `detection_masks` is accepted; its boxes are hidden completely.
    """

    def __init__(
        self,
        folder: Path,
        *,
        score_threshold: float,
        floors: Mapping[int, float] | None = None,
        devices: Devices | None = None,
    ) -> None:
        """Load the SavedModel in `folder`; detections with a score below `score_threshold` are ignored.

        `floors` (COCO id → score) takes its place for some classes.
        `devices` applies to the whole process (None: the defaults of `Devices`).

        Raises:
            ModelUnavailableError: the model does not exist, cannot be read, or has another signature.
        """
        self.form = _read(folder / FORM_FILE, InputForm)
        """The model's input size; None if the model has no such file: it takes any size, and scales internally."""
        self.second_look = _read(folder / SECOND_LOOK_FILE, SecondLook)
        """The parameters for `segment`; None if the model has no segmentation network."""
        devices = devices or Devices()
        if devices.mixed_precision and self.second_look is not None:
            message = "gpu_mixed_precision stays off for the model in %s: its second look is not exact in 16 bits"
            logging.getLogger(__name__).warning(message, folder)
            devices = replace(devices, mixed_precision=False)
        _prepare_devices(devices)
        self._folder = folder
        self._score_threshold = score_threshold
        self._floors = floors
        self._model = _load(folder)  # keeps the variables of the signature alive
        self._signature = _signature_of(self._model, folder)
        self._input = _input_of(self._signature, folder)
        self._max_batch = 1 if self._input.shape.rank and self._input.shape[0] == 1 else MAX_BATCH
        _check_outputs(self._signature, folder)
        if self.second_look is not None:
            self._check_second_look()

    def _check_second_look(self) -> None:
        signature = self._model.signatures.get(SECOND_SIGNATURE)
        where = f"the model in {self._folder}"
        if signature is None:
            raise ModelUnavailableError(f"{where} has {SECOND_LOOK_FILE}, but no signature {SECOND_SIGNATURE!r}")
        if OPTIONAL_OUTPUT not in self._signature.structured_outputs:
            raise ModelUnavailableError(f"{where} has no {OPTIONAL_OUTPUT} for a second look")
        if _input_of(signature, f"{self._folder}, signature {SECOND_SIGNATURE!r}").name != SECOND_INPUT:
            raise ModelUnavailableError(f"{where}: expected the input of {SECOND_SIGNATURE!r} to be {SECOND_INPUT!r}")
        odds = signature.structured_outputs.get(SECOND_OUTPUT)
        if odds is None or odds.dtype != tf.float32 or odds.shape.rank not in (None, 4):
            got = "none" if odds is None else f"{odds.dtype.name} {odds.shape}"
            form = f"expected {SECOND_OUTPUT}, float32 [1, rows, columns, groups]"
            raise ModelUnavailableError(f"the second look of {where}: {form}, got {got}")

    @property
    def max_batch(self) -> int:
        """The most pictures that one call of `predict` accepts."""
        return self._max_batch

    @property
    def max_detections(self) -> int | None:
        """The most detections that the model returns for one picture; None if its signature does not say.

        Detections of classes that are not kept count too: such a model may be full with fewer kept detections.
        """
        rows = self._signature.structured_outputs["detection_scores"].shape
        return rows[1] if rows.rank == 2 else None

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        """Detections per picture of a batch (B, H, W, 3) uint8 RGB, B from 1 to `max_batch`.

        A batch that does not fit into the device's memory is split in halves.

        Raises:
            ModelFailedError: the model fails on these pictures, or its output is implausible.
            ImageError: there is too little memory for one picture.
            ModelUnavailableError: the outputs have other shapes or dtypes than the signature promises.
        """
        if not 1 <= len(batch) <= self._max_batch:
            raise ValueError(f"batch: expected 1 to {self._max_batch} pictures, got {len(batch)}")
        try:
            outputs = self._run(self._signature, {self._input.name: batch}, (*REQUIRED_OUTPUTS, OPTIONAL_OUTPUT))
        except tf.errors.ResourceExhaustedError as error:
            if len(batch) == 1:
                message = f"too little memory for the model on a picture of {batch.shape[2]} x {batch.shape[1]} pixels"
                raise ImageError(f"{message}; lower max_num_pixels") from error
            half = len(batch) // 2
            return self.predict(batch[:half]) + self.predict(batch[half:])
        height, width = batch.shape[1:3]
        plausibility = Plausibility(f"the model in {self._folder}", height, width)
        return read_outputs(outputs, len(batch), self._score_threshold, plausibility, self._floors)

    def segment(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Log odds (rows, columns, groups) of each group of classes in a picture (H, W, 3) uint8 RGB, scaled to
        `second_look.shown`; the samples are evenly spaced from edge to edge.

        Raises:
            ModelFailedError: the model fails on this picture, or its output is implausible.
            ImageError: there is too little memory for the picture.
            ModelUnavailableError: the output has another shape.
        """
        try:
            outputs = self._run(
                self._model.signatures[SECOND_SIGNATURE], {SECOND_INPUT: pixels[None]}, (SECOND_OUTPUT,)
            )
        except tf.errors.ResourceExhaustedError as error:
            raise ImageError(f"too little memory for the second look of the model in {self._folder}") from error
        odds = outputs[SECOND_OUTPUT]
        if odds.ndim != 4 or len(odds) != 1 or 0 in odds.shape:
            form = f"expected {SECOND_OUTPUT} [1, rows, columns, groups], got {odds.shape}"
            raise ModelUnavailableError(f"the second look of the model in {self._folder}: {form}")
        if not (odds.min() >= -MOST_ODDS and odds.max() <= MOST_ODDS):  # also catches NaN
            form = f"{SECOND_OUTPUT} from {odds.min():.6g} to {odds.max():.6g}, expected -{MOST_ODDS} to {MOST_ODDS}"
            raise ImplausibleOutputError(f"the second look of the model in {self._folder} gives {form}")
        return np.asarray(odds[0], np.float32)

    def _run(self, signature: Any, inputs: dict[str, Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The outputs `names`, as far as the model has them. The caller handles ResourceExhaustedError."""
        try:
            raw = signature(**{name: tf.convert_to_tensor(value) for name, value in inputs.items()})
            return {name: raw[name].numpy() for name in names if name in raw}
        except tf.errors.ResourceExhaustedError:
            raise
        except (tf.errors.OpError, TypeError, ValueError) as error:
            raise ModelFailedError(f"the model in {self._folder} fails on this picture: {_gist(error)}") from error

    def place(self, batch: NDArray[np.uint8]) -> Any:
        """The batch on the device, as another input for `predict`."""
        return tf.constant(batch)


def _read(path: Path, form: type[_Form]) -> _Form | None:
    """The values of the file, which must have exactly the fields of `form`; None if there is no file.

    Raises:
        ModelUnavailableError: the file has other content.
    """
    names = [field.name for field in fields(form)]
    try:
        values = msgspec.json.decode(path.read_bytes(), type=dict[str, int | float])
        if unknown := values.keys() - set(names):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        return msgspec.convert(values, form)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        form_text = f"expected a JSON object of numbers, with {', '.join(names)}"
        raise ModelUnavailableError(f"{path}: {form_text}: {error}") from error


def _gist(error: Exception) -> str:
    """The line of TensorFlow's error message that names the cause, without the stack traces around it."""
    around = ("File ", "Graph execution error", "Detected at node", "<stack traces")
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    return next((line for line in lines if line and not line.startswith(around)), type(error).__name__)


def _prepare_devices(devices: Devices) -> None:
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": devices.mixed_precision})
    tf.config.optimizer.set_jit("autoclustering" if devices.xla else False)
    try:
        if devices.threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(devices.threads)
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, devices.memory_growth)
    except RuntimeError as error:
        logging.getLogger(__name__).warning("TensorFlow is already running; its devices stay as they are: %s", error)
        return
    if gpus:
        # Without this, a GPU picks the fastest algorithm by timing, and sums run in any order. On a CPU, results are
        # deterministic anyway, and the switch would forbid unseeded random numbers in the whole process.
        tf.config.experimental.enable_op_determinism()


def _load(folder: Path) -> Any:
    if not (folder / "saved_model.pb").is_file():
        raise ModelUnavailableError(f"{folder} holds no saved_model.pb; expected the folder of a TensorFlow SavedModel")
    try:
        return tf.saved_model.load(str(folder))
    except _LOADING_ERRORS as error:
        raise ModelUnavailableError(f"the model in {folder} cannot be loaded, fetch it again: {error}") from error


def _signature_of(model: Any, folder: Path) -> Any:
    signatures = getattr(model, "signatures", {})
    if SIGNATURE not in signatures:
        found = ", ".join(signatures) or "none"
        raise ModelUnavailableError(f"the model in {folder} has no signature {SIGNATURE!r} (found: {found})")
    return signatures[SIGNATURE]


def _input_of(signature: Any, folder: Path | str) -> Any:
    inputs = list(signature.structured_input_signature[1].values())
    form = "expected one input, uint8 [batch, height, width, 3] for pictures of any size"
    if len(inputs) != 1:
        raise ModelUnavailableError(f"the model in {folder}: {form}, got {len(inputs)} inputs")
    spec = inputs[0]
    shape = spec.shape.as_list() if spec.shape.rank is not None else [None] * 4
    fits = len(shape) == 4 and shape[0] in (None, 1) and shape[1:3] == [None, None] and shape[3] in (None, 3)
    if spec.dtype != tf.uint8 or not fits:
        raise ModelUnavailableError(f"the model in {folder}: {form}, got {spec.dtype.name} {shape}")
    return spec


def _check_outputs(signature: Any, folder: Path) -> None:
    outputs = signature.structured_outputs
    if missing := [name for name in REQUIRED_OUTPUTS if name not in outputs]:
        raise ModelUnavailableError(
            f"the model in {folder} lacks the outputs {', '.join(missing)}; "
            "expected a model of the TensorFlow Object Detection API"
        )
    if OPTIONAL_OUTPUT not in outputs:
        message = "the model in %s gives no %s: the whole of every box will be hidden"
        logging.getLogger(__name__).warning(message, folder, OPTIONAL_OUTPUT)
