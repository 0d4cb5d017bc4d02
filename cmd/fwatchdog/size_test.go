package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"testing"
)

// TestSize holds the size of the binary as it goes into every image, and of its layer.
func TestSize(t *testing.T) {
	ours(t)
	if raceEnabled {
		t.Skip("the race detector makes it larger")
	}
	binary, err := os.ReadFile(tested.path)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w, err := gzip.NewWriterLevel(&layer, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(binary); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const most, mostLayer = 8_000_000, 3_200_000
	if len(binary) > most || layer.Len() > mostLayer {
		t.Errorf("%d bytes, %d compressed; want at most %d and %d", len(binary), layer.Len(), most, mostLayer)
	}
}
