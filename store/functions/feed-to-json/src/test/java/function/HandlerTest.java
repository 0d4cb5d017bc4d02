package function;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fnb.Context;
import fnb.Request;
import fnb.RequestException;
import org.junit.jupiter.api.Test;

class HandlerTest {
    private static final String RSS = """
            <?xml version="1.0"?>
            <rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
              <channel>
                <title>News</title><link>https://example.com/</link><description>Of the day</description>
                <image><title>Logo</title><link>https://example.com/logo</link></image>
                <item>
                  <title>One &amp; only</title><link>https://example.com/1</link><guid>id-1</guid>
                  <pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate><dc:creator>Ann</dc:creator><category>a</category><category>b</category>
                  <description>Short</description><content:encoded><![CDATA[<p>Long</p>]]></content:encoded>
                </item>
                <item><title>Two</title><link>javascript:alert(1)</link><guid>id-2</guid><pubDate>yesterday</pubDate></item>
              </channel>
            </rss>
            """;

    private static final String ATOM = """
            <feed xmlns="http://www.w3.org/2005/Atom">
              <title>News</title><link rel="self" href="https://example.com/feed"/><link href="https://example.com/"/>
              <entry>
                <id>tag:1</id><title>One</title><link href="https://example.com/1"/><updated>2026-03-03T10:00:00+01:00</updated>
                <author><name>Ann</name></author><category term="a"/>
                <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Hello, <b>you</b>!</div></content>
              </entry>
            </feed>
            """;

    private static String answer(String target, String body) throws Exception {
        return new Handler().handle(Request.post(target, body), Context.local()).text();
    }

    private static RequestException refused(Request request) {
        return assertThrows(RequestException.class, () -> new Handler().handle(request, Context.local()));
    }

    @Test
    void readsRSS() throws Exception {
        assertEquals("{\"version\":\"https://jsonfeed.org/version/1.1\",\"title\":\"News\",\"home_page_url\":\"https://example.com/\",\"description\":\"Of the day\",\"items\":["
                + "{\"id\":\"id-1\",\"url\":\"https://example.com/1\",\"title\":\"One & only\",\"content_html\":\"<p>Long</p>\",\"date_published\":\"2026-03-03T10:00:00Z\",\"authors\":[{\"name\":\"Ann\"}],\"tags\":[\"a\",\"b\"]},"
                + "{\"id\":\"id-2\",\"title\":\"Two\",\"content_text\":\"\"}]}", answer("/", RSS));
    }

    @Test
    void readsAtom() throws Exception {
        assertEquals("{\"version\":\"https://jsonfeed.org/version/1.1\",\"title\":\"News\",\"home_page_url\":\"https://example.com/\",\"items\":["
                + "{\"id\":\"tag:1\",\"url\":\"https://example.com/1\",\"title\":\"One\",\"content_text\":\"Hello, you!\",\"date_published\":\"2026-03-03T10:00:00+01:00\",\"date_modified\":\"2026-03-03T10:00:00+01:00\",\"authors\":[{\"name\":\"Ann\"}],\"tags\":[\"a\"]}]}", answer("/", ATOM));
    }

    @Test
    void readsRSS1() throws Exception {
        String json = answer("/", """
                <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
                  <channel><title>News</title></channel>
                  <item><title>One</title><link>https://example.com/1</link></item>
                </rdf:RDF>
                """);
        assertTrue(json.contains("\"title\":\"News\"") && json.contains("\"id\":\"https://example.com/1\""), json);
    }

    @Test
    void readsAsManyAsTheLimitSays() throws Exception {
        assertFalse(answer("/?limit=1", RSS).contains("id-2"));
        for (String limit : new String[] {"0", "1001", "x", ""}) {
            assertEquals(400, refused(Request.post("/?limit=" + limit, RSS)).status(), limit);
        }
    }

    @Test
    void readsDates() {
        assertEquals("2026-03-03T10:00:00Z", Dates.rfc3339("2026-03-03T10:00:00Z"));
        assertEquals("2026-03-03T10:00:00-05:00", Dates.rfc3339("Tue, 3 Mar 2026 10:00:00 -0500"));
        assertEquals("2026-03-03T10:00:00-05:00", Dates.rfc3339("3 Mar 2026 10:00 EST"));
        assertEquals("", Dates.rfc3339("soon"));
    }

    @Test
    void fetchesAndExpandsNothing() {
        for (String type : new String[] {
            "<!DOCTYPE rss SYSTEM \"file:///etc/passwd\">",
            "<!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
            "<!DOCTYPE rss [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>",
        }) {
            assertEquals(400, refused(Request.post("/", type + "<rss><channel><title>&x;</title></channel></rss>")).status(), type);
        }
    }

    @Test
    void refusesWhatIsNoFeed() {
        assertEquals(405, refused(Request.get("/")).status());
        assertEquals(400, refused(Request.post("/", "")).status());
        assertEquals(400, refused(Request.post("/", "hello")).status());
        assertEquals(400, refused(Request.post("/", "<rss><channel>")).status());
        assertEquals(400, refused(Request.post("/", "<rss>&nbsp;</rss>")).status());
        assertEquals(415, refused(Request.post("/", "<html/>")).status());
        assertEquals(422, refused(Request.post("/", "<rss>" + "<a>".repeat(100))).status());
        assertEquals(422, refused(Request.post("/", "<rss><channel><title>" + "x".repeat(300_000) + "</title></channel></rss>")).status());
        assertEquals(413, refused(Request.post("/", "x".repeat((4 << 20) + 1))).status());
    }
}
