import io
import json
import os
import unittest
from types import SimpleNamespace
from unittest import mock

import handler

PEOPLE = {"people": [{"name": "Ann", "age": 41, "tags": ["a"]}, {"name": "Bo", "age": 7, "tags": []}]}


def answer(body, method="POST", **query):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    got = handler.handle(SimpleNamespace(method=method, stream=io.BytesIO(body), query=query), None)
    if got["statusCode"] == 200:
        return json.loads(got["body"])
    return got["statusCode"], got["body"]


class HandleTest(unittest.TestCase):
    def test_queries(self):
        for query, want in {
            "people[?age > `18`].name": ["Ann"],
            "people[].{who: name, years: age}": [{"who": "Ann", "years": 41}, {"who": "Bo", "years": 7}],
            "length(people)": 2,
            "sort_by(people, &age)[0].name": "Bo",
            "nobody": None,
            "people[::2].name": ["Ann"],
            "join(', ', people[].name)": "Ann, Bo",
            "people[].{" + ",".join(f"k{i}: name" for i in range(30)) + "} | length(@)": 2,
            "@": PEOPLE,
        }.items():
            self.assertEqual(answer(PEOPLE, query=query), want, query)
        self.assertEqual(answer(PEOPLE), PEOPLE)
        self.assertEqual(answer("ü"), "ü")

    def test_a_query_of_its_own(self):
        with mock.patch.dict(os.environ, JSON_QUERY="people[0].name"):
            handler.start()
            self.assertEqual(answer(PEOPLE), "Ann")
            self.assertEqual(answer(PEOPLE, query="@")[0], 400)
        with mock.patch.dict(os.environ, JSON_QUERY="["), self.assertRaises(handler.Refused):
            handler.start()

    def test_bad_requests(self):
        deep = b"[" * 200_000
        for status, body, query in (
            (400, b"", "@"),
            (400, b"{", "@"),
            (400, b"NaN", "@"),
            (400, b"\xff\xfe{", "@"),
            (400, deep, "@"),
            (400, PEOPLE, "people["),
            (400, PEOPLE, "@" * 501),
            (422, PEOPLE, "nothing(@)"),
            (422, PEOPLE, "length(`1`)"),
            (413, b" " * (handler.LARGEST_BODY + 1), "@"),
        ):
            self.assertEqual(answer(body, query=query)[0], status, (body[:20] if isinstance(body, bytes) else "", query))
        self.assertEqual(answer(PEOPLE, method="GET")[0], 405)

    def test_no_query_makes_much_out_of_little(self):
        for query in (
            "|".join(["[@,@]"] * 40),
            ".".join(["[@,@]"] * 40),
            "to_string(" * 30 + "@" + ")" * 30,
            "join('-', [" + ",".join(["[]"] * 9) + "][])",
            "[*].{" + ",".join(f"a{i}: @" for i in range(70)) + "}",
        ):
            self.assertEqual(answer([1], query=query), (400, "the query makes too much out of its input\n"), query)

    def test_the_answer_is_bounded(self):
        with mock.patch.object(handler, "LARGEST_ANSWER", 100):
            self.assertEqual(answer([1] * 60)[0], 422)


if __name__ == "__main__":
    unittest.main()
