// Package browser drives a headless Chromium, with which tests read pages as a person
// does: [For] starts one.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
)

// A Browser is a headless Chromium with one tab.
type Browser struct {
	Ctx context.Context //nolint:containedctx // the tab, as chromedp has it
	tb  testing.TB
}

// For starts a browser for a test, which is skipped, or fails, where there is none.
func For(tb testing.TB) *Browser {
	tb.Helper()
	path, err := exec.LookPath("chromium")
	servers.Require(tb, "chromium", err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(tb.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(tb.Context(), opts...)
	tb.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx)
	tb.Cleanup(stopTab)
	err = chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900))
	servers.Require(tb, "chromium", err)
	return &Browser{ctx, tb}
}

// Do does what a person would, within a minute.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.tb.Helper()
	ctx, stop := context.WithTimeout(b.Ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.tb.Fatal(err)
	}
}

// Visit opens a page.
func (b *Browser) Visit(address string) {
	b.tb.Helper()
	b.Do(chromedp.Navigate(address), chromedp.WaitVisible("#main"))
}

// Text is what a script on the page says.
func (b *Browser) Text(script string) string {
	b.tb.Helper()
	ctx, stop := context.WithTimeout(b.Ctx, time.Minute)
	defer stop()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("Promise.resolve("+script+").then(String)", chromedp.EvalAwaitPromise))
	if err != nil {
		b.tb.Fatal(script, err)
	}
	return s
}

// Wait waits until a script on the page says true.
func (b *Browser) Wait(script string) {
	b.tb.Helper()
	ctx, stop := context.WithTimeout(b.Ctx, 20*time.Second)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](script)); err != nil {
		b.tb.Fatalf("waiting until %s: %v", script, err)
	}
}

// Press presses a key; what it types is not typed where the page has taken it.
func (b *Browser) Press(key string) {
	b.tb.Helper()
	if len(key) != 1 || key < " " || key > "~" {
		b.Do(chromedp.KeyEvent(key))
		return
	}
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: kind, Key: key}
		if kind == input.DispatchKeyEventTypeKeyDown {
			p.Text = key
		}
		if _, err := chromedp.Call(b.Ctx, input.DispatchKeyEvent, p); err != nil {
			b.tb.Fatal(err)
		}
	}
}

// Colours makes the system light or dark.
func (b *Browser) Colours(scheme string) {
	b.tb.Helper()
	_, err := chromedp.Call(b.Ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.tb.Fatal(err)
	}
}

// Screenshot keeps a picture of the page in the folder that FNB_SCREENSHOTS names,
// or in the test's own.
func (b *Browser) Screenshot(name string) {
	b.tb.Helper()
	data, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.tb.Fatal(err)
	}
	dir := os.Getenv("FNB_SCREENSHOTS")
	if dir == "" {
		dir = b.tb.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644); err != nil {
		b.tb.Fatal(err)
	}
}

// Axe runs axe-core on the page and returns its findings that are more than minor.
func (b *Browser) Axe() []string {
	b.tb.Helper()
	script, err := checkers.Axe()
	servers.Require(b.tb, "chromium", err)
	b.Text("(() => {" + script + "})()")
	result := b.Text(`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	if err := json.Unmarshal([]byte(result), &violations); err != nil {
		b.tb.Fatal(err)
	}
	var bad []string
	for _, v := range violations {
		text := fmt.Sprintf("%s (%s): %s", v.ID, v.Impact, v.Help)
		for _, n := range v.Nodes {
			text += "\n\t" + n.HTML + "\n\t" + n.FailureSummary
		}
		if v.Impact == "minor" {
			b.tb.Log(text)
		} else {
			bad = append(bad, text)
		}
	}
	return bad
}
