import unittest
from types import SimpleNamespace

from handler import handle


class HandleTest(unittest.TestCase):
    def test_answers_with_the_body(self):
        event = SimpleNamespace(method="POST", body=b"hi")
        answer = handle(event, None)
        self.assertEqual(answer["statusCode"], 200)
        self.assertEqual(answer["body"], {"method": "POST", "body": "hi"})


if __name__ == "__main__":
    unittest.main()
