package function;

import fnb.RequestException;
import java.io.ByteArrayInputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * Reads RSS 2.0, RSS 1.0 and Atom. What is in a feed may be hostile: a document type, and with
 * it each entity that is not XML's own, is refused, and nothing is fetched.
 */
final class FeedReader {
    private static final int DEEPEST = 64;
    private static final int LONGEST_TEXT = 256 << 10;
    private static final int MOST_WORDS = 50; // authors or tags of an item

    private static final XMLInputFactory FACTORY = factory();
    private static final Set<String> ROOTS = Set.of("rss", "RDF", "feed");

    private final XMLStreamReader xml;
    private final int limit;
    private final Feed feed = new Feed();
    private final Deque<String> path = new ArrayDeque<>();
    private final StringBuilder text = new StringBuilder();
    private Feed.Item item;
    private String type = ""; // of the text: Atom has several
    private int markup; // how deep the XHTML is that stands for a text

    private FeedReader(XMLStreamReader xml, int limit) {
        this.xml = xml;
        this.limit = limit;
    }

    private static XMLInputFactory factory() {
        XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        return factory;
    }

    /** Returns the first items of a feed, as many as the limit says. */
    static Feed read(byte[] body, int limit) {
        try {
            FeedReader reader = new FeedReader(FACTORY.createXMLStreamReader(new ByteArrayInputStream(body)), limit);
            return reader.all();
        } catch (XMLStreamException e) {
            int line = e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getLineNumber());
            throw new RequestException(400, "the feed is no XML from line " + line + " on");
        }
    }

    private Feed all() throws XMLStreamException {
        while (xml.hasNext()) {
            switch (xml.next()) {
                case XMLStreamConstants.DTD -> throw new RequestException(400, "the feed has a document type, which no feed needs");
                case XMLStreamConstants.START_ELEMENT -> open();
                case XMLStreamConstants.END_ELEMENT -> close();
                case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA, XMLStreamConstants.SPACE -> add();
                default -> { }
            }
        }
        return feed;
    }

    private void open() {
        if (path.size() + markup >= DEEPEST) {
            throw new RequestException(422, "the feed has elements in more than " + DEEPEST + " others");
        }
        if (markup > 0) {
            markup++;
            return;
        }
        String name = name();
        if (path.isEmpty() && !ROOTS.contains(name)) {
            throw new RequestException(415, "the body is neither RSS nor Atom");
        }
        path.push(name);
        text.setLength(0);
        type = attribute("type");
        if (name.equals("item") || name.equals("entry")) {
            item = new Feed.Item();
        }
        if (type.equals("xhtml")) {
            markup = 1;
        }
        String rel = attribute("rel");
        if (name.equals("link") && (rel.isEmpty() || rel.equals("alternate"))) {
            link(attribute("href"));
        }
        if (name.equals("category") && item != null) {
            addTo(item.tags, attribute("term"));
        }
    }

    private void close() {
        if (markup > 1) {
            markup--;
            return;
        }
        markup = 0;
        String name = path.pop();
        String value = text.toString().strip();
        text.setLength(0);
        String around = path.isEmpty() ? "" : path.peek();
        if (name.equals("item") || name.equals("entry")) {
            if (feed.items.size() < limit) {
                feed.items.add(item);
            }
            item = null;
        } else if (item != null) {
            ofItem(around, name, value);
        } else if (around.equals("channel") || around.equals("feed")) {
            ofFeed(name, value);
        }
    }

    private void ofFeed(String name, String value) {
        switch (name) {
            case "title" -> feed.title = value;
            case "link" -> link(value);
            case "description", "subtitle" -> feed.description = value;
            case "language" -> feed.language = value;
            default -> { }
        }
    }

    private void ofItem(String around, String name, String value) {
        if (around.equals("author") && name.equals("name")) {
            addTo(item.authors, value);
        }
        if (!around.equals("item") && !around.equals("entry")) {
            return;
        }
        switch (name) {
            case "title" -> item.title = value;
            case "link" -> link(value);
            case "guid", "id" -> item.id = value;
            case "pubDate", "published", "dc:date" -> item.published = Dates.rfc3339(value);
            case "updated" -> item.modified = Dates.rfc3339(value);
            case "author", "dc:creator" -> addTo(item.authors, value);
            case "category" -> addTo(item.tags, value);
            case "description" -> item.html = item.html.isEmpty() ? value : item.html;
            case "summary" -> item.summary = value;
            case "content:encoded" -> item.html = value;
            case "content" -> content(value);
            default -> { }
        }
    }

    private void content(String value) {
        if (type.equals("html")) {
            item.html = value;
        } else {
            item.text = value;
        }
    }

    /** Takes the address of the item or the feed, if it is one of the web. */
    private void link(String address) {
        String url = address.strip();
        if (!url.startsWith("https://") && !url.startsWith("http://")) {
            return;
        }
        if (item != null && item.url.isEmpty()) {
            item.url = url;
        } else if (item == null && feed.home.isEmpty()) {
            feed.home = url;
        }
    }

    private static void addTo(List<String> words, String word) {
        if (!word.isBlank() && words.size() < MOST_WORDS) {
            words.add(word.strip());
        }
    }

    private void add() {
        if (text.length() + xml.getTextLength() > LONGEST_TEXT) {
            throw new RequestException(422, "the feed has a text of more than " + LONGEST_TEXT + " characters");
        }
        text.append(xml.getTextCharacters(), xml.getTextStart(), xml.getTextLength());
    }

    private String attribute(String name) {
        String value = xml.getAttributeValue(null, name);
        return value == null ? "" : value;
    }

    /** Returns the name of the element, with a prefix for what is neither RSS nor Atom. */
    private String name() {
        String space = xml.getNamespaceURI() == null ? "" : xml.getNamespaceURI();
        return switch (space) {
            case "", "http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#" -> xml.getLocalName();
            case "http://purl.org/rss/1.0/modules/content/" -> "content:" + xml.getLocalName();
            case "http://purl.org/dc/elements/1.1/" -> "dc:" + xml.getLocalName();
            default -> "other:" + xml.getLocalName();
        };
    }
}
