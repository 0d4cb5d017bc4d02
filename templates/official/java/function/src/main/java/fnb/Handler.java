package fnb;

/**
 * Answers the requests of a function. A function has one class that implements it, with a
 * constructor without parameters; one object of it answers all requests, each in a virtual
 * thread of its own, several at the same time.
 */
public interface Handler {
    /**
     * Answers one request. What it throws is logged, and the answer is 500 without its text;
     * a {@link RequestException} is answered with its status and its text.
     */
    Response handle(Request request, Context context) throws Exception;

    /** Runs before the first request. If it throws, the function ends with exit code 1. */
    default void start() throws Exception {}

    /** Runs after the last request was answered. It has 10 seconds. */
    default void stop() throws Exception {}

    /** Says whether the function can take requests. Throwing is a no that is logged. */
    default boolean ready() throws Exception {
        return true;
    }
}
