package function;

import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;

/** Reads the dates of feeds. */
final class Dates {
    // RSS has them as mail does, with the day of the week or without, and with a zone's name.
    private static final List<DateTimeFormatter> MAIL = List.of(
            DateTimeFormatter.RFC_1123_DATE_TIME,
            DateTimeFormatter.ofPattern("[EEE, ]d MMM yyyy HH:mm[:ss] z", Locale.ENGLISH),
            DateTimeFormatter.ofPattern("[EEE, ]d MMM yyyy HH:mm[:ss] Z", Locale.ENGLISH));

    private Dates() {}

    /** Returns a date as JSON Feed has it; empty if it is none. */
    static String rfc3339(String date) {
        if (date.length() > 60) {
            return "";
        }
        try {
            return DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(OffsetDateTime.parse(date));
        } catch (DateTimeException e) {
            // It is one of the others, or none.
        }
        for (DateTimeFormatter form : MAIL) {
            try {
                return DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(ZonedDateTime.parse(date, form).toOffsetDateTime());
            } catch (DateTimeException e) {
                // The next one.
            }
        }
        return "";
    }
}
