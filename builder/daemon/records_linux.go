package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/moby/buildkit/client"
)

// recordLimit is how many records of cache the own builder keeps. BuildKit has all of
// them in memory, about 15 kB each, and drops none while there is room on the disk:
// each changed handler leaves a few that are small there.
const recordLimit = 20_000

// A boundedWorker keeps no more records than limit, beside what BuildKit's policy says.
type boundedWorker struct {
	*rewritingWorker
	limit   int
	settler *settler
}

// GarbageCollect implements [worker.Worker], and may be called when nobody is
// connected.
func (w *boundedWorker) GarbageCollect(ctx context.Context) error {
	if err := w.settler.begin(); err != nil {
		return err
	}
	defer w.settler.end()
	return w.rewritingWorker.GarbageCollect(ctx)
}

// Prune implements [worker.Worker], and may be called when nobody is connected.
func (w *boundedWorker) Prune(ctx context.Context, ch chan client.UsageInfo, rules ...client.PruneInfo) error {
	if err := w.settler.begin(); err != nil {
		return err
	}
	defer w.settler.end()
	if err := w.rewritingWorker.Prune(ctx, ch, rules...); err != nil {
		return err
	}
	if len(rules) < 2 {
		return nil // somebody asks for it; the policy has several
	}
	records, err := w.DiskUsage(ctx, client.DiskUsageInfo{})
	if err != nil || len(records) <= w.limit {
		return err
	}
	return w.rewritingWorker.Prune(ctx, ch, client.PruneInfo{KeepDuration: usedWithin(records, w.limit*3/4, time.Now())})
}

// usedWithin is how long ago the last of as many records as are kept was used.
func usedWithin(records []*client.UsageInfo, keep int, now time.Time) time.Duration {
	ages := make([]time.Duration, len(records))
	for i, r := range records {
		used := r.CreatedAt
		if r.LastUsedAt != nil {
			used = *r.LastUsedAt
		}
		ages[i] = now.Sub(used)
	}
	slices.Sort(ages)
	return max(ages[keep-1], 1) // 0 would be no limit
}
