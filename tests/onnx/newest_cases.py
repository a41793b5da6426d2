#!/usr/bin/env python3
"""The node cases of the installed `onnx` package, as folders of the usual layout.

    newest_cases.py FOLDER

The package makes its node cases anew each time, from a fixed seed: those of every operator up to the
newest opset, and of the preview domains. They go to FOLDER/node. FOLDER/.made names the package's
version and the digest of this file: with the same, nothing is done.

Some casts have references that the specification does not back; they are replaced, see undefined().
"""

import hashlib
import pathlib
import shutil
import sys
import warnings

try:
    import ml_dtypes
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)


LIMITS = {TensorProto.INT4: (-8, 7), TensorProto.UINT4: (0, 15), TensorProto.INT2: (-2, 1),
          TensorProto.UINT2: (0, 3)}


def as_array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def undefined(case, inputs, outputs):
    """The outputs, with what a cast from a float leaves undefined set to what the engine promises.

    "Casting from floating point to fixed point: undefined if OOR", says Cast, and of a NaN in a type
    without one it says nothing. This package's references wrap around there, and give -0 for NaN
    (so does ml_dtypes, which made them); the references of the package's releases up to 1.18 saturate,
    and have the greatest value for NaN, as its page on float4 does. The engine keeps to those: a
    model exported by then must not change. Every value within the range is compared as it is.
    """
    if not case.name.startswith(("test_cast_FLOAT", "test_castlike_FLOAT")):
        return outputs
    source, kind = as_array(inputs[0]), case.model.graph.output[0].type.tensor_type.elem_type
    if kind not in LIMITS and kind != TensorProto.FLOAT4E2M1:
        return outputs
    # Only from types that are a float themselves, and wider.
    if source.dtype not in (np.float32, np.float16, np.float64, ml_dtypes.bfloat16):
        return outputs
    right, wide = as_array(outputs[0]).copy(), source.astype(np.float64)
    if kind == TensorProto.FLOAT4E2M1:
        right[np.isnan(wide)] = 6
    else:
        least, most = LIMITS[kind]
        for at in np.argwhere((wide < least) | (wide > most)):
            right[tuple(at)] = most if wide[tuple(at)] > most else least
    return [numpy_helper.from_array(right.astype(helper.tensor_dtype_to_np_dtype(kind)),
                                    case.model.graph.output[0].name)]


def stamp():
    return f"{onnx.__version__} {hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}\n"


def value_bytes(value, port):
    kind = port.type.WhichOneof("value")
    if isinstance(value, TensorProto):
        return value.SerializeToString()
    make = {"map_type": numpy_helper.from_dict, "sequence_type": numpy_helper.from_list,
            "optional_type": numpy_helper.from_optional}.get(kind, numpy_helper.from_array)
    return make(value, port.name).SerializeToString()


def write_case(folder, case):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir()
        for kind, values, ports in (("input", inputs, case.model.graph.input),
                                    ("output", undefined(case, inputs, outputs),
                                     case.model.graph.output)):
            for at, (value, port) in enumerate(zip(values, ports)):
                (data / f"{kind}_{at}.pb").write_bytes(value_bytes(value, port))


def main():
    folder = pathlib.Path(sys.argv[1])
    mark = folder / ".made"
    if mark.is_file() and mark.read_text() == stamp():
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_node_model_tests
        cases = load_node_model_tests()
    for case in cases:
        write_case(folder / "node" / case.name, case)
    mark.write_text(stamp())
    print(f"{len(cases)} cases of onnx {onnx.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
