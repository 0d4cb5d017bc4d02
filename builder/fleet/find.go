package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fnb/builder"
	"fnb/builder/engine"
	"fnb/schema"
)

// A Builder makes images: one builder, or a [Fleet] of them.
type Builder interface {
	Solve(ctx context.Context, req builder.Request) (*builder.Result, error)
	Digests(ctx context.Context, req builder.Request, refs []string) (digests map[string]string, failed map[string]error, err error)
	DefaultPlatform(ctx context.Context) (schema.Platform, error)
	Close() error
}

// A Setting is a place where builders may be named.
type Setting struct {
	By      string // what the place is called in errors
	Address string // of one builder, or of several with commas between; "" names none
}

// A Choice says which builders a run may use.
type Choice struct {
	// Settings are asked in their order: the first that names a builder counts, and
	// the others are not looked at.
	Settings []Setting
	// TLSDir and Plaintext are those of [builder.Options], for the builders that
	// Settings name.
	TLSDir    string
	Plaintext bool
	// Accept is that of [builder.Options], for all builders.
	Accept func(ctx context.Context, c *builder.Client) error
	// Managed is a client of the builder that is started where no setting names one.
	// nil is none: a builder that runs on this machine is used then.
	Managed func(ctx context.Context) (*builder.Client, error)
}

// A NoBuilderError says that nothing names a builder, that there is none to start and that
// none runs where one usually does. It unwraps to a [*builder.UnreachableError].
type NoBuilderError struct{}

func (e *NoBuilderError) Error() string { return e.Unwrap().Error() }

func (e *NoBuilderError) Unwrap() error {
	return &builder.UnreachableError{
		Address: "any place fnb knows",
		Err:     errors.New("this fnb carries no builder, and neither buildkitd nor a Docker Engine runs"),
	}
}

// functionsPerBuilder is how many functions a fleet is given at a time, for each builder.
const functionsPerBuilder = 4

// podsOfSelector is how many builders a selector of pods is taken for: how many there are
// is not known before they are asked for.
const podsOfSelector = 3

// Named is the address of the builders that a setting names, and which one does. It is ""
// where none does.
func (c Choice) Named() (address, by string) {
	for _, s := range c.Settings {
		if s.Address != "" {
			return s.Address, s.By
		}
	}
	return "", ""
}

// options are the builders that a setting names; none where no setting does.
func (c Choice) options() (named []builder.Options, by string, err error) {
	address, by := c.Named()
	if address == "" {
		return nil, "", nil
	}
	named, err = builder.ParseAddresses(address, builder.Options{TLSDir: c.TLSDir, Plaintext: c.Plaintext, Accept: c.Accept})
	return named, by, err
}

// several reports whether there is more than one builder to choose from.
func several(named []builder.Options) bool {
	return len(named) > 1 || len(named) == 1 && isSelector(named[0])
}

// isSelector reports whether an address stands for all pods that have some labels.
func isSelector(o builder.Options) bool { return strings.HasPrefix(o.Address, "kube-pod://?") }

// Several reports whether the choice is among several builders. What is wrong with an
// address is said by who connects.
func (c Choice) Several() bool {
	named, _, err := c.options()
	return err == nil && several(named)
}

// Parallelism is how many functions are solved at a time where nobody says: own, or what
// keeps a fleet busy.
func (c Choice) Parallelism(own int) int {
	named, _, err := c.options()
	if err != nil || !several(named) {
		return own // what is wrong is said by who connects
	}
	builders := 0
	for _, o := range named {
		builders++
		if isSelector(o) {
			builders += podsOfSelector
		}
	}
	return max(own, functionsPerBuilder*builders)
}

// Find connects to the builder that the choice leads to, starting the managed one if need
// be, or to each one of a fleet.
func Find(ctx context.Context, c Choice) (Builder, error) {
	named, by, err := c.options()
	if err != nil {
		return nil, err
	}
	if !several(named) {
		client, err := c.single(ctx, named, by)
		if err != nil {
			return nil, err // and no interface that holds a nil client
		}
		return client, nil
	}
	f := New(Options{Builders: named, Load: functionsPerBuilder})
	if err := f.Open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the builders of %s: %w", by, err), f.Close())
	}
	return f, nil
}

// FindOne is [Find] for who needs one builder: of a fleet it is the first that answers.
func FindOne(ctx context.Context, c Choice) (*builder.Client, error) {
	named, by, err := c.options()
	if err != nil {
		return nil, err
	}
	if !several(named) {
		return c.single(ctx, named, by)
	}
	client, err := first(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("connecting to the builders of %s: %w", by, err)
	}
	return client, nil
}

// FindAll is [Find] for who needs each builder by itself: of a fleet those that answer,
// one at least.
func FindAll(ctx context.Context, c Choice) ([]*builder.Client, error) {
	named, by, err := c.options()
	if err != nil {
		return nil, err
	}
	if !several(named) {
		client, err := c.single(ctx, named, by)
		if err != nil {
			return nil, err
		}
		return []*builder.Client{client}, nil
	}
	var clients []*builder.Client
	err = each(ctx, named, func(_ builder.Options, client *builder.Client) error {
		clients = append(clients, client)
		return nil
	})
	if len(clients) == 0 {
		return nil, fmt.Errorf("connecting to the builders of %s: %w", by, cmp.Or(ctx.Err(), err))
	}
	return clients, nil
}

// single connects to the one builder that is named, to the managed one, or to what runs on
// this machine.
func (c Choice) single(ctx context.Context, named []builder.Options, by string) (*builder.Client, error) {
	if len(named) == 0 && c.Managed != nil {
		client, err := c.Managed(ctx)
		if err == nil && c.Accept != nil {
			if err = c.Accept(ctx, client); err != nil {
				err = errors.Join(err, client.Close())
			}
		}
		if err != nil {
			return nil, err
		}
		return client, nil
	}
	if len(named) == 0 {
		address := running(usualSockets())
		if address == "" {
			return nil, &NoBuilderError{}
		}
		return builder.Dial(ctx, builder.Options{Address: address, Accept: c.Accept})
	}
	client, err := builder.Dial(ctx, named[0])
	if err != nil {
		return nil, fmt.Errorf("connecting to the builder of %s: %w", by, err)
	}
	return client, nil
}

// each connects to each builder of several, and hands use those that answer. All errors come
// back together: those of builders that do not answer, and those of use.
func each(ctx context.Context, named []builder.Options, use func(builder.Options, *builder.Client) error) error {
	named, err := builder.Expand(ctx, named)
	errs := []error{err}
	for _, o := range named {
		client, err := builder.Dial(ctx, o)
		if err == nil {
			err = use(o, client)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// first connects to the first builder of several that answers.
func first(ctx context.Context, named []builder.Options) (*builder.Client, error) {
	named, err := builder.Expand(ctx, named)
	errs := []error{err}
	for _, o := range named {
		client, err := builder.Dial(ctx, o)
		if err == nil {
			return client, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// A socket is where a builder listens on this machine.
type socket struct{ path, scheme string }

// usualSockets are those of buildkitd and of the Docker Engine that docker itself uses, the best first.
func usualSockets() []socket {
	sockets := []socket{
		{"/run/buildkit/buildkitd.sock", "unix://"},
		{filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "buildkit/buildkitd.sock"), "unix://"},
	}
	if docker, err := engine.Find(); err == nil { // if not, docker finds none either
		sockets = append(sockets, socket{docker.Socket(), "docker://"})
	}
	return sockets
}

// running is the address of the first socket that is there; "" for none.
func running(sockets []socket) string {
	for _, s := range sockets {
		if fi, err := os.Stat(s.path); err == nil && fi.Mode()&fs.ModeSocket != 0 {
			return s.scheme + s.path
		}
	}
	return ""
}
