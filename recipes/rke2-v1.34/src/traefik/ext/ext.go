// Package ext stands for the module of this name in traefik's repository, which is not published by itself.
//
// It is where other builds of traefik put settings of their own into its dynamic configuration; there are none.
package ext

// HTTP holds further settings of the whole HTTP configuration.
type HTTP struct{}

// Router holds further settings of one router.
type Router struct{}
