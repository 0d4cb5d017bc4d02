// Package stepnet gives RUN steps a network of their own that reaches the internet
// and the local network, but not the machine they run on.
//
// Each step has a network namespace with one device. What it sends there is
// taken apart by gVisor's TCP/IP stack in the builder's own process, which opens the
// same connection from the machine's network where [Reach] allows it. Nothing of the
// machine's network is changed, and no more rights are needed than a container takes.
package stepnet
