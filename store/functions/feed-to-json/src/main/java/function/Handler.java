package function;

import fnb.Context;
import fnb.Request;
import fnb.RequestException;
import fnb.Response;
import java.io.IOException;

/** Answers with the feed in the body as JSON Feed. */
public class Handler implements fnb.Handler {
    private static final int LARGEST_BODY = 4 << 20;
    private static final int MOST_ITEMS = 1000;

    @Override
    public Response handle(Request request, Context context) throws IOException {
        if (!request.method().equals("POST") && !request.method().equals("PUT")) {
            throw new RequestException(405, "send a feed with POST");
        }
        int limit = request.query("limit").map(Handler::limit).orElse(100);
        byte[] body = request.stream().readNBytes(LARGEST_BODY + 1);
        if (body.length > LARGEST_BODY) {
            throw new RequestException(413, "the feed has more than " + LARGEST_BODY + " bytes");
        }
        byte[] json = JsonFeed.write(FeedReader.read(body, limit));
        return Response.bytes("application/feed+json", json).withHeader("X-Content-Type-Options", "nosniff");
    }

    private static int limit(String text) {
        try {
            int n = Integer.parseInt(text);
            if (n >= 1 && n <= MOST_ITEMS) {
                return n;
            }
        } catch (NumberFormatException e) {
            // It is said below.
        }
        throw new RequestException(400, "limit is not a number from 1 to " + MOST_ITEMS);
    }
}
