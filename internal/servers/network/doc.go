// Package network reaches networks of other processes, which are namespaces: [In] works there, [Reach] leads out of there, and
// [Forward] joins the two. There are none but on Linux.
package network
