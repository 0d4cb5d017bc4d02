package function;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/** Writes feeds as JSON Feed 1.1, which jsonfeed.org describes. */
final class JsonFeed {
    private static final JsonFactory FACTORY = new JsonFactory();

    private JsonFeed() {}

    static byte[] write(Feed feed) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = FACTORY.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("version", "https://jsonfeed.org/version/1.1");
            json.writeStringField("title", feed.title);
            field(json, "home_page_url", feed.home);
            field(json, "description", feed.description);
            field(json, "language", feed.language);
            json.writeArrayFieldStart("items");
            for (Feed.Item item : feed.items) {
                write(json, item);
            }
            json.writeEndArray();
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // memory takes everything
        }
        return out.toByteArray();
    }

    private static void write(JsonGenerator json, Feed.Item item) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", item.id.isEmpty() ? item.url : item.id);
        field(json, "url", item.url);
        field(json, "title", item.title);
        field(json, "content_html", item.html);
        if (!item.text.isEmpty() || item.html.isEmpty()) {
            json.writeStringField("content_text", item.text); // one of the two must be there
        }
        field(json, "summary", item.summary);
        field(json, "date_published", item.published.isEmpty() ? item.modified : item.published);
        field(json, "date_modified", item.modified);
        authors(json, item.authors);
        if (!item.tags.isEmpty()) {
            json.writeArrayFieldStart("tags");
            for (String tag : item.tags) {
                json.writeString(tag);
            }
            json.writeEndArray();
        }
        json.writeEndObject();
    }

    private static void authors(JsonGenerator json, List<String> names) throws IOException {
        if (names.isEmpty()) {
            return;
        }
        json.writeArrayFieldStart("authors");
        for (String name : names) {
            json.writeStartObject();
            json.writeStringField("name", name);
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void field(JsonGenerator json, String name, String value) throws IOException {
        if (!value.isEmpty()) {
            json.writeStringField(name, value);
        }
    }
}
