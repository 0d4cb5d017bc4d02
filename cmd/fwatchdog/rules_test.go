package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fnb/cmd/fwatchdog/internal/wire"
)

// rule is a kind of difference that is meant. It holds for streams that nobody has written down, too: the fuzz
// tests allow what a rule allows.
type rule struct {
	reason  string
	applies func(d *difference) bool
}

// allowed returns the first rule that explains a difference; nil: none does.
func allowed(d *difference) *rule {
	if len(d.got.left) > 0 {
		return nil
	}
	for _, r := range slices.Concat(requestRules(), answerRules()) {
		if r.applies(d) {
			return &r
		}
	}
	return nil
}

func requestRules() []rule {
	return []rule{
		{"A request with a length and chunks, or that may have both, is the last one of its connection.", func(d *difference) bool {
			return d.says("Transfer-Encoding") && (d.says("Content-Length") || !d.strict() || d.says("\r\n ")) && d.stopsAfter(0) // a length may be folded away
		}},
		{"HTTP/1.0 connections carry one request: its Transfer-Encoding means nothing, so nobody knows what follows.", func(d *difference) bool {
			return strings.Contains(d.stream.bytes, " HTTP/1.0\r\n") && d.stopsAfter(0)
		}},
		{"A request that is answered before its body was read is the last one of its connection; net/http reads up to 256 KiB to go on.", func(d *difference) bool {
			return d.setup.unread() && (d.says("Content-Length") || d.says("Transfer-Encoding")) && d.stopsAfter(0)
		}},
		{"Two empty lines before a request are ignored, as RFC 9112 (2.2) asks; net/http ignores them after POST only.", func(d *difference) bool {
			return strings.Contains("\r\n\r\n"+d.stream.bytes, "\r\n\r\n\r\n") && d.goesOnAfter400()
		}},
		{"An empty line ends in a carriage return and a line feed; net/http ignores a line feed after POST.", func(d *difference) bool {
			return !d.strict() && d.stopsAfter(http.StatusBadRequest)
		}},
		{"A trailer's name that is none, and one that a trailer may not have, is dropped; http.Transport sends no such request.", func(d *difference) bool {
			return (d.says("Trailer:") || d.says("chunked")) && d.passesMore()
		}},
		{"A target that is no path, no http address, and no * of OPTIONS is refused; * also where upstream_url has a path.", func(d *difference) bool {
			return d.someTarget(isOddTarget) && d.stopsAfter(http.StatusBadRequest)
		}},
		{"Other versions than HTTP/1 are refused, HTTP/2's preface too.", func(d *difference) bool {
			return strings.Contains(d.stream.bytes, " HTTP/2.0\r\n") && d.stopsAfter(http.StatusHTTPVersionNotSupported)
		}},
		{"A target is passed on as the client spelled it; net/url spells it anew.", func(d *difference) bool {
			return d.sameAnswers(anySpelling) && d.sameSeen(anySpelling)
		}},
		{"A request's trailer is passed on; ReverseProxy drops it.", func(d *difference) bool {
			return d.sameAnswers(asItIs) && d.sameSeen(withoutTrailer)
		}},
		{"A request without User-Agent stays without, and one with an empty one keeps it; http.Transport drops that.", func(d *difference) bool {
			return d.sameAnswers(asItIs) && d.sameSeen(func(text string) string { return strings.Replace(text, "\nuser-agent: ", "", 1) })
		}},
		{"A process's environment holds at most 128 KiB in one variable: the watchdog answers 500 where a field is larger.", func(d *difference) bool {
			return d.setup.forks() && len(d.stream.bytes) > 128<<10 && d.worse(http.StatusOK, http.StatusInternalServerError)
		}},
	}
}

func answerRules() []rule {
	return []rule{
		{"An answer whose head is not strictly formed is a 500; net/http forgives some, and ReverseProxy panics at some.", func(d *difference) bool {
			return d.answersOddly() && d.failsOnce()
		}},
		{"More than 100 interim answers are a 500.", func(d *difference) bool {
			return strings.Count(strings.Join(d.stream.script.parts, ""), "HTTP/1.1 1") > interimMost
		}},
		{"A client is sent 100 Continue by the watchdog's own server, once; a function's is not passed on.", func(d *difference) bool {
			return d.sameBut("100")
		}},
		{"A client of HTTP/1.0 gets no interim answers.", func(d *difference) bool {
			return strings.Contains(d.stream.bytes, " HTTP/1.0\r\n") && d.sameBut("1")
		}},
		{"An answer whose trailer is not strictly formed is cut off.", func(d *difference) bool {
			return d.endsOddly() && d.stopsAfter(0)
		}},
		{"A trailer may not frame the message or say how to read it; ReverseProxy passes that on where it was not announced.", func(d *difference) bool {
			return strings.Contains(d.firstPart(), "hunked") && d.sameSeen(asItIs) && d.sameDetails(withoutBadTrailer)
		}},
		{"What concerns the connection to the function is dropped from a 101, too.", func(d *difference) bool {
			return strings.HasPrefix(d.firstPart(), "HTTP/1.1 101 ") && d.sameSeen(asItIs) && d.sameDetails(withoutConnection)
		}},
		{"A Trailer field is passed on only where a trailer may come; ReverseProxy says so in answers to HEAD, too.", func(d *difference) bool {
			return hasField(d.firstPart(), "trailer") && d.sameSeen(asItIs) && d.sameDetails(withoutTrailerField)
		}},
	}
}

var (
	strictStatus = regexp.MustCompile(`^HTTP/1\.[01] [1-9][0-9][0-9]( .*)?\r?$`)
	strictField  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r?$")
	interimHead  = regexp.MustCompile(`^HTTP/1\.[01] 1`)
	requestLine  = regexp.MustCompile(`(?m)^(\S+) (\S+) HTTP/1\.[01]\r?$`)
	goodTarget   = regexp.MustCompile(`^(/|(?i)https?://[^/?#])`)
)

// answersOddly reports whether a line of the head of the function's answer is not strictly formed, or the head asks for
// chunks in HTTP/1.0.
func (d *difference) answersOddly() bool {
	for text := d.firstPart(); ; {
		head, rest := cutHead(text)
		if isOddHead(head) {
			return true
		}
		if !interimHead.MatchString(head) || rest == "" {
			return false
		}
		text = rest
	}
}

// cutHead takes the first head of text, up to an empty line.
func cutHead(text string) (head, rest string) {
	if end := emptyLine.FindStringIndex(text); end != nil {
		return text[:end[0]], text[end[1]:]
	}
	return text, ""
}

var emptyLine = regexp.MustCompile(`\r?\n\r?\n`)

func isOddHead(head string) bool {
	lines := strings.Split(head, "\n")
	if !strictStatus.MatchString(lines[0]) || strings.HasPrefix(lines[0], "HTTP/1.0") && hasField(head, "transfer-encoding") {
		return true
	}
	return slices.ContainsFunc(lines[1:], func(line string) bool { return !strictField.MatchString(line) })
}

// hasField reports whether a head has a field, in whatever spelling.
func hasField(head, name string) bool {
	return strings.Contains(strings.ToLower(head), "\n"+name+":")
}

// endsOddly reports whether a line of the trailer of the function's answer is not strictly formed.
func (d *difference) endsOddly() bool {
	_, trailer, _ := strings.Cut(d.firstPart(), "\n0\r\n")
	for line := range strings.Lines(trailer) {
		line, ended := strings.CutSuffix(line, "\n")
		switch {
		case line == "\r":
			return false // here it ends
		case ended && !strings.HasSuffix(line, "\r"), !strictField.MatchString(line):
			return true
		}
	}
	return false
}

// someTarget reports whether a request line of the stream has such a target.
func (d *difference) someTarget(such func(target string) bool) bool {
	for _, line := range requestLine.FindAllStringSubmatch(d.stream.bytes, -1) {
		if such(line[2]) {
			return true
		}
	}
	return false
}

func isOddTarget(target string) bool { return !goodTarget.MatchString(target) }

func statusWord(status int) string { return strconv.Itoa(status) }

func (s *setup) forks() bool { return s.mode() == modeStreaming || s.mode() == modeSerializing }

// unread reports whether requests are answered without their bodies.
func (s *setup) unread() bool {
	return s.own || s.full || s.mode() == modeStatic || s.token && s.rewrite == nil
}

// says reports whether the stream has a field of the name somewhere, in any case.
func (d *difference) says(name string) bool {
	return strings.Contains(strings.ToLower(d.stream.bytes), strings.ToLower(name))
}

// strict reports whether each line of the stream ends as it has to.
func (d *difference) strict() bool {
	text := strings.ReplaceAll(d.stream.bytes, "\r\n", "")
	return !strings.ContainsAny(text, "\r\n")
}

func (d *difference) firstPart() string { return strings.Join(d.stream.script.parts, "") }

// stopsAfter reports whether the watchdog has answered the first of what the reference has, and then nothing, or
// once with the status.
func (d *difference) stopsAfter(status int) bool {
	got := d.got.answers
	if n := len(got); status > 0 {
		if n == 0 || got[n-1].status != statusWord(status) {
			return false
		}
		got = got[:n-1]
	}
	seen, all := withoutNext(d.got.seen), withoutNext(d.want.seen)
	if len(got) >= len(d.want.answers) || len(seen) > len(all) || !slices.Equal(d.got.after, d.want.after) {
		return false
	}
	return slices.Equal(got, d.want.answers[:len(got)]) &&
		slices.EqualFunc(seen, all[:len(seen)], func(got, want string) bool { return withoutTrailer(got) == withoutTrailer(want) })
}

// goesOnAfter400 reports whether the reference ends with a 400 where the watchdog answers more.
func (d *difference) goesOnAfter400() bool {
	got, want := d.got.answers, d.want.answers
	n := len(want) - 1
	if n < 0 || want[n].status != "400" || len(got) <= n || !slices.Equal(got[:n], want[:n]) {
		return false
	}
	seen, all := withoutNext(d.want.seen), withoutNext(d.got.seen)
	return len(seen) <= len(all) && slices.Equal(seen, all[:len(seen)]) && slices.Equal(d.got.after, d.want.after)
}

// passesMore reports whether the function got requests that the reference answers with a 500, and nothing else differs.
func (d *difference) passesMore() bool {
	same := slices.EqualFunc(d.got.answers, d.want.answers, func(got, want reading) bool { return got == want || want.status == "500" })
	at := 0
	for _, seen := range d.got.seen {
		if at < len(d.want.seen) && seen == d.want.seen[at] {
			at++
		}
	}
	return same && at == len(d.want.seen) && slices.Equal(d.got.after, d.want.after)
}

// withoutNext is what the function saw but for the next client's request, which comes last.
func withoutNext(seen []string) []string {
	if n := len(seen); n > 0 && strings.Contains(seen[n-1], "/next HTTP/1.1\n") {
		return seen[:n-1]
	}
	return seen
}

// failsOnce reports whether the first request's answer is a 500 of the watchdog's, and all others are their own.
func (d *difference) failsOnce() bool {
	finals := slices.DeleteFunc(slices.Clone(d.got.answers), func(a reading) bool { return a.status[0] == '1' })
	return len(finals) > 0 && finals[0].status == "500" && isOwn(finals[1:], "/probe") && isOwn(d.got.after, "/next")
}

// isOwn reports whether answers are none, or the one that the witness gives to a request for path.
func isOwn(answers []reading, path string) bool {
	return len(answers) == 0 || len(answers) == 1 && answers[0].status == "200" && strings.Contains(answers[0].detail, path+" HTTP/1.1")
}

// worse reports whether one answer is an error of the watchdog's where the reference had another one, and nothing
// else differs.
func (d *difference) worse(from, to int) bool {
	return d.oneOther(func(got, want reading) bool {
		return want.status == statusWord(from) && got.status == statusWord(to)
	})
}

func (d *difference) oneOther(is func(got, want reading) bool) bool {
	if len(d.got.answers) != len(d.want.answers) || !slices.Equal(d.got.after, d.want.after) || !slices.Equal(d.got.seen, d.want.seen) {
		return false
	}
	for i, got := range d.got.answers {
		if want := d.want.answers[i]; got != want && !is(got, want) {
			return false
		}
	}
	return true
}

func asItIs(text string) string { return text }

// anySpelling undoes the escapes of a target.
func anySpelling(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if plain, err := url.PathUnescape(line); err == nil {
		line = plain
	}
	line = strings.Replace(line, " * HTTP/", " /* HTTP/", 1) // of OPTIONS
	return line + "\n" + rest
}

func withoutTrailer(text string) string {
	text, _, _ = strings.Cut(text, "\nafter the body:")
	return text
}

// sameSeen reports whether the function saw the same, but for what like undoes.
func (d *difference) sameSeen(like func(string) string) bool {
	return slices.EqualFunc(d.got.seen, d.want.seen, func(got, want string) bool { return like(got) == like(want) })
}

// sameAnswers reports whether both clients got the same, but for what like undoes in the bodies.
func (d *difference) sameAnswers(like func(string) string) bool {
	return sameReadings(d.got.answers, d.want.answers, like) && sameReadings(d.got.after, d.want.after, like)
}

func sameReadings(got, want []reading, like func(string) string) bool {
	alike := func(detail string) string {
		head, body, _ := strings.Cut(detail, "\n\n")
		return head + "\n\n" + like(body)
	}
	return slices.EqualFunc(got, want, func(g, w reading) bool { return g.status == w.status && alike(g.detail) == alike(w.detail) })
}

func withoutTrailerField(detail string) string {
	lines := slices.DeleteFunc(strings.Split(detail, "\n"), func(line string) bool { return line == "" || strings.HasPrefix(line, "Trailer: ") })
	return strings.Join(lines, "\n")
}

// withoutBadTrailer is an answer without the fields after its body that may not be there.
func withoutBadTrailer(detail string) string {
	lines := slices.DeleteFunc(strings.Split(detail, "\n"), func(line string) bool {
		field, ok := strings.CutPrefix(line, "after the body: ")
		name, _, _ := strings.Cut(field, ":")
		return ok && !wire.InTrailer(name)
	})
	return strings.Join(lines, "\n")
}

// withoutConnection is an answer without the fields that its test says are the connection's.
func withoutConnection(detail string) string {
	return strings.NewReplacer("Keep-Alive: 5\n", "", "X-A: 1\n", "").Replace(detail)
}

// sameDetails reports whether both clients got the same, but for what like undoes in an answer's fields.
func (d *difference) sameDetails(like func(string) string) bool {
	same := func(g, w reading) bool { return g.status == w.status && like(g.detail) == like(w.detail) }
	return slices.EqualFunc(d.got.answers, d.want.answers, same) && slices.EqualFunc(d.got.after, d.want.after, same)
}

// sameBut reports whether all is the same but for answers whose status begins so.
func (d *difference) sameBut(status string) bool {
	drop := func(all []reading) []reading {
		return slices.DeleteFunc(slices.Clone(all), func(a reading) bool { return strings.HasPrefix(a.status, status) })
	}
	return sameReadings(drop(d.got.answers), drop(d.want.answers), asItIs) && sameReadings(drop(d.got.after), drop(d.want.after), asItIs) &&
		d.sameSeen(asItIs)
}
