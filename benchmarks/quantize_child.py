"""OpenVINO's network to 8 bits: ``python quantize_child.py model.xml squares.npy int8.xml``.

Needs nncf and openvino, nothing of Veil's. Post-training quantization as nncf does it by default, with
asymmetric activations where the network has swish (its MIXED preset), over all squares.
"""

import sys

import numpy as np


def main(model: str, squares: str, target: str) -> None:
    """See the module."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would report over the network
    import nncf  # type: ignore[import-not-found]
    import openvino as ov

    calibration = np.load(squares, mmap_mode="r")
    data = nncf.Dataset(calibration, lambda square: {0: np.ascontiguousarray(square[None])})
    network = nncf.quantize(
        ov.Core().read_model(model),
        data,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
    )
    ov.save_model(network, target, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
