package fnb;

/** Says that a request cannot be answered as it is. Its status and its message are the answer. */
public final class RequestException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;

    /** Answers with a status such as 400 and a text for the caller. */
    public RequestException(int status, String message) {
        super(message == null ? "" : message);
        this.status = Response.check(status);
    }

    /** Returns the status of the answer. */
    public int status() {
        return status;
    }
}
