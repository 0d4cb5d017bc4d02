// Package layertimes has the layers of an image be made with one time, so that no exporter reads, rewrites and compresses them
// once more. [Possible] says of a Dockerfile whether that may be; [Set] has the steps of a description do it.
//
// A step that copies files or makes a folder can be told the time of what it makes (pb.FileActionCopy, Timestamp), but not that of
// the folders that were there and get something new. A folder that is copied over one that is there gives it its time and nothing
// else, so each step ends with copies of an empty folder over these. What RUN and ADD make has the times of its making.
package layertimes

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// ErrImpossible is what [Set] returns if a layer of what is described has the times of its making.
var ErrImpossible = errors.New("a layer has the times of its making")

// Set has all that the layers of a description's result have above the images that they begin with be of one time, in seconds. Steps
// whose results are only read stay as they are, so that other descriptions have those in common with this one. With an error the
// description is as it was.
func Set(def *llb.Definition, epoch int64) error {
	d := &description{nanoseconds: time.Unix(epoch, 0).UnixNano(), ops: map[string]*pb.Op{}, folders: map[string]bool{}, to: llb.Definition{
		Metadata: map[digest.Digest]llb.OpMetadata{}, Source: def.Source,
	}, from: def}
	for _, raw := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(raw); err != nil {
			return fmt.Errorf("reading a step: %w", err)
		}
		d.ops[digest.FromBytes(raw).String()] = op
	}
	last := len(def.Def) - 1
	if last < 0 {
		return nil // nothing has no layers
	}
	result := d.ops[digest.FromBytes(def.Def[last]).String()]
	if result.GetOp() != nil || len(result.GetInputs()) != 1 {
		return ErrImpossible
	}
	top, err := d.timed(result.GetInputs()[0])
	if err != nil {
		return err
	}
	result.Inputs[0] = top
	if _, err := d.add(result, digest.FromBytes(def.Def[last])); err != nil {
		return err
	}
	def.Def = append(def.Def[:last:last], d.to.Def...)
	for dgst, meta := range d.to.Metadata {
		def.Metadata[dgst] = meta
	}
	return nil
}

// A description is one whose layers get their time.
type description struct {
	from        *llb.Definition
	nanoseconds int64             // the time
	ops         map[string]*pb.Op // the steps by digest
	folders     map[string]bool   // that are there for sure above the images that it begins with
	empty       *pb.Input         // an empty folder, where one is needed
	to          llb.Definition    // the steps that make all with the time
}

// timed is what a step makes, with the time.
func (d *description) timed(in *pb.Input) (*pb.Input, error) {
	op := d.ops[in.GetDigest()]
	switch {
	case op.GetSource() != nil:
		if id := op.GetSource().GetIdentifier(); strings.HasPrefix(id, "docker-image://") || strings.HasPrefix(id, "oci-layout://") {
			return in, nil
		}
	case op.GetMerge() != nil:
		return d.timedMerge(op.CloneVT(), in)
	case op.GetFile() != nil:
		return d.timedFile(op.CloneVT(), in)
	}
	return nil, ErrImpossible
}

// timedMerge is what lies upon one another, each made on its own.
func (d *description) timedMerge(op *pb.Op, in *pb.Input) (*pb.Input, error) {
	all := map[string]bool{}
	for i, below := range op.GetInputs() {
		var err error
		d.folders = map[string]bool{}
		if op.Inputs[i], err = d.timed(below); err != nil {
			return nil, err
		}
		maps.Copy(all, d.folders)
	}
	d.folders = all
	return d.add(op, digest.Digest(in.GetDigest()), in.GetIndex())
}

// timedFile is what a step makes whose actions change what the one before has made; the last is the output.
func (d *description) timedFile(op *pb.Op, in *pb.Input) (*pb.Input, error) {
	actions, inputs := op.GetFile().GetActions(), int64(len(op.GetInputs()))
	for i, a := range actions {
		last := i == len(actions)-1
		if last != (a.GetOutput() == in.GetIndex()) || i > 0 && a.GetInput() != inputs+int64(i)-1 {
			return nil, ErrImpossible
		}
	}
	if len(actions) == 0 || actions[0].GetInput() >= inputs {
		return nil, ErrImpossible
	}
	first := actions[0].GetInput()
	if first >= 0 {
		below, err := d.timed(op.GetInputs()[first])
		if err != nil {
			return nil, err
		}
		op.Inputs[first] = below
	}
	var changed []string
	for i, a := range actions {
		folders, err := d.timedAction(a, first < 0 && i == 0)
		if err != nil {
			return nil, err
		}
		changed = append(changed, folders...)
	}
	slices.Sort(changed)
	if err := d.finish(op, slices.Compact(changed)); err != nil {
		return nil, err
	}
	return d.add(op, digest.Digest(in.GetDigest()), in.GetIndex())
}

// timedAction has an action make all with the time, and returns the folders that may have got something new. On nothing every
// folder is the action's own.
func (d *description) timedAction(a *pb.FileAction, onNothing bool) ([]string, error) {
	if m := a.GetMkdir(); m != nil {
		m.Timestamp = d.nanoseconds
		return d.there(path.Clean("/" + m.GetPath())), nil
	}
	c := a.GetCopy()
	// With patterns folders get something new after they got their time. A place that need not be a folder may be one that gets
	// something new, or the name of what is new.
	into := strings.HasSuffix(c.GetDest(), "/") || c.GetSrc() == "/"
	if c == nil || c.GetAttemptUnpackDockerCompatibility() || len(c.GetIncludePatterns()) > 0 || len(c.GetExcludePatterns()) > 0 || !into && !onNothing {
		return nil, ErrImpossible
	}
	c.Timestamp = d.nanoseconds
	dest := path.Clean("/" + c.GetDest())
	if !into {
		dest = path.Dir(dest)
	}
	// A pattern that nothing fits makes no folder, and one that several fit may have one of them be the place of the next.
	if strings.ContainsAny(c.GetSrc(), `*?[\`) && (!into || slices.ContainsFunc(above(dest), func(folder string) bool { return !d.folders[folder] })) {
		return nil, ErrImpossible
	}
	return d.there(dest), nil
}

// there notes that a folder is there, and returns it with all that it is in.
func (d *description) there(folder string) []string {
	all := above(folder)
	for _, f := range all {
		d.folders[f] = true
	}
	return all
}

// above are a folder and all folders that it is in, but for the root, whose time no layer has.
func above(folder string) []string {
	var all []string
	for ; folder != "/"; folder = path.Dir(folder) {
		all = append(all, folder)
	}
	return all
}

// finish has a step end with setting the time of folders.
func (d *description) finish(op *pb.Op, folders []string) error {
	if len(folders) == 0 {
		return nil
	}
	if err := d.needEmpty(); err != nil {
		return err
	}
	file, inputs := op.GetFile(), int64(len(op.GetInputs()))
	op.Inputs = append(op.Inputs, d.empty)
	for _, a := range file.GetActions() {
		shift(a, inputs)
	}
	for _, folder := range folders {
		last := len(file.Actions) - 1
		before := file.Actions[last]
		file.Actions = append(file.Actions, &pb.FileAction{
			Input: inputs + 1 + int64(last), SecondaryInput: inputs, Output: before.GetOutput(),
			Action: &pb.FileAction_Copy{Copy: &pb.FileActionCopy{
				Src: emptyPath, Dest: folder, Mode: -1, DirCopyContents: true, Timestamp: d.nanoseconds,
			}},
		})
		before.Output = int64(pb.SkipOutput)
	}
	return nil
}

// shift has an action be made of the same as before, now that there is an input more: what actions have made counts from behind the
// inputs.
func shift(a *pb.FileAction, inputs int64) {
	owner := a.GetCopy().GetOwner()
	if a.GetMkdir() != nil {
		owner = a.GetMkdir().GetOwner()
	}
	counted := []*int64{&a.Input, &a.SecondaryInput}
	for _, u := range []*pb.UserOpt{owner.GetUser(), owner.GetGroup()} {
		if byName := u.GetByName(); byName != nil {
			counted = append(counted, &byName.Input)
		}
	}
	for _, at := range counted {
		if *at >= inputs {
			*at++
		}
	}
}

const emptyPath = "/empty"

// needEmpty adds a step that makes an empty folder, once.
func (d *description) needEmpty() error {
	if d.empty != nil {
		return nil
	}
	raw, err := (&pb.Op{Op: &pb.Op_File{File: &pb.FileOp{Actions: []*pb.FileAction{{
		Input: int64(pb.Empty), SecondaryInput: int64(pb.Empty),
		Action: &pb.FileAction_Mkdir{Mkdir: &pb.FileActionMkDir{Path: emptyPath, Mode: 0o755, Timestamp: d.nanoseconds}},
	}}}}}).MarshalVT()
	if err != nil {
		return fmt.Errorf("writing a step: %w", err)
	}
	now := digest.FromBytes(raw)
	d.to.Def = append(d.to.Def, raw)
	d.to.Metadata[now] = llb.OpMetadata{Description: map[string]string{"llb.customname": "[fnb] times of folders"}}
	d.empty = &pb.Input{Digest: now.String()}
	return nil
}

// add adds a step in the place of another one, of which the same is said, and returns its output.
func (d *description) add(op *pb.Op, was digest.Digest, output ...int64) (*pb.Input, error) {
	raw, err := op.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("writing a step: %w", err)
	}
	now := digest.FromBytes(raw)
	in := &pb.Input{Digest: now.String()}
	if len(output) > 0 {
		in.Index = output[0]
	}
	if _, known := d.to.Metadata[now]; known {
		return in, nil
	}
	d.to.Def = append(d.to.Def, raw)
	if meta, ok := d.from.Metadata[was]; ok {
		d.to.Metadata[now] = meta
	}
	if source := d.from.Source; source != nil {
		if at, ok := source.Locations[was.String()]; ok {
			source.Locations[now.String()] = at
		}
	}
	return in, nil
}
