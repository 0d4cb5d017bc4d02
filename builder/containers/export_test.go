package containers

const TailLines = tailLines

// Tunnels is how many connections lead to the container.
func (r *Container) Tunnels() int { return r.tunnel.mux.Streams() }
