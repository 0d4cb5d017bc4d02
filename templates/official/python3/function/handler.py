def handle(event, context):
    """Answer one request.

    event has body (bytes), headers, method, query and path.
    """
    return {
        "statusCode": 200,
        "body": {"method": event.method, "body": event.body.decode()},
    }
