package rollout

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"fnb/origin"
	"fnb/schema/document"
)

// A Login is who a gateway is told the user is. The zero value is nobody.
type Login struct {
	User, Password string
	Bearer         string // a token, in place of both
	From           string // where it was read, in words
}

func (l Login) empty() bool { return l.User == "" && l.Bearer == "" }

func (l Login) set(r *http.Request) {
	switch {
	case l.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+l.Bearer)
	case l.User != "":
		r.SetBasicAuth(l.User, l.Password)
	}
}

// ReadLogin returns what faas-cli login keeps of a gateway in a file, which is only read. Nobody is nobody.
func ReadLogin(file, gateway string) (Login, error) {
	data, err := document.ReadFile(file, document.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Login{}, nil
	}
	if err != nil {
		return Login{}, err
	}
	type entry struct{ gateway, auth, token string }
	var all []entry
	r := &document.Reader{File: file}
	v, _ := r.Document(data)
	if v.Node == nil {
		return Login{}, document.Join(r.Problems)
	}
	// It is another program's file: keys that fnb does not know are that program's.
	each := func(v document.Value, read func(document.Entry)) {
		entries, _ := r.Entries(v)
		for _, e := range entries {
			read(e)
		}
	}
	each(v, func(e document.Entry) {
		if e.Key != "auths" {
			return
		}
		r.List(func(v document.Value) {
			var one entry
			each(v, func(e document.Entry) {
				if dst, ok := map[string]*string{"gateway": &one.gateway, "auth": &one.auth, "token": &one.token}[e.Key]; ok {
					r.Str(dst, nil)(e.Value)
				}
			})
			all = append(all, one)
		})(e.Value)
	})
	if err := document.Join(r.Problems); err != nil {
		return Login{}, err
	}
	for _, e := range all {
		if same(e.gateway, gateway) {
			return loginOf(file, e.auth, e.token)
		}
	}
	return Login{}, nil
}

// same reports whether two URLs are one gateway's: the same origin and the same path.
func same(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && origin.Of(x) == origin.Of(y) && strings.TrimRight(x.Path, "/") == strings.TrimRight(y.Path, "/")
}

func loginOf(file, auth, token string) (Login, error) {
	switch auth {
	case "basic", "":
		raw, err := base64.StdEncoding.DecodeString(token)
		user, password, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			return Login{}, fmt.Errorf("%s: a token is not USER:PASSWORD in base64", file)
		}
		return Login{User: user, Password: password, From: file}, nil
	case "oauth2":
		return Login{Bearer: token, From: file}, nil
	}
	return Login{}, fmt.Errorf("%s: fnb knows the logins basic and oauth2, not %q", file, auth)
}
