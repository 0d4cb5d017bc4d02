package main

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An account is whom a process belongs to.
type account struct {
	uid, gid uint32
	groups   []uint32
	home     string // "" is not known
}

// lookUp finds the account of an image's user: NAME or a number, with ":" and a group or not. passwd and group are files.
func lookUp(user, passwd, group string) (account, error) {
	name, grp, withGroup := strings.Cut(user, ":")
	a := account{home: "/"}
	if name == "" {
		name = "0"
	}
	id, err := strconv.ParseUint(name, 10, 32)
	a.uid = uint32(id)
	known := false
	for _, f := range records(passwd, 7) {
		if f[0] == name || err == nil && f[2] == name {
			uid, uerr := strconv.ParseUint(f[2], 10, 32)
			gid, gerr := strconv.ParseUint(f[3], 10, 32)
			if uerr != nil || gerr != nil {
				continue
			}
			a.uid, a.gid, a.home, known = uint32(uid), uint32(gid), f[5], true
			name = f[0]
			break
		}
	}
	if !known && err != nil {
		return a, errors.New("there is no user " + strconv.Quote(name) + " in the image")
	}
	groups := records(group, 4)
	if !withGroup {
		for _, f := range groups {
			if gid, err := strconv.ParseUint(f[2], 10, 32); err == nil && slices.Contains(strings.Split(f[3], ","), name) {
				a.groups = append(a.groups, uint32(gid))
			}
		}
		return a, nil
	}
	id, err = strconv.ParseUint(grp, 10, 32)
	a.gid = uint32(id)
	for _, f := range groups {
		if gid, gerr := strconv.ParseUint(f[2], 10, 32); f[0] == grp && gerr == nil {
			a.gid, err = uint32(gid), nil
		}
	}
	if err != nil {
		return a, errors.New("there is no group " + strconv.Quote(grp) + " in the image")
	}
	return a, nil
}

// records are the lines of a file such as /etc/passwd that have as many fields; of a file that is not there, none.
func records(file string, fields int) [][]string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out [][]string
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == fields {
			out = append(out, f)
		}
	}
	return out
}
