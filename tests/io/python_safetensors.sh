#!/bin/sh
# Files go both ways between thalweg and the Python package `safetensors`. Usage: python_safetensors.sh TEST_PROGRAM.
# The interpreter is $TW_TEST_PYTHON or python3; exit 77 (skipped) when it lacks the packages.
set -eu
program=$1
python=${TW_TEST_PYTHON:-python3}
if ! "$python" -c 'import numpy, safetensors.numpy' 2>/dev/null; then
    echo "skipped: $python has no packages numpy and safetensors (set TW_TEST_PYTHON)"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" write "$folder/ours.safetensors"
"$python" - "$folder" <<'PYTHON'
import sys
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
folder = sys.argv[1]
with safe_open(folder + "/ours.safetensors", "np") as f:
    assert sorted(f.keys()) == ["mask", "net.weight", "nothing", "shift", "steps"], f.keys()
    assert f.metadata() == {"space": "euclidean", "note": 'a "quoted" line\nand é'}, f.metadata()
    w = f.get_tensor("net.weight")
    assert w.dtype == np.float32 and w.tolist() == [[1.5, -2, 3], [0.25, 5, 6]], w
    assert f.get_tensor("shift").tolist() == [0.1]
    assert f.get_tensor("mask").tolist() == [True, False, True]
    assert f.get_tensor("steps").shape == () and int(f.get_tensor("steps")) == 12345678901234
    assert f.get_tensor("nothing").shape == (0, 7)
save_file({"odd": np.arange(5, dtype=np.uint8), "half": np.array([1, 2, 3], np.float16),
           "net.weight": np.array([[1.5, -2, 3], [0.25, 5, 6]], np.float32)},
          folder + "/theirs.safetensors", metadata={"space": "sphère"})
PYTHON
"$program" check "$folder/theirs.safetensors"
echo "both ways agree"
