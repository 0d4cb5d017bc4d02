package builder

// A Warning is what went wrong in a solve without failing it.
type Warning struct {
	Kind  WarningKind
	Cache string // of the kinds that are about one: what the build cache is called
	Text  string
}

// A WarningKind says what a [Warning] is about, where a program may do something about
// it; "" is anything else.
type WarningKind string

// Kinds of warnings.
const (
	CacheAbsent      WarningKind = "cache-absent"      // a build cache to be read is not there, as before its first use
	CacheUnreadable  WarningKind = "cache-unreadable"  // a build cache cannot be read
	CacheUnwritten   WarningKind = "cache-unwritten"   // a build cache cannot be written
	CacheUnsupported WarningKind = "cache-unsupported" // the builder has no build cache of the type; see [CacheTypeError]
)

func (w Warning) String() string { return w.Text }

func unsupported(err *CacheTypeError) Warning {
	return Warning{Kind: CacheUnsupported, Text: err.Error()}
}

func unreadable(cache, why string) Warning {
	w := Warning{Kind: CacheUnreadable, Cache: cache, Text: "the build cache " + cache + " cannot be read: " + why}
	if absentCache.MatchString(why) {
		w.Kind = CacheAbsent
	}
	return w
}

func unwritten(cache, why string) Warning {
	return Warning{Kind: CacheUnwritten, Cache: cache, Text: "the build cache cannot be written to " + cache + ": " + why}
}
