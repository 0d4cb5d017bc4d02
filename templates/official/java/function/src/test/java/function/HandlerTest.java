package function;

import static org.junit.jupiter.api.Assertions.assertEquals;

import fnb.Context;
import fnb.Request;
import fnb.Response;
import org.junit.jupiter.api.Test;

class HandlerTest {
    @Test
    void answersWithTheBody() {
        Response response = new Handler().handle(Request.post("/", "hi"), Context.local());

        assertEquals(200, response.status());
        assertEquals("Body: hi", response.text());
    }
}
