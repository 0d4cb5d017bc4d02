import io
import unittest
from types import SimpleNamespace

from handler import handle


def answer(body, **query):
    return handle(SimpleNamespace(method="POST", stream=io.BytesIO(body), query=query), None)


class HandleTest(unittest.TestCase):
    def test_rows_become_objects(self):
        self.assertEqual(answer(b"name,age\nAnn,41\n")["body"], [{"name": "Ann", "age": "41"}])

    def test_the_delimiter_is_found_or_said(self):
        self.assertEqual(answer(b'a;b\n1;"x; y"\n')["body"], [{"a": "1", "b": "x; y"}])
        self.assertEqual(answer(b"a:b\n1:2\n", delimiter=":")["body"], [{"a": "1", "b": "2"}])
        self.assertEqual(answer(b"a\n1\n", delimiter="::")["statusCode"], 400)

    def test_missing_fields_are_null(self):
        self.assertEqual(answer(b"a,b\n1\n")["body"], [{"a": "1", "b": None}])

    def test_nothing_is_an_empty_table(self):
        self.assertEqual(answer(b"")["body"], [])

    def test_a_byte_order_mark_is_no_text(self):
        self.assertEqual(answer(b"\xef\xbb\xbfa\n1\n")["body"], [{"a": "1"}])

    def test_what_is_no_table_is_refused(self):
        for body in (b"a\n1,2\n", b"a,a\n1,2\n", b"\xff\xfe", b'a\n"x'):
            self.assertEqual(answer(body)["statusCode"], 400, body)

    def test_the_table_is_bounded(self):
        self.assertEqual(answer(b"x" * ((16 << 20) + 1))["statusCode"], 413)


if __name__ == "__main__":
    unittest.main()
