package words

// What a stack or a template says of the watchdog in place of an image reference.
const (
	WatchdogDefault    = "default"    // fnb's own
	WatchdogNone       = "none"       // the image has no watchdog
	WatchdogDockerfile = "dockerfile" // the template's Dockerfile brings one; templates alone say it
)

// How the watchdog calls a function, as its environment variable mode says it.
const (
	ModeHTTP        = "http"        // the function is an HTTP server
	ModeStreaming   = "streaming"   // a process for each request, whose output is sent as it comes
	ModeSerializing = "serializing" // a process for each request, whose output is sent when it ends
	ModeStatic      = "static"      // no process: files are served
	ModeInProcess   = "inproc"      // OpenFaaS's word for a handler inside the watchdog, which no image of fnb has
)

// Modes returns all that a template may name.
func Modes() []string {
	return []string{ModeHTTP, ModeStreaming, ModeSerializing, ModeStatic, ModeInProcess}
}
