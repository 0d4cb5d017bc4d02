// Package audit says what is wrong with images by what is in them: [Look] holds their packages
// against a database of advisories, and their base, runtime, watchdog and template against
// what fnb knows of each.
package audit
