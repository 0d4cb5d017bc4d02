// Package services runs the services of a stack in the builder beside its functions, which
// reach them by [Services.Routes].
package services
