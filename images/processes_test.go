package images_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/disk"
	"fnb/internal/fixture"
)

func TestManyGoroutinesPut(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	var wg sync.WaitGroup
	const workers, each = 8, 10
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := s.Put(t.Context(), fmt.Sprintf("w%d:%d", w, i), desc); err != nil {
					t.Error(err)
				}
				if _, err := s.List(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != workers*each {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// TestPutProcess is not a test of its own: it is the program that the tests
// below start several times.
func TestPutProcess(t *testing.T) {
	dir, name := os.Getenv("FNB_TEST_STORE"), os.Getenv("FNB_TEST_NAME")
	if dir == "" {
		t.Skip("run by other tests")
	}
	s, err := images.Open(dir)
	fixture.Must(t, err)
	var desc v1.Descriptor
	fixture.Must(t, json.Unmarshal([]byte(os.Getenv("FNB_TEST_DESCRIPTOR")), &desc))
	count, err := strconv.Atoi(os.Getenv("FNB_TEST_COUNT"))
	fixture.Must(t, err)
	for i := range count {
		fixture.Must(t, s.Put(t.Context(), fmt.Sprintf("%s:%d", name, i), desc))
	}
}

func putProcess(t *testing.T, s *images.Store, desc v1.Descriptor, name string, count int) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(desc)
	fixture.Must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPutProcess$")
	cmd.Env = append(os.Environ(), "FNB_TEST_STORE="+s.Dir(), "FNB_TEST_NAME="+name,
		"FNB_TEST_DESCRIPTOR="+string(b), "FNB_TEST_COUNT="+strconv.Itoa(count))
	return cmd
}

func TestSeveralProcessesPut(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			if out, err := putProcess(t, s, desc, fmt.Sprintf("p%d", p), 15).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != 60 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestKilledProcessLeavesAWholeStore(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	for round := range 5 {
		cmd := putProcess(t, s, desc, fmt.Sprintf("r%d", round), 1_000_000)
		fixture.Must(t, cmd.Start())
		time.Sleep(time.Duration(60+40*round) * time.Millisecond)
		fixture.Must(t, cmd.Process.Kill())
		// It was killed; how it ended is known.
		_ = cmd.Wait()
		if err := s.Put(t.Context(), fmt.Sprintf("after%d", round), desc); err != nil {
			t.Fatal(err)
		}
		entries, err := s.List()
		if err != nil || len(entries) <= round {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
	if _, err := s.Prune(t.Context(), images.PruneOptions{Keep: all, Before: time.Now().Add(time.Minute)}); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir(), disk.Temporary+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
