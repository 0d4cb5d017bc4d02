package owners_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store/owners"
	"fnb/store/records"
	"fnb/trust"
)

const origin = "store.example.com/ours"

var errKeep = errors.New("keep") // of a change that must not be made

// person makes a key of somebody.
func person(tb testing.TB, name string, roles ...string) (*trust.Signer, ownership.Key) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	fixture.Must(tb, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	fixture.Must(tb, err)
	file := filepath.Join(tb.TempDir(), name)
	fixture.Must(tb, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	s, err := trust.Open(context.Background(), file, trust.Options{})
	fixture.Must(tb, err)
	if len(roles) == 0 {
		roles = ownership.Roles()
	}
	return s, ownership.Key{Name: name, Key: s.Key().String(), Roles: roles}
}

// sign makes the file with the signatures of another.
func sign(tb testing.TB, f ownership.File, in string, at time.Time, keys ...*trust.Signer) []byte {
	tb.Helper()
	payload, err := ownership.NewStatement(f, in, at).Marshal()
	fixture.Must(tb, err)
	e := ownership.Envelope{PayloadType: ownership.PayloadType, Payload: payload}
	for _, k := range keys {
		sig, err := k.SignSSH(context.Background(), trust.NamespaceRecord, payload)
		fixture.Must(tb, err)
		e.Signatures = append(e.Signatures, ownership.Signature{KeyID: k.KeyID(), Sig: string(sig)})
	}
	data, err := e.Marshal()
	fixture.Must(tb, err)
	return data
}

// next adds owners to a chain, signed by keys.
func next(tb testing.TB, chain []records.Evidence, threshold int, all []ownership.Key, vouched []string, by ...*trust.Signer) []records.Evidence {
	tb.Helper()
	o := ownership.Owners{V: 1, Namespace: "ann", Number: len(chain) + 1, Threshold: threshold, Keys: all, Records: vouched}
	if len(chain) > 0 {
		o.Previous = ownership.Sum(chain[len(chain)-1].Data)
	}
	data, err := o.Marshal()
	fixture.Must(tb, err)
	f := ownership.File{Name: records.OwnersFile("ann", o.Number), Data: data}
	return append(chain[:len(chain):len(chain)], records.Evidence{Data: data, Signature: sign(tb, f, origin, time.Now(), by...)})
}

// TestFollow follows owners that are right, and those that somebody made up.
func TestFollow(t *testing.T) {
	t.Parallel()
	ann, annKey := person(t, "ann")
	bob, bobKey := person(t, "bob")
	eve, eveKey := person(t, "eve")
	ended := bobKey
	past := time.Now().Add(-time.Hour)
	ended.Until = &past
	one := next(t, nil, 1, []ownership.Key{annKey}, nil, ann)
	both := next(t, one, 2, []ownership.Key{annKey, bobKey}, nil, ann, bob)
	c, err := owners.Follow(origin, "ann", both, owners.Known{})
	fixture.Must(t, err)
	seen := c.Known(owners.Known{}, time.Now())
	cut := func(e records.Evidence) []records.Evidence {
		e.Signature = nil
		return []records.Evidence{e}
	}
	tests := map[string]struct {
		files []records.Evidence
		known owners.Known
		in    string
		want  string // "" is no error
	}{
		"as they were":                {both, seen, origin, ""},
		"both sign the next":          {next(t, both, 1, []ownership.Key{bobKey}, nil, ann, bob), seen, origin, ""},
		"one of two signs the next":   {next(t, both, 1, []ownership.Key{bobKey}, nil, bob), seen, origin, "has 1 signature of the owners before it, and needs 2"},
		"one signs twice":             {next(t, both, 1, []ownership.Key{bobKey}, nil, bob, bob), seen, origin, "has 1 signature of the owners before it, and needs 2"},
		"a new owner does not sign":   {next(t, one, 2, []ownership.Key{annKey, bobKey}, nil, ann), owners.Known{}, origin, "has 1 signature of its own owners, and needs 2"},
		"an owner whose time is over": {next(t, one, 2, []ownership.Key{annKey, ended}, nil, ann, bob), owners.Known{}, origin, "has 1 signature of its own owners, and needs 2"},
		"others from the start":       {next(t, nil, 1, []ownership.Key{eveKey}, nil, eve), seen, origin, "the store has them up to number 1, and this machine has seen number 2"},
		"others, as many":             {next(t, next(t, nil, 1, []ownership.Key{eveKey}, nil, eve), 1, []ownership.Key{eveKey}, nil, eve), seen, origin, "number 2 is another one than this machine has seen"},
		"none any more":               {nil, seen, origin, "the store has none any more"},
		"none, and none known":        {nil, owners.Known{}, origin, ""},
		"unsigned":                    {cut(one[0]), owners.Known{}, origin, "namespaces/ann/1.json is not signed"},
		"of another store":            {one, owners.Known{}, "elsewhere", `its signature is for the store "store.example.com/ours", and this is "elsewhere"`},
		"a store without a name":      {one, owners.Known{}, "", "the store has no origin in store.json"},
		"not the ones before":         {append(next(t, nil, 1, []ownership.Key{annKey, eveKey}, nil, ann), both[1]), owners.Known{}, origin, "does not follow the ones before it"},
		"a named key":                 {both, owners.Known{Pinned: []string{bob.KeyID()}}, origin, ""},
		"another named key":           {both, owners.Known{Pinned: []string{eve.KeyID()}}, origin, "none of them is signed by the key " + eve.KeyID()},
		"a named key that is listed":  {next(t, nil, 1, []ownership.Key{annKey, eveKey}, nil, eve), owners.Known{Pinned: []string{ann.KeyID()}}, origin, "none of them is signed by the key " + ann.KeyID()},
		"a named key, and no owners":  {nil, owners.Known{Pinned: []string{ann.KeyID()}}, origin, "the store has none, and this machine wants the key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := owners.Follow(test.in, "ann", test.files, test.known)
			if test.want == "" && err == nil {
				return
			}
			if err == nil || test.want == "" || !strings.Contains(err.Error(), test.want) || !fixture.Is[*owners.ChainError](err) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}

// recordOf makes a record of a package, which is signed by key unless that is nil.
func recordOf(tb testing.TB, name string, at time.Time, key *trust.Signer) records.StoredPackage {
	tb.Helper()
	rec := schema.Record{
		V: 1, Kind: schema.KindTemplate, Name: name, Version: "1.0.0", Checksum: "fnb1:sha256:" + strings.Repeat("a", 64),
		Source: schema.RecordSource{Git: schema.GitSource{URL: "https://git.example.com/ann/" + name, Commit: strings.Repeat("b", 40)}},
	}
	data, err := rec.Marshal()
	fixture.Must(tb, err)
	v := records.StoredVersion{Record: rec, Evidence: records.Evidence{Data: data}}
	if key != nil {
		v.Evidence.Signature = sign(tb, ownership.RecordFile("templates/"+name+"/v/1.0.0.json", data, rec), origin, at, key)
	}
	return records.StoredPackage{Name: name, Versions: []records.StoredVersion{v}}
}

// feed gives packages of a store whose namespace ann has owners.
func feed(chain []records.Evidence, packages ...records.StoredPackage) records.Feed {
	return func(to records.Taker) error {
		if to.Spaces != nil && len(chain) > 0 {
			if err := to.Spaces(records.Spaces{Origin: origin, Owners: map[string][]records.Evidence{"ann": chain}}); err != nil {
				return err
			}
		}
		for _, p := range packages {
			if err := to.Add(p); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestJudge judges records, and learns whom it has seen.
func TestJudge(t *testing.T) {
	t.Parallel()
	ann, annKey := person(t, "ann")
	bob, bobKey := person(t, "bob", ownership.RoleYank)
	eve, _ := person(t, "eve")
	late, lateKey := person(t, "late")
	end := time.Now().Add(-time.Hour)
	lateKey.Until = &end
	before := end.Add(-time.Hour)
	old := recordOf(t, "ann/old", before, nil)
	chain := next(t, nil, 1, []ownership.Key{annKey, bobKey, lateKey}, []string{ownership.Sum(old.Versions[0].Evidence.Data)}, ann)
	other := recordOf(t, "ann/other", before, ann)
	moved := recordOf(t, "ann/moved", before, nil)
	moved.Versions[0].Evidence.Signature = other.Versions[0].Evidence.Signature
	tests := map[string]struct {
		p    records.StoredPackage
		want string // why it is refused; "" for a signer
	}{
		"signed":              {recordOf(t, "ann/a", before, ann), ""},
		"vouched for":         {old, ""},
		"unsigned":            {recordOf(t, "ann/a", before, nil), "it is not signed, and the namespace ann has keys"},
		"by a stranger":       {recordOf(t, "ann/a", before, eve), "which is not a key of the namespace ann"},
		"by whom only yanks":  {recordOf(t, "ann/a", before, bob), "who has not the role publish in the namespace ann"},
		"in time":             {recordOf(t, "ann/kept", before, late), ""},
		"too late":            {recordOf(t, "ann/a", time.Now(), late), "and this key was valid until"},
		"in time, but new":    {recordOf(t, "ann/new", before, late), "came into the store after this key's end"},
		"of another":          {moved, "its signature is for templates/ann/other/v/1.0.0.json"},
		"of nobody's concern": {recordOf(t, "carl/a", before, nil), "-"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &owners.Judge{
				Now: time.Now(), Read: time.Now().Add(-time.Minute),
				Before: func(_, name string) []records.StoredVersion {
					if name != "ann/kept" {
						return nil
					}
					return []records.StoredVersion{{Record: schema.Record{Version: "1.0.0"}}}
				},
			}
			var got records.StoredVersion
			err := j.Feed(feed(chain, test.p))(records.Taker{Pass: func(string, error) {}, Add: func(p records.StoredPackage) error {
				got = p.Versions[0]
				return nil
			}})
			fixture.Must(t, err)
			switch {
			case test.want == "-" && got.Refused == "" && got.Signer == nil:
			case test.want == "" && got.Refused == "" && got.Signer != nil:
			case test.want != "" && got.Signer == nil && strings.Contains(got.Refused, test.want):
			default:
				t.Errorf("refused %q, signed by %v; want %q", got.Refused, got.Signer, test.want)
			}
		})
	}
}

// TestMemory keeps what a judge has learned, and never less than it had.
func TestMemory(t *testing.T) {
	t.Parallel()
	ann, annKey := person(t, "ann")
	chain := next(t, nil, 1, []ownership.Key{annKey}, nil, ann)
	longer := next(t, chain, 1, []ownership.Key{annKey}, nil, ann)
	m := owners.Memory{File: filepath.Join(t.TempDir(), "state", "trust.json")}
	taker := records.Taker{Pass: func(string, error) {}, Add: func(records.StoredPackage) error { return nil }}
	judge := func(chain []records.Evidence) *owners.Judge {
		known, err := m.Of("u")
		fixture.Must(t, err)
		j := &owners.Judge{Known: known, Now: time.Now()}
		fixture.Must(t, j.Feed(feed(chain))(taker))
		return j
	}
	early := judge(chain)
	fixture.Must(t, m.Learn(t.Context(), "u", judge(longer)))
	fixture.Must(t, m.Learn(t.Context(), "u", early)) // a process that was slower
	known, err := m.Of("u")
	if err != nil || known.Namespaces["ann"].Number != 2 || known.Origin != origin {
		t.Errorf("%+v %v", known, err)
	}
	if j := judge(chain); j.Broken()["ann"] == nil {
		t.Error("a store that is older than what was seen is believed")
	}
	if err := m.Change(t.Context(), "u", func(owners.Remembered) (owners.Remembered, error) { return owners.Remembered{}, errKeep }); !errors.Is(err, errKeep) {
		t.Error(err)
	}
	if other, err := m.Of("v"); err != nil || other.Digest() != "" {
		t.Errorf("%+v %v", other, err)
	}
	fixture.Must(t, os.WriteFile(m.File, []byte(`{"v": 9}`), 0o600))
	if _, err := m.Of("u"); !errors.Is(err, schema.ErrNewerFormat) {
		t.Error(err)
	}
}

// BenchmarkJudge is what 200 signed records cost when a store is refreshed.
func BenchmarkJudge(b *testing.B) {
	ann, annKey := person(b, "ann")
	chain := next(b, nil, 1, []ownership.Key{annKey}, nil, ann)
	var all []records.StoredPackage
	for i := range 200 {
		all = append(all, recordOf(b, fmt.Sprintf("ann/t%d", i), time.Now(), ann))
	}
	signed := 0
	taker := records.Taker{Pass: func(string, error) {}, Add: func(p records.StoredPackage) error {
		if p.Versions[0].Signer != nil {
			signed++
		}
		return nil
	}}
	for b.Loop() {
		signed = 0
		fixture.Must(b, (&owners.Judge{}).Feed(feed(chain, all...))(taker))
	}
	if signed != 200 {
		b.Fatalf("%d of 200 are signed", signed)
	}
}
