package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"fnb/builder/probe"
	"fnb/pipeline"
)

// JUnit's XML as CI systems read it: a suite for each function, a case for each
// check.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Skipped *junitProblem `xml:"skipped,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func junitXML(results []pipeline.TestResult) ([]byte, error) {
	var all junitSuites
	for _, r := range results {
		s := junitSuite{Name: r.Title(), Tests: len(r.Checks)}
		total := 0.0
		for _, c := range r.Checks {
			total += c.Seconds
			k := junitCase{Class: r.Function, Name: c.Title(), Time: fmt.Sprintf("%.3f", c.Seconds)}
			first, _, _ := strings.Cut(c.Detail, "\n")
			switch c.Status {
			case probe.Failed:
				k.Failure = &junitProblem{Message: first, Text: c.Detail}
				s.Failures++
			case probe.Skipped:
				k.Skipped = &junitProblem{Message: first}
				s.Skipped++
			}
			s.Cases = append(s.Cases, k)
		}
		s.Time = fmt.Sprintf("%.3f", total)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Suites = append(all.Suites, s)
	}
	raw, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(raw, '\n')...), err
}
