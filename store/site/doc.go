// Package site shows a store as a web page: served to a browser on this machine,
// or written as files for any host.
//
// What it shows comes from a [Source]. Everything in it is taken for hostile: it is
// shown as text, the page loads nothing from elsewhere, and its Content-Security-Policy
// forbids what it does not need.
package site
