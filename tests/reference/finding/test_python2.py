"""Sources of Python 2 and of an older NumPy run as they once did; what could be Python 3 is left alone."""

import numpy as np
import pytest

from scratchproof.finding.python2 import Source, translated


def run(text, **options):
    namespace = {}
    source = Source(text, "layers.py", **options)
    source.run(namespace)
    return namespace, source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("print 'a', 1\nx = 7 / 2\n", 3),
        ("print 'a'\nx = 7.0 / 2\n", 3.5),
        ("print 'a'\nx = 7\nx /= 2\n", 3),
        ("from __future__ import division\nprint 'a'\nx = 7 / 2\n", 3.5),
        ("x = sum(i for i in xrange(4))\n", 6),
        ("x = range(2) + range(1)\nprint x\n", [0, 1, 0]),
        ("x = sorted(k for k, v in {1: 2}.iteritems())\n", [1]),
        ("try:\n\tx = 1\n\traise ValueError, 'no'\nexcept ValueError, e:\n\tx = str(e)\n", "no"),
        ("x = reduce(lambda a, b: a * b, (2, 3))\n", 6),
        ("if 1 <> 2:\n    x = 0777 + 3L\n", 514),
        ("import sys\nprint >>sys.stderr, 'a'\nx = 1\n", 1),
    ],
)
def test_python_2_means_what_it_meant(text, value):
    namespace, source = run(text)
    assert namespace["x"] == value
    assert any("Python 2" in remark for remark in source.remarks())


@pytest.mark.parametrize(
    "text", ["x = 7 / 2\n", "print('a')\nx = 7 / 2\n", "import numpy as np\nx = np.float64(7) / 2\n"]
)
def test_python_3_is_left_alone(text):
    namespace, source = run(text)
    assert namespace["x"] == 3.5
    assert not list(source.remarks())


@pytest.mark.parametrize(
    ("name", "told"),
    [("np.float", "np.float"), ("np.int", "np.int"), ("np.lib.pad", "np.lib.pad"), ("np.NaN", "np.NaN")],
)
def test_what_numpy_has_removed_is_there_and_told(name, told):
    namespace, source = run(f"import numpy as np\nx = {name}\n")
    assert "x" in namespace
    assert told in " ".join(source.remarks())
    assert run("import numpy as np\nx = np.lib.pad\n")[0]["x"] is np.pad


def test_print_statements_over_several_lines_keep_their_arguments():
    assert compile(translated("print 'a', (1,\n 2)\nprint\nx = 1; print x\n"), "x", "exec")


def test_a_lines_text_can_be_had_though_the_file_cannot_be_read_again():
    namespace, _ = run("def f():\n    assert False, 'TODO'\n")
    with pytest.raises(AssertionError) as raised:
        namespace["f"]()
    assert "assert False" in str(raised.traceback[-1].statement) or raised.traceback[-1].lineno == 1


def test_breakpoints_are_passed_over_and_told():
    source = Source("import pdb\n\ndef f(x):\n    pdb.set_trace()\n    breakpoint()\n    return x\n", "layers.py")
    namespace = {}
    source.run(namespace)
    assert namespace["f"](3) == 3
    told = [f"layers.py stops at a breakpoint in line {line}: it is passed over" for line in (4, 5)]
    assert list(source.remarks()) == told
