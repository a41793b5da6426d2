#!/usr/bin/env python3
"""What the published schemas allow and the engine does not take: operators, versions, types.

    schema_gaps.py --runner build/tests/onnx-conformance --operators build/tests/onnx-operators \\
                   [--values] [--work FOLDER] CASES...

The Python package `onnx` (its newest release knows the newest opset) says which operators there
are, since which versions, and which element types each of their parameters may have. CASES are
folders of ONNX node cases. For every operator of ai.onnx, every version of it that is in force at
opset 7 or later, and every type of every parameter, a case of that operator is taken as a template,
its tensors are cast to that type, its opset is set to that version, and the engine runs it. What
does not load or run is a gap, one line each: operator, version, parameter, type, reason; what
schema_exceptions.txt refuses on purpose is none. Operators with subgraphs, and those of sequences,
have templates made here. Parameters that no template covers are listed too. --values computes the result with the package's reference
evaluator as well and lists what differs.

Exit status 1 where there is a gap.
"""

import argparse
import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import ml_dtypes  # noqa: F401: lets numpy convert the narrow types
import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

FIRST_OPSET = 7
TEMPLATES = 2  # cases of an operator that are tried at first; where none is served, all are
EXCEPTIONS = pathlib.Path(__file__).with_name("schema_exceptions.txt")
# Random by definition: no value is compared.
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
          "Multinomial", "Dropout"}


def element_type(text):
    """TensorProto's number of "tensor(float)"; None for sequences, optionals and maps."""
    if not text.startswith("tensor("):
        return None
    name = text[len("tensor("):-1].upper()
    return TensorProto.DataType.Value(name)


def schemas():
    """name -> {version: schema}, of ai.onnx."""
    table = collections.defaultdict(dict)
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            table[schema.name][schema.since_version] = schema
    return table


def versions_in_force(history):
    known = sorted(history)
    for at, version in enumerate(known):
        last = known[at + 1] - 1 if at + 1 < len(known) else defs.onnx_opset_version()
        if last >= FIRST_OPSET and not history[version].deprecated:
            yield version, max(version, FIRST_OPSET), history[version]


def read_cases(folders):
    """operator -> [(model, [inputs], [outputs])], of the cases that are one node."""
    table = collections.defaultdict(list)
    for folder in folders:
        for path in sorted(pathlib.Path(folder).iterdir()):
            if not (path / "model.onnx").is_file():
                continue
            model = onnx.load(path / "model.onnx")
            if len(model.graph.node) != 1 or model.graph.node[0].domain not in ("", "ai.onnx"):
                continue
            try:
                values = [read_tensors(path / "test_data_set_0", kind, ports) for kind, ports in
                          (("input", model.graph.input), ("output", model.graph.output))]
            except (ValueError, OSError):
                continue
            if not any(None in part for part in values):
                table[model.graph.node[0].op_type].append((model, *values))
    return table


def read_tensors(folder, kind, ports):
    out = []
    for at, port in enumerate(ports):
        if port.type.WhichOneof("value") != "tensor_type":
            return [None]
        tensor = TensorProto()
        tensor.ParseFromString((folder / f"{kind}_{at}.pb").read_bytes())
        out.append(tensor)
    return out


def formal(parameters, at):
    """The parameter that the input or output `at` stands for: the last may be variadic."""
    if at < len(parameters):
        return parameters[at]
    return parameters[-1] if parameters else None


def fits(model, schema):
    node = model.graph.node[0]
    variadic = defs.OpSchema.FormalParameterOption.Variadic
    for given, parameters in ((node.input, schema.inputs), (node.output, schema.outputs)):
        most = len(parameters)
        if len(given) > most and not (parameters and parameters[-1].option == variadic):
            return False
    attributes = {a.name for a in node.attribute}
    required = {name for name, a in schema.attributes.items() if a.required}
    return (attributes <= set(schema.attributes) and required <= attributes
            and len(node.input) >= schema.min_input)


def cast(tensor, wanted):
    array = numpy_helper.to_array(tensor)
    if tensor.data_type == wanted:
        return tensor
    name = tensor.name
    if wanted == TensorProto.STRING:
        return helper.make_tensor(name, wanted, array.shape,
                                  [str(v).encode() for v in array.flatten()])
    if array.dtype == object:
        array = np.arange(array.size).reshape(array.shape)
    if np.iscomplexobj(array):
        array = array.real
    array = array.astype(np.float64)
    text = TensorProto.DataType.Name(wanted)
    if text.startswith("UINT") or text == "FLOAT8E8M0":
        array = np.abs(array)
    if text in ("INT4", "UINT4", "INT2", "UINT2"):
        array = np.nan_to_num(array, posinf=1, neginf=1) % 2
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numpy_helper.from_array(
            array.astype(helper.tensor_dtype_to_np_dtype(wanted)), name)


# Attributes that name the type of an output, and the parameter of the output that they set.
NAMED_TYPES = {"dtype", "to", "output_dtype", "output_datatype", "axis_dtype"}


def port(name, wanted, shape=None, sequence=False):
    if sequence:
        return helper.make_tensor_sequence_value_info(name, wanted, None)
    return helper.make_tensor_value_info(name, wanted, shape)


def identity_graph(name, wanted, inputs, shape):
    """A body that gives a constant tensor of that type, or its inputs, back."""
    if not inputs:
        constant = cast(numpy_helper.from_array(np.ones(shape, np.float32), name + "_c"), wanted)
        return helper.make_graph([helper.make_node("Identity", [name + "_c"], [name + "_y"])], name,
                                 [], [port(name + "_y", wanted, shape)], [constant])
    nodes = [helper.make_node("Identity", [p.name], [p.name + "_y"]) for p in inputs]
    out = [onnx.ValueInfoProto.FromString(p.SerializeToString()) for p in inputs]
    for p in out:
        p.name += "_y"
    return helper.make_graph(nodes, name, inputs, out)


def made_if(wanted, opset):
    node = helper.make_node("If", ["cond"], ["y"],
                            then_branch=identity_graph("a", wanted, [], [3]),
                            else_branch=identity_graph("b", wanted, [], [3]))
    return [node], [port("cond", TensorProto.BOOL, [])], [port("y", wanted)]


def made_loop(wanted, opset):
    body = identity_graph("body", wanted, [port("i", TensorProto.INT64, []),
                                           port("go", TensorProto.BOOL, []),
                                           port("v", wanted, [3])], [3])
    body.output.append(port("scan", wanted, [3]))
    body.node.append(helper.make_node("Identity", ["v"], ["scan"]))
    del body.output[0]  # the number of the iteration is not given back
    node = helper.make_node("Loop", ["trips", "", "x"], ["y", "ys"], body=body)
    return ([node], [port("trips", TensorProto.INT64, []), port("x", wanted, [3])],
            [port("y", wanted), port("ys", wanted)])


def made_scan(wanted, opset):
    body = identity_graph("body", wanted, [port("s", wanted, [3]), port("v", wanted, [3])], [3])
    lead = [""] if opset < 9 else []
    node = helper.make_node("Scan", [*lead, "x", "xs"], ["y", "ys"], body=body, num_scan_inputs=1)
    batch = [1] if opset < 9 else []
    return ([node], [port("x", wanted, [*batch, 3]), port("xs", wanted, [*batch, 2, 3])],
            [port("y", wanted), port("ys", wanted)])


def through_sequence(*last):
    """x twice in a sequence, then the node under test; the result is made a tensor again."""
    def make(wanted, opset):
        nodes = [helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
                 helper.make_node("Constant", [], ["at"], value_int=1), *last]
        return nodes, [port("x", wanted, [2, 3])], [port("y", wanted)]
    return make


def same_width(wanted):
    """Another type of as many bits."""
    bits = {TensorProto.UINT4: 4, TensorProto.INT4: 4, TensorProto.FLOAT4E2M1: 4,
            TensorProto.UINT2: 2, TensorProto.INT2: 2}.get(wanted)
    bits = bits or 8 * helper.tensor_dtype_to_np_dtype(wanted).itemsize
    return {2: TensorProto.UINT2, 4: TensorProto.UINT4, 8: TensorProto.UINT8,
            16: TensorProto.UINT16, 32: TensorProto.UINT32, 64: TensorProto.UINT64,
            128: TensorProto.COMPLEX128}[bits]


def made_bitcast(source):
    def make(wanted, opset):
        other = same_width(wanted)
        first, last = (wanted, other) if source else (other, wanted)
        nodes = [helper.make_node("Cast", ["x"], ["c"], to=first),
                 helper.make_node("BitCast", ["c"], ["y"], to=last)]
        if TensorProto.COMPLEX64 in (first, last) or first == TensorProto.COMPLEX128:
            # No cast makes these, so x has the type at once.
            nodes = [helper.make_node("BitCast", ["x"], ["y"], to=last)]
            return nodes, [port("x", first, [3])], [port("y", last)]
        return nodes, [port("x", wanted, [3])], [port("y", last)]
    return make


def made_of_strings(wanted, opset):
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], mode="TF", min_gram_length=1,
                            max_gram_length=1, max_skip_count=0, ngram_counts=[0],
                            ngram_indexes=[0, 1],
                            **({"pool_strings": ["1.0", "2.0"]} if wanted == TensorProto.STRING
                               else {"pool_int64s": [1, 2]}))
    return [node], [port("x", wanted, [3])], [port("y", TensorProto.FLOAT)]


def of_float(make):
    return lambda wanted, opset: make(TensorProto.FLOAT, opset)


AT = helper.make_node("SequenceAt", ["t", "at"], ["y"])
HANDMADE = {
    ("BitCast", "T1"): made_bitcast(True),
    ("BitCast", "T2"): made_bitcast(False),
    ("TfIdfVectorizer", "T"): made_of_strings,
    ("If", "B"): of_float(made_if),
    ("If", "V"): made_if,
    ("Loop", "B"): of_float(made_loop),
    ("Loop", "I"): of_float(made_loop),
    ("Loop", "V"): made_loop,
    ("Scan", "I"): of_float(made_scan),
    ("Scan", "V"): made_scan,
    ("SequenceConstruct", "T"): through_sequence(helper.make_node("SequenceAt", ["s", "at"], ["y"])),
    ("SequenceAt", "T"): through_sequence(helper.make_node("SequenceAt", ["s", "at"], ["y"])),
    ("SequenceInsert", "T"): through_sequence(
        helper.make_node("SequenceInsert", ["s", "x", "at"], ["t"]), AT),
    ("ConcatFromSequence", "T"): through_sequence(
        helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)),
    ("SplitToSequence", "T"): through_sequence(
        helper.make_node("SplitToSequence", ["x"], ["t"], axis=0), AT),
    ("SequenceMap", "V"): through_sequence(
        helper.make_node("SequenceMap", ["s"], ["t"],
                         body=identity_graph("m", 1, [port("v", TensorProto.FLOAT)], None)), AT),
    ("Optional", "V"): through_sequence(
        helper.make_node("Optional", ["x"], ["o"]),
        helper.make_node("OptionalGetElement", ["o"], ["y"])),
    ("OptionalGetElement", "V"): through_sequence(
        helper.make_node("OptionalGetElement", ["x"], ["y"])),
    ("OptionalHasElement", "O"): through_sequence(
        helper.make_node("OptionalHasElement", ["x"], ["has"]),
        helper.make_node("Identity", ["x"], ["y"])),
}
CONTROL = ("If", "Loop", "Scan", "TfIdfVectorizer")  # one node: at its own opset
COUNTS = {"cond": np.array(True), "trips": np.array(2)}  # of inputs of those names


def handmade(name, parameter, wanted, opset):
    """(model, inputs) for what no single-node case can be a template of."""
    make = HANDMADE.get((name, parameter))
    if not make:
        return None
    nodes, inputs, outputs = make(wanted, opset)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    for node in nodes:
        for attribute in node.attribute if name == "SequenceMap" else ():
            for p in [*attribute.g.input, *attribute.g.output]:
                p.type.tensor_type.elem_type = wanted
    model = helper.make_model(helper.make_graph(nodes, "probe", inputs, outputs), ir_version=13,
                              opset_imports=[helper.make_opsetid("", max(opset, 12) if
                                                                 name not in CONTROL
                                                                 else opset)])
    tensors = []
    for p in inputs:
        shape = [d.dim_value for d in p.type.tensor_type.shape.dim]
        array = COUNTS.get(p.name, np.ones(shape, np.float32))
        tensor = numpy_helper.from_array(array, p.name)
        tensors.append(cast(tensor, p.type.tensor_type.elem_type))
    return model, tensors


def probe(template, schema, opset, parameter, wanted):
    """(model, inputs) with every tensor of that type parameter cast; None where the template has
    none."""
    model, inputs, _ = template
    model = onnx.ModelProto.FromString(model.SerializeToString())
    node = model.graph.node[0]
    names, by_output, touched = {}, False, False
    types = {p.name: p.type.tensor_type.elem_type for p in [*model.graph.input,
                                                            *model.graph.output]}
    for at, name in enumerate(node.input):
        p = formal(schema.inputs, at)
        if name and p and p.type_str == parameter:
            names[name] = wanted
            touched = True
    for at, name in enumerate(node.output):
        p = formal(schema.outputs, at)
        if name and p and p.type_str == parameter:
            by_output = True
            # The type of an output that no input shares is set by an attribute, or is what it is.
            touched = touched or types.get(name) == wanted
            names[name] = wanted
    for attribute in node.attribute:
        if by_output and not touched and attribute.name in NAMED_TYPES:
            attribute.i = wanted
            touched = True
        elif by_output and not touched and attribute.name == "value" and attribute.HasField("t"):
            attribute.t.CopyFrom(cast(attribute.t, wanted))
            touched = True
    if not touched:
        return None
    for port in [*model.graph.input, *model.graph.output]:
        if port.name in names:
            port.type.tensor_type.elem_type = names[port.name]
        if port in model.graph.output:
            port.type.tensor_type.ClearField("shape")
    cast_inputs = [cast(t, names[p.name]) if p.name in names else t
                   for p, t in zip(model.graph.input, inputs)]
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", opset))
    model.ir_version = max(model.ir_version, 13)
    return model, cast_inputs


def reference(model, inputs):
    """Outputs as the package computes them, or None where it cannot."""
    from onnx.reference import ReferenceEvaluator
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            feed = {p.name: numpy_helper.to_array(t) for p, t in zip(model.graph.input, inputs)}
            got = ReferenceEvaluator(model).run(None, feed)
            return [numpy_helper.from_array(np.asarray(v)) for v in got]
    except Exception:  # noqa: BLE001: whatever it raises, it has no answer
        return None


def write_case(folder, model, inputs, outputs):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for at, tensor in enumerate(tensors):
            (data / f"{kind}_{at}.pb").write_bytes(tensor.SerializeToString())


def registered(program):
    """(name, first, last) rows of ai.onnx, last 0 where the operator is still there."""
    out = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return [(name, int(since), int(until)) for domain, name, since, until in rows
            if domain == "ai.onnx"]


def missing_operators(table, rows):
    for name, history in sorted(table.items()):
        for version, opset, _ in versions_in_force(history):
            if not any(n == name and since <= opset and (until == 0 or opset <= until)
                       for n, since, until in rows):
                yield f"operator {name} {version}: no row"


def probes(table, cases, work, values, most=TEMPLATES, only=None):
    """At most `most` for a type, of the types `only`. Writes the cases; returns key -> [(case name, has a reference)], and what has no template."""
    written, bare = collections.defaultdict(list), []
    for name, history in sorted(table.items()):
        for version, opset, schema in versions_in_force(history):
            usable = [t for t in cases[name] if fits(t[0], schema)]
            usable = usable[::max(1, len(usable) // most)]
            for constraint in schema.type_constraints:
                for text in constraint.allowed_type_strs:
                    wanted = element_type(text)
                    if wanted is None:
                        continue
                    key = (name, version, constraint.type_param_str, text)
                    if only is not None and key not in only:
                        continue
                    made = handmade(name, constraint.type_param_str, wanted, opset)
                    if made:
                        case = "-".join((name, str(version), constraint.type_param_str, text[7:-1]))
                        answer = reference(*made) if values else None
                        write_case(work / case, *made, answer or [made[1][-1]])
                        written[key].append((case, answer is not None))
                        continue
                    for template in usable:
                        try:
                            made = probe(template, schema, opset, constraint.type_param_str, wanted)
                        except (ValueError, TypeError, OverflowError):
                            made = None
                        if made is None or len(written[key]) == most:
                            continue
                        answer = reference(*made) if values and name not in RANDOM else None
                        case = "-".join((name, str(version), constraint.type_param_str,
                                         text[7:-1], str(len(written[key]))))
                        write_case(work / case, *made, answer or template[2])
                        written[key].append((case, answer is not None))
                    if not written[key]:
                        bare.append(key)
    return written, bare


def run(runner, work):
    """case -> None where it passes, else the reason."""
    out = subprocess.run([runner, "--rtol", "2e-2", "--atol", "2e-2", str(work)],
                         capture_output=True, text=True, check=False).stdout
    results = {}
    for line in out.splitlines():
        word, _, rest = line.partition(" ")
        if word == "pass":
            results[rest] = None
        elif word in ("FAIL", "skip"):
            case, _, reason = rest.partition(": ")
            results[case] = reason
    return results


def served(results, tried):
    reasons = [results.get(case, "did not run") for case, _ in tried]
    return [r is None or r.startswith("output ") for r in reasons]


def judge(written, results, values):
    gaps = []
    refused = {tuple(line.split(":")[0].split()) for line in EXCEPTIONS.read_text().splitlines()
               if line and not line.startswith("#")}
    for key, tried in written.items():
        if not tried:
            continue
        reasons = [results.get(case, "did not run") for case, _ in tried]
        runs = any(served(results, tried))
        text = " ".join(str(part) for part in key)
        if (key[0], key[2], key[3][7:-1]) in refused:
            if runs:
                gaps.append(f"exception that is none: {text}")
        elif not runs:
            gaps.append(f"type {text}: {reasons[0]}")
        elif values:
            wrong = [r for (_, known), r in zip(tried, reasons)
                     if known and r and r.startswith("output ")]
            gaps.extend(f"value {text}: {reason}" for reason in wrong[:1])
    return gaps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runner", required=True)
    parser.add_argument("--operators", required=True)
    parser.add_argument("--values", action="store_true")
    parser.add_argument("--only", help="one operator")
    parser.add_argument("--work", help="folder to keep the cases in")
    parser.add_argument("cases", nargs="+")
    arguments = parser.parse_args()
    table = schemas()
    if arguments.only:
        table = {arguments.only: table[arguments.only]}
    gaps = list(missing_operators(table, registered(arguments.operators)))
    work = pathlib.Path(arguments.work or tempfile.mkdtemp(prefix="schema-gaps-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        cases = read_cases(arguments.cases)
        written, bare = probes(table, cases, work / "few", arguments.values)
        results = run(arguments.runner, work / "few")
        left = {key for key, tried in written.items() if not any(served(results, tried))}
        if left:
            more, _ = probes(table, cases, work / "all", arguments.values, 1000, left)
            written.update(more)
            results.update(run(arguments.runner, work / "all"))
        gaps += judge(written, results, arguments.values)
    finally:
        if not arguments.work:
            shutil.rmtree(work)
    print("\n".join(gaps))
    grouped = collections.defaultdict(list)
    for name, version, parameter, _ in bare:
        grouped[name, parameter].append(str(version))
    for (name, parameter), versions in grouped.items():
        print(f"no template: {name} {parameter} {','.join(sorted(set(versions), key=int))}")
    probed = sum(1 for tried in written.values() if tried)
    print(f"opset {defs.onnx_opset_version()}, {probed} of {probed + len(bare)} types probed, "
          f"{len(gaps)} gaps")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
