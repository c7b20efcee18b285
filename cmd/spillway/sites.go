//go:build linux || darwin

package main

import "github.com/spillway/spillway/offload"

// defaultSites is the platform to plan on when none is named.
func (a *app) defaultSites() (offload.Platform, error) {
	return offload.Platform{}, usageErrorf("--platform is missing")
}
