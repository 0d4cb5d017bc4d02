package steps

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

	"fnb/schema/layers"
	"fnb/schema/words"
)

// A Source is what is known of the images and files that a description is made of.
type Source struct {
	Base    int            // layers of the image that the result is made of
	Context *pb.Definition // the build context, as the steps have it
	Handler string         // the handler's folder in it; "." is all of it
	// Lists are files of the handler's folder that say which packages to install: who reads
	// these alone reads nothing of the handler.
	Lists []string
}

// Layers says of each layer of a description's result what it is there for, and whether any
// is made by running something in the base image, or by asking that for a user's number. It is an
// error where the description is none of a Dockerfile.
func Layers(def *llb.Definition, from Source) (layers.List, string, error) {
	w := layerWalk{from: from, ops: map[string]*pb.Op{}, read: map[string]bool{}, class: words.ClassCopy}
	for _, raw := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return nil, "", fmt.Errorf("reading a step: %w", err)
		}
		w.ops[digest.FromBytes(raw).String()] = &op
	}
	w.context = result(from.Context).GetDigest()
	in := result(def.ToPB())
	if in == nil {
		return nil, w.class, nil // of nothing
	}
	err := w.below(in)
	return w.layers, w.class, err
}

// result is what a description is of; nil is nothing.
func result(def *pb.Definition) *pb.Input {
	if len(def.GetDef()) == 0 {
		return nil
	}
	var op pb.Op
	if err := op.UnmarshalVT(def.GetDef()[len(def.GetDef())-1]); err != nil || len(op.GetInputs()) == 0 {
		return nil
	}
	return op.GetInputs()[0]
}

// errLayers says that nobody can tell which layers a description makes.
var errLayers = errors.New("a step makes layers in a way that is not known")

// A layerWalk goes down a description, from its result to the base image.
type layerWalk struct {
	from    Source
	ops     map[string]*pb.Op
	context string          // digest of the step that the build context is of
	read    map[string]bool // whether the handler is read, by step and path
	layers  layers.List
	class   string
}

// below notes the layers of what a step has made: first those below its own.
func (w *layerWalk) below(in *pb.Input) error {
	op := w.ops[in.GetDigest()]
	switch {
	case op.GetSource() != nil:
		if id := op.GetSource().GetIdentifier(); !strings.HasPrefix(id, "docker-image://") && !strings.HasPrefix(id, "oci-layout://") {
			return errLayers
		}
		w.layers = w.layers.With(words.RoleBase, w.from.Base)
		return nil
	case op.GetFile() != nil:
		return w.file(op, in)
	case op.GetExec() != nil:
		return w.exec(op, in)
	case op.GetMerge() != nil: // COPY --link
		for _, m := range op.GetMerge().GetInputs() {
			if below := inputOf(op, m.GetInput()); below != nil {
				if err := w.below(below); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return errLayers
}

// inputOf is one of a step's inputs; nil where that is nothing.
func inputOf(op *pb.Op, n int64) *pb.Input {
	if n < 0 || int(n) >= len(op.GetInputs()) {
		return nil
	}
	return op.GetInputs()[n]
}

// file notes the one layer that the actions of a COPY, ADD or WORKDIR make.
func (w *layerWalk) file(op *pb.Op, in *pb.Input) error {
	actions, inputs := op.GetFile().GetActions(), int64(len(op.GetInputs()))
	at := slices.IndexFunc(actions, func(a *pb.FileAction) bool { return a.GetOutput() == in.GetIndex() })
	handler := false
	for range actions { // each is on top of another one, or of an input
		if at < 0 || at >= len(actions) {
			return errLayers
		}
		a := actions[at]
		if copied := a.GetCopy(); copied != nil {
			if source := inputOf(op, a.GetSecondaryInput()); source != nil && w.reads(source, copied.GetSrc()) {
				handler = true
			}
		}
		if ownedByName(a) {
			w.class = words.ClassRun
		}
		if a.GetInput() < inputs {
			break
		}
		at = int(a.GetInput() - inputs)
	}
	if base := inputOf(op, actions[at].GetInput()); base != nil {
		if err := w.below(base); err != nil {
			return err
		}
	}
	w.add(handler)
	return nil
}

func (w *layerWalk) add(handler bool) {
	role := words.RolePackages
	if handler {
		role = words.RoleHandler
	}
	w.layers = w.layers.With(role, 1)
}

// owners are whom an action makes owners.
func owners(a *pb.FileAction) []*pb.UserOpt {
	var own *pb.ChownOpt
	switch {
	case a.GetCopy() != nil:
		own = a.GetCopy().GetOwner()
	case a.GetMkdir() != nil:
		own = a.GetMkdir().GetOwner()
	case a.GetMkfile() != nil:
		own = a.GetMkfile().GetOwner()
	}
	return []*pb.UserOpt{own.GetUser(), own.GetGroup()}
}

// ownedByName reports whether an action asks the image who somebody is.
func ownedByName(a *pb.FileAction) bool {
	return slices.ContainsFunc(owners(a), func(u *pb.UserOpt) bool { return u.GetByName() != nil })
}

// exec notes the layer of a RUN.
func (w *layerWalk) exec(op *pb.Op, in *pb.Input) error {
	w.class = words.ClassRun
	handler := false
	var below *pb.Input
	for _, m := range op.GetExec().GetMounts() {
		from := inputOf(op, m.GetInput())
		switch {
		case m.GetOutput() == in.GetIndex():
			below = from
		case from != nil && w.reads(from, m.GetSelector()):
			handler = true
		}
	}
	if below != nil {
		if err := w.below(below); err != nil {
			return err
		}
	}
	w.add(handler)
	return nil
}

// reads reports whether what is at a path of a step's result may have been made of the handler.
func (w *layerWalk) reads(in *pb.Input, at string) bool {
	if in.GetDigest() == w.context {
		return w.isHandler(at)
	}
	key := in.GetDigest()
	if known, ok := w.read[key]; ok {
		return known
	}
	w.read[key] = false
	found := w.stepReads(w.ops[key])
	w.read[key] = found
	return found
}

func (w *layerWalk) stepReads(op *pb.Op) bool {
	paths := map[int64][]string{}
	for _, a := range op.GetFile().GetActions() {
		if a.GetCopy() != nil {
			paths[a.GetSecondaryInput()] = append(paths[a.GetSecondaryInput()], a.GetCopy().GetSrc())
		}
	}
	for _, m := range op.GetExec().GetMounts() {
		if m.GetInput() >= 0 {
			paths[m.GetInput()] = append(paths[m.GetInput()], m.GetSelector())
		}
	}
	for n, in := range op.GetInputs() {
		of := paths[int64(n)]
		if len(of) == 0 {
			of = []string{"/"}
		}
		if slices.ContainsFunc(of, func(p string) bool { return w.reads(in, p) }) {
			return true
		}
	}
	return false
}

// isHandler reports whether a path of the build context, which may be a pattern, has anything
// of the handler beside its package lists.
func (w *layerWalk) isHandler(at string) bool {
	at = strings.TrimPrefix(path.Clean("/"+at), "/")
	if at == "" || w.from.Handler == "." || w.from.Handler == "" {
		return at == "" || !w.isList(at)
	}
	inside := at == w.from.Handler || strings.HasPrefix(at, w.from.Handler+"/") || strings.HasPrefix(w.from.Handler, at+"/")
	return (inside || strings.ContainsAny(firstOf(at), "*?[")) && !w.isList(at)
}

func firstOf(at string) string {
	first, _, _ := strings.Cut(at, "/")
	return first
}

// isList reports whether a pattern is that of a package list: one with a class, such as
// go.su[m], which BuildKit lets be missing.
func (w *layerWalk) isList(pattern string) bool {
	return !strings.ContainsAny(pattern, "*?") && slices.ContainsFunc(w.from.Lists, func(list string) bool {
		ok, err := path.Match(pattern, list)
		return ok && err == nil
	})
}
