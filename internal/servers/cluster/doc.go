// Package cluster starts a Kubernetes of one node for tests: etcd, Kubernetes' own programs and
// containerd, in namespaces of their own.
//
// Nothing of it is the machine's: it has a network, processes and mounts of its own, and the kernel
// ends all of it with its first process, which ends with the program that started it. Only its
// containers' control groups are the machine's, in one folder that [Cluster.Close] removes.
//
// It needs root and what "make kubernetes" builds and unpacks. Tests require it as "kubernetes".
package cluster
