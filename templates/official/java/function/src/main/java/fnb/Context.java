package fnb;

/** Where a request is answered. */
public interface Context {
    /** The name of the container or pod. */
    String hostname();

    /** What OpenFaaS calls the request, from the header {@code X-Call-Id}; empty without it. */
    String callId();

    /** Returns a context for a test. */
    static Context local() {
        return of("localhost", "");
    }

    /** Returns a context with these values. */
    static Context of(String hostname, String callId) {
        return new Context() {
            @Override
            public String hostname() {
                return hostname;
            }

            @Override
            public String callId() {
                return callId;
            }
        };
    }
}
