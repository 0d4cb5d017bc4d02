package gateway

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/internal/private"
)

// A Call is a request that is carried out later. Its file is a line of JSON of it, and
// behind that the body.
type Call struct {
	V        int         `json:"v"`                  // 1
	ID       string      `json:"id"`                 // the name of its file
	CallID   string      `json:"callId"`             // its X-Call-Id
	Function string      `json:"function"`           // its name
	Method   string      `json:"method"`             //
	Path     string      `json:"path"`               // as the function gets it, with the query
	Host     string      `json:"host,omitempty"`     //
	Header   http.Header `json:"header,omitempty"`   //
	Callback string      `json:"callback,omitempty"` // where the answer goes
	From     string      `json:"from,omitempty"`     // the function that called; none is somebody at this machine's port
	Seal     string      `json:"seal,omitempty"`     // shows that this user's fnb has taken the call
	Accepted time.Time   `json:"accepted"`           //
	Size     int64       `json:"size"`               // bytes of the body
	Tries    int         `json:"tries"`              // how often it was tried
	Why      string      `json:"why,omitempty"`      // what went wrong at last
}

// Folders below the stack file's.
const (
	ownFolder     = ".fnb"
	lettersFolder = ownFolder + "/dead-letters"
	callsFolder   = ownFolder + "/calls" // of each run one, with the calls that are not done
	lockFile      = "lock"
)

// maxHead is how long the line before a body may be.
const maxHead = 4 << 20

// An UnknownLetterError says that there is no dead letter of an id.
type UnknownLetterError struct{ ID string }

func (e *UnknownLetterError) Error() string { return "there is no dead letter " + e.ID }

// A DamagedLetterError says that the file of a call cannot be read as one.
type DamagedLetterError struct {
	File string
	Why  string
}

func (e *DamagedLetterError) Error() string {
	return "the dead letter " + e.File + " is damaged: " + e.Why
}

// Letters are the dead letters of a stack file's folder.
type Letters struct {
	folder string
	root   *os.Root // of the folder; nil where there are none
}

// OpenLetters opens the dead letters of a stack file's folder, and with them the calls of
// runs that were killed. Close has to be called.
func OpenLetters(folder string) (*Letters, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	l := &Letters{folder: folder, root: root}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return l, nil
}

// Close ends the use of the letters.
func (l *Letters) Close() { _ = l.root.Close() } // it was only read

// makeFolder makes a folder of fnb's own, for the user alone. Git and build contexts
// leave it out.
func (l *Letters) makeFolder(name string) error {
	if err := l.root.MkdirAll(name, 0o700); err != nil {
		return err
	}
	for dir := name; dir != "."; dir = path.Dir(dir) {
		if err := l.checkFolder(dir); err != nil {
			return err
		}
	}
	ignore := ownFolder + "/.gitignore"
	if _, err := l.root.Lstat(ignore); errors.Is(err, fs.ErrNotExist) {
		return l.root.WriteFile(ignore, []byte("*\n"), 0o600)
	}
	return nil
}

// checkFolder refuses a folder that others can read or that leads elsewhere: what is in it was not put there by fnb.
func (l *Letters) checkFolder(name string) error {
	info, err := l.root.Lstat(name)
	if err != nil {
		return err
	}
	shown := filepath.Join(l.folder, name)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", shown)
	case !private.OwnFile(info):
		return fmt.Errorf("%s belongs to another user", shown)
	case info.Mode().Perm()&0o077 != 0 && name != ownFolder:
		return fmt.Errorf("%s is open to other users (mode %04o): close it with chmod 700, or remove it", shown, info.Mode().Perm())
	}
	return nil
}

// List returns the dead letters of a function, or of all, the oldest first; with an error
// those that can be read.
func (l *Letters) List(function string) ([]Call, error) {
	names, err := l.names(lettersFolder)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var all []Call
	var bad []error
	for _, id := range names {
		c, body, err := l.Open(id)
		if errors.As(err, new(*UnknownLetterError)) {
			continue // somebody sent it meanwhile
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		_ = body.Close() // it was not read
		if function == "" || c.Function == function {
			all = append(all, c)
		}
	}
	return all, errors.Join(bad...)
}

// names are the files of a folder with calls, sorted; none where there is no folder.
func (l *Letters) names(folder string) ([]string, error) {
	if err := l.checkFolder(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(l.root.FS(), folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if validID(e.Name()) && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Open opens a dead letter; the body has to be closed.
func (l *Letters) Open(id string) (Call, io.ReadCloser, error) {
	if !validID(id) {
		return Call{}, nil, &UnknownLetterError{id}
	}
	if err := l.checkFolder(lettersFolder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Call{}, nil, err
	}
	c, body, err := l.read(lettersFolder + "/" + id)
	if errors.Is(err, fs.ErrNotExist) {
		return Call{}, nil, &UnknownLetterError{id}
	}
	return c, body, err
}

// A body is what is behind the line of JSON in a call's file.
type body struct {
	io.Reader
	io.Closer
}

// read opens the file of a call.
func (l *Letters) read(name string) (c Call, rest io.ReadCloser, err error) {
	info, err := l.root.Lstat(name)
	if err != nil {
		return c, nil, err
	}
	shown := filepath.Join(l.folder, name)
	if !info.Mode().IsRegular() || !private.OwnFile(info) || info.Mode().Perm()&0o077 != 0 {
		return c, nil, fmt.Errorf("%s is not a file of the user's alone (mode %04o)", shown, info.Mode().Perm())
	}
	f, err := l.root.Open(name)
	if err != nil {
		return c, nil, err
	}
	line, err := bufio.NewReader(io.LimitReader(f, maxHead)).ReadBytes('\n')
	why := ""
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		why = "it is empty"
	case errors.Is(err, io.EOF):
		why = "its first line has no end"
	case err != nil:
		return c, nil, errors.Join(fmt.Errorf("reading the call %s: %w", shown, err), f.Close())
	default:
		why = c.parse(line, path.Base(name))
	}
	if why != "" {
		return c, nil, errors.Join(&DamagedLetterError{shown, why}, f.Close())
	}
	if _, err = f.Seek(int64(len(line)), io.SeekStart); err != nil {
		return c, nil, errors.Join(fmt.Errorf("reading the call %s: %w", shown, err), f.Close())
	}
	c.Size = info.Size() - int64(len(line)) // which nobody knows before the body has come
	return c, body{f, f}, nil
}

// parse reads the line of a call with an id, and returns what is wrong with it.
func (c *Call) parse(line []byte, id string) string {
	switch err := json.Unmarshal(line, c); {
	case err != nil:
		return "its first line: " + err.Error()
	case c.V != 1:
		return fmt.Sprintf("its first line has v %d, and this fnb reads 1", c.V)
	case c.ID != id:
		return "its first line has the id " + plain.Short(c.ID)
	}
	return ""
}

// write writes the file of a call, in one step for who lists them, and returns the size of its body.
func (l *Letters) write(name string, c Call, from io.Reader) (err error) {
	head, err := json.Marshal(c)
	if err != nil {
		return err
	}
	beside := path.Join(path.Dir(name), disk.Temporary+path.Base(name))
	f, err := l.root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(head, '\n'))
	if err == nil {
		_, err = io.Copy(f, from)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.root.Rename(beside, name)
	}
	if err != nil {
		_ = l.root.Remove(beside) // it is worth nothing
	}
	return err
}

// bury makes a dead letter of a call, or writes one anew.
func (l *Letters) bury(from string, c Call) error {
	_, rest, err := l.read(from)
	if err != nil {
		return err
	}
	defer rest.Close()
	if err := l.makeFolder(lettersFolder); err != nil {
		return err
	}
	to := lettersFolder + "/" + c.ID
	if err := l.write(to, c, rest); err != nil {
		return err
	}
	if from != to {
		return l.root.Remove(from)
	}
	return nil
}

// Remove removes a dead letter.
func (l *Letters) Remove(id string) error {
	if !validID(id) {
		return &UnknownLetterError{id}
	}
	return l.root.Remove(lettersFolder + "/" + id)
}

// recover makes dead letters of the calls of runs that were killed.
func (l *Letters) recover() error {
	if err := l.checkFolder(callsFolder); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	unlock, err := l.lockRuns()
	if err != nil {
		return err
	}
	defer unlock()
	runs, err := fs.ReadDir(l.root.FS(), callsFolder)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if !run.IsDir() {
			continue
		}
		if err := l.recoverRun(callsFolder + "/" + run.Name()); err != nil {
			return err
		}
	}
	return nil
}

// lockRuns is held while runs begin, and while those that were killed are looked for.
func (l *Letters) lockRuns() (unlock func(), err error) {
	return disk.Lock(context.Background(), filepath.Join(l.folder, callsFolder, lockFile))
}

// begin makes the folder of a run's calls, which is the run's until it is unlocked.
func (l *Letters) begin() (run string, unlock func(), err error) {
	run = callsFolder + "/" + strings.ToLower(rand.Text())
	if err := l.makeFolder(callsFolder); err != nil {
		return "", nil, err
	}
	unlockRuns, err := l.lockRuns()
	if err != nil {
		return "", nil, err
	}
	defer unlockRuns()
	if err := l.makeFolder(run); err != nil {
		return "", nil, err
	}
	unlock, ok, err := disk.TryLock(filepath.Join(l.folder, run, lockFile))
	if err == nil && !ok {
		err = errors.New("the folder of a new run is locked")
	}
	return run, unlock, err
}

// recoverRun makes dead letters of what a run has left, if nobody has its lock any more.
func (l *Letters) recoverRun(run string) error {
	unlock, ok, err := disk.TryLock(filepath.Join(l.folder, run, lockFile))
	if !ok || err != nil {
		return nil // it runs, or has just ended
	}
	defer unlock()
	names, err := l.names(run)
	if err != nil {
		return err
	}
	for _, id := range names {
		c, rest, err := l.read(run + "/" + id)
		if err != nil {
			return nil // nobody's of this fnb: it stays
		}
		_ = rest.Close() // bury reads it
		c.Why = "fnb run was killed before the call was done"
		if err := l.bury(run+"/"+id, c); err != nil {
			return err
		}
	}
	return l.root.RemoveAll(run)
}

// newID makes the name of a call's file, by which they are in order.
func newID(now time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return now.UTC().Format("20060102-150405.000000") + "-" + hex.EncodeToString(b[:])
}

// LetterFile is where a dead letter is, below the stack file's folder.
func LetterFile(folder, id string) string { return filepath.Join(folder, lettersFolder, id) }

// validID says whether a name is one that newID may have made.
func validID(id string) bool {
	return len(id) == len("20060102-150405.000000-00000000") && !slices.ContainsFunc([]rune(id), func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdef.-", r)
	})
}

// newCallID makes an id of the form that OpenFaaS's have.
func newCallID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
