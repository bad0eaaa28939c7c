"""What the kit does not see: settings that are refused, numbers that keep their form, durations."""

import unittest

from decision_gate_plugin import Attribute, Block, Fault, Number, Plugin, answer, numbers
from decision_gate_plugin.config import apply, check_schema, seconds, to_wire
from decision_gate_plugin.evidence import _to_wire
from decision_gate_plugin.fault import classify

SCHEMA = [
    Attribute("path", required=True), Attribute("mode", one_of=["safe", "fast"], default="safe"),
    Attribute("size", "integer", minimum=1, maximum=10), Attribute("share", "number", maximum=1),
    Attribute("wait", "duration", maximum="1h"), Attribute("on", "bool"), Attribute("tags", "list(string)", one_of=["a", "b"]),
    Attribute("password", secret=True, one_of=["x"]),
    Block("lock", [Attribute("keep", "integer", default=3)]), Block("rule", [Attribute("name", required=True)], repeated=True),
]


class Settings(unittest.TestCase):
    def test_accepted(self):
        for text, want in {
            '{"path":"p"}': {"path": "p", "mode": "safe"},
            '{"path":"p","size":10,"on":null,"wait":"59m60s","lock":{},"rule":[{"name":"a"}]}':
                {"path": "p", "mode": "safe", "size": 10, "wait": "59m60s", "lock": {"keep": 3}, "rule": [{"name": "a"}]},
        }.items():
            self.assertEqual(apply(SCHEMA, text.encode()), want, text)
        self.assertEqual(apply([], b""), {})

    def test_refused(self):
        for text, want in {
            "[]": "config body: want an object", "{": "config body: want an object", "{}": "config path: the attribute is required",
            '{"path":1}': "config path: want a string", '{"path":"p","mode":"reckless"}': "config mode: want one of",
            '{"path":"p","size":"10"}': "config size: want an integer", '{"path":"p","size":1.0}': "config size: want an integer",
            '{"path":"p","size":true}': "config size: want an integer", '{"path":"p","size":0}': "config size: want at least 1",
            '{"path":"p","share":1.0001}': "config share: want at most 1", '{"path":"p","wait":5}': "config wait: want a duration",
            '{"path":"p","wait":"soon"}': "config wait: want a duration", '{"path":"p","wait":"2h"}': "config wait: want at most 1h",
            '{"path":"p","on":"true"}': "config on: want true or false", '{"path":"p","tags":["a","c"]}': "config tags: want one of",
            '{"path":"p","password":"hunter2"}': "config password: want one of", '{"path":"p","lock":[]}': "config lock: want an object",
            '{"path":"p","lock":{"kep":1}}': "config lock.kep: the plugin has no such attribute",
            '{"path":"p","rule":{}}': "config rule: want a list of objects",
            '{"path":"p","rule":[{"name":"a"},{}]}': "config rule[1].name: the attribute is required",
        }.items():
            with self.assertRaises(Fault, msg=text) as refused:
                apply(SCHEMA, text.encode())
            self.assertEqual(refused.exception.reason, "INVALID")
            self.assertTrue(refused.exception.message.startswith(want), refused.exception.message)
            self.assertNotIn("hunter2", refused.exception.message)

    def test_schema(self):
        for wrong in ([Attribute("")], [Attribute("a", "text")], [Attribute("a", default=1)], [Attribute("a", required=True, default="x")],
                      [Attribute("a"), Block("a")], [Block("b", [Attribute("")])]):
            with self.assertRaises(ValueError):
                check_schema(wrong)
        check_schema(SCHEMA)
        wire = to_wire(SCHEMA)
        self.assertEqual((wire.attributes[1].default_json, wire.attributes[2].maximum, wire.blocks[1].repeated), ('"safe"', "10", True))

    def test_durations(self):
        for text, want in {"250ms": 0.25, "1h2m3.5s": 3723.5, "-1s": -1, "0": 0, "1.5h": 5400}.items():
            self.assertEqual(float(seconds(text)), want, text)
        for text in ("", "s", "1", "1 s", "--1s", "1d", "1s ", 5, None):
            self.assertIsNone(seconds(text), text)


class Values(unittest.TestCase):
    def test_numbers(self):
        for text in ("1", "1.0", "0.10", "1e400", "-0", "123456789012345678901234567890", '{"a":[1.50,true,null,"\\u00e9"]}'):
            self.assertEqual(numbers.encode(numbers.decode(text)), text)
        self.assertGreater(numbers.decode("2.5"), 2)
        self.assertIsInstance(numbers.decode("2.5"), Number)
        for text in ("NaN", "[Infinity]", "{} {}", "", b"\xff", "[" * 100000):
            with self.assertRaises(ValueError):
                numbers.decode(text)
        for value in (float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                numbers.encode(value)

    def test_answers(self):
        self.assertEqual(_to_wire(answer(None)).json, b"null")
        self.assertEqual(_to_wire(answer(b"\x00")).raw, b"\x00")
        for wrong in (answer(1, lane=""), answer(1, lane="sure"), answer("x" * (1 << 20)), answer(1, anchor=("t", "x" * 5000)),
                      answer(1, sha256=b"short"), "text", None):
            with self.assertRaises(Fault):
                _to_wire(wrong)

    def test_errors(self):
        self.assertEqual(classify(RuntimeError("secret")).message, "internal error")
        self.assertEqual(classify(TimeoutError("secret")).reason, "DEADLINE")
        with self.assertRaises(ValueError):
            Fault("NO_SUCH", "x")

    def test_built_wrongly(self):
        for wrong in (Plugin("", "1"), Plugin("a", ""), Plugin("a", "1")):
            with self.assertRaises(ValueError):
                wrong.check()


if __name__ == "__main__":
    unittest.main()
