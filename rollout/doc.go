// Package rollout has platforms run functions: it applies what schema/deploy writes, compares that with what
// is there, waits until it is ready, and knows what ran before. It begins with [NewCluster] and [NewGateway].
package rollout
