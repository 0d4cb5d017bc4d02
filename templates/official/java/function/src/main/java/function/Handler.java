package function;

import fnb.Context;
import fnb.Request;
import fnb.Response;

/** Answers requests. One object of it answers all of them, several at the same time. */
public class Handler implements fnb.Handler {
    @Override
    public Response handle(Request request, Context context) {
        return Response.text("Body: " + request.text());
    }
}
