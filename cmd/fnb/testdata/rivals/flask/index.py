"""A server of the kind that OpenFaaS's python3-http has: Flask behind waitress."""

import json

from flask import Flask, request
from waitress import serve

app = Flask(__name__)


class Event:
    def __init__(self):
        self.body = request.get_data()
        self.headers = request.headers
        self.method = request.method
        self.query = request.args
        self.path = request.path


def handle(event, context):
    return {"statusCode": 200, "body": json.dumps({"method": event.method, "body": event.body.decode()})}


@app.route("/", defaults={"path": ""}, methods=["GET", "PUT", "POST", "PATCH", "DELETE"])
@app.route("/<path:path>", methods=["GET", "PUT", "POST", "PATCH", "DELETE"])
def call(path):
    answer = handle(Event(), None)
    return answer["body"], answer["statusCode"]


serve(app, host="127.0.0.1", port=5000)
