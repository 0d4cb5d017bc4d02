package function;

import java.util.ArrayList;
import java.util.List;

/** A feed, whatever it was written in. What is empty was not said. */
final class Feed {
    String title = "";
    String home = "";
    String description = "";
    String language = "";
    final List<Item> items = new ArrayList<>();

    /** An entry of a feed. */
    static final class Item {
        String id = "";
        String url = "";
        String title = "";
        String html = "";
        String text = "";
        String summary = "";
        String published = "";
        String modified = "";
        final List<String> authors = new ArrayList<>();
        final List<String> tags = new ArrayList<>();
    }
}
