package serve

import "context"

// watchStack has a save of the stack file noticed.
func (f *Functions) watchStack() (err error) {
	f.stackSaved, f.unwatchStack, err = f.o.Watch([]string{f.p.Stack.File})
	return err
}

// tellSaves says of each save of the stack file that this run goes by the old one.
func (f *Functions) tellSaves(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.stackSaved:
			f.obs.StackSaved()
		}
	}
}
