package owners_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/growth"
	"fnb/schema/ownership"
	"fnb/store/owners"
	"fnb/store/records"
)

// TestGrowth judges stores of people who mean harm: the time grows with what they have.
func TestGrowth(t *testing.T) {
	ann, annKey := person(t, "ann")
	eve, _ := person(t, "eve")
	taker := records.Taker{Pass: func(string, error) {}, Add: func(records.StoredPackage) error { return nil }}
	judged := func(what string, size int, made func(size int) []records.StoredPackage) growth.Reader {
		chain := next(t, nil, 1, []ownership.Key{annKey}, nil, ann)
		return growth.Reader{Name: what, Size: size, Begin: func(size int) func() {
			all := made(size)
			return func() { fixture.Must(t, (&owners.Judge{Now: time.Now()}).Feed(feed(chain, all...))(taker)) }
		}}
	}
	one := recordOf(t, "ann/forged", time.Now(), eve)
	versions := func(change func(v *records.StoredVersion)) func(size int) []records.StoredPackage {
		return func(size int) []records.StoredPackage {
			p := one
			p.Versions = nil
			for i := range size {
				v := one.Versions[0]
				v.Version = fmt.Sprintf("1.0.%d", i)
				change(&v)
				p.Versions = append(p.Versions, v)
			}
			return []records.StoredPackage{p}
		}
	}
	growth.Check(t,
		growth.Reader{Name: "owners", Size: 400, Begin: func(size int) func() {
			var chain []records.Evidence
			for range size {
				chain = next(t, chain, 1, []ownership.Key{annKey}, nil, ann)
			}
			return func() {
				_, err := owners.Follow(origin, "ann", chain, owners.Known{})
				fixture.Must(t, err)
			}
		}},
		growth.Reader{Name: "records that are vouched for", Size: 3000, Begin: func(size int) func() {
			var sums []string
			for i := range size {
				sums = append(sums, ownership.Sum([]byte(fmt.Sprint(i))))
			}
			chain := next(t, nil, 1, []ownership.Key{annKey}, sums, ann)
			return func() {
				_, err := owners.Follow(origin, "ann", chain, owners.Known{})
				fixture.Must(t, err)
			}
		}},
		judged("versions that strangers have signed", 4000, versions(func(*records.StoredVersion) {})),
		judged("versions that nobody has signed", 20_000, versions(func(v *records.StoredVersion) { v.Evidence.Signature = nil })),
		judged("signatures that are none", 20_000, versions(func(v *records.StoredVersion) { v.Evidence.Signature = []byte(strings.Repeat("[", 100)) })),
	)
}

// FuzzSignature reads any bytes as the signatures beside a record: none of them counts.
func FuzzSignature(f *testing.F) {
	ann, annKey := person(f, "ann")
	eve, _ := person(f, "eve")
	chain := next(f, nil, 1, []ownership.Key{annKey}, nil, ann)
	c, err := owners.Follow(origin, "ann", chain, owners.Known{})
	fixture.Must(f, err)
	file := ownership.File{Name: "templates/ann/a/v/1.0.0.json", Data: []byte("{}")}
	good := string(sign(f, file, origin, time.Now(), ann))
	f.Add([]byte(good))
	f.Add(sign(f, file, origin, time.Now(), eve))
	f.Add(sign(f, file, "elsewhere", time.Now(), ann))
	f.Fuzz(func(t *testing.T, data []byte) {
		signer, _, err := c.Check(ownership.File{Name: file.Name, Data: []byte("[]")}, data, ownership.RolePublish)
		if err == nil {
			t.Errorf("%+v has signed what nobody has", signer)
		}
	})
}
