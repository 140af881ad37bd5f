package catalog

import "context"

// RunAlone is Run without asking others: everything is ours until the context ends. The embedded broker holds a
// group up for more than a minute when a member is killed.
func (k *Keeper) RunAlone(ctx context.Context, partitions int32) error {
	return k.run(ctx, func(ctx context.Context, assigned func([]int32, int32), _ func([]int32)) error {
		var all []int32
		for p := range partitions {
			all = append(all, p)
		}
		assigned(all, partitions)
		<-ctx.Done()
		return nil
	})
}
