package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A mapping is a YAML mapping in the order in which it is written.
type mapping []item

type item struct {
	key   string
	value any // string, bool, int, []string, mapping or []mapping
}

// MarshalYAML keeps the order.
func (m mapping) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, it := range m {
		key, err := node(it.key)
		if err != nil {
			return nil, err
		}
		value, err := node(it.value)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, key, value)
	}
	return n, nil
}

// quotes reports whether a text is quoted, whatever yaml would write. One of several lines is in one line: yaml does not read all
// of the blocks that it writes. The others are of types of YAML 1.1 that readers in Python know, such as AWS SAM's, and fail with:
// = and << alone, and what begins as a number and has a _.
func quotes(text string) bool {
	return strings.Contains(text, "\n") || text == "=" || text == "<<" || strings.Contains(text, "_") && strings.ContainsAny(text[:1], "0123456789+-.")
}

// node is what is written of a value.
func node(value any) (*yaml.Node, error) {
	switch v := value.(type) {
	case string:
		if quotes(v) {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v}, nil
		}
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, text := range v {
			n, err := node(text)
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, n)
		}
		return list, nil
	}
	n := &yaml.Node{}
	err := n.Encode(value)
	return n, err
}

func sorted(m map[string]string) mapping {
	var out mapping
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, item{key: k, value: m[k]})
	}
	return out
}

// add appends a key, unless its value is empty.
func add(m mapping, key string, value any) mapping {
	empty := false
	switch v := value.(type) {
	case string:
		empty = v == ""
	case []string:
		empty = len(v) == 0
	case mapping:
		empty = len(v) == 0
	case []mapping:
		empty = len(v) == 0
	}
	if empty {
		return m
	}
	return append(m, item{key: key, value: value})
}

// documents writes YAML documents, each after a line "---". Texts that YAML 1.1, which Kubernetes reads, takes for
// something else are quoted: yes, 1e3, 190:20:30.
func documents(docs ...mapping) ([]byte, error) {
	var out bytes.Buffer
	for _, d := range docs {
		raw, err := document(d)
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(raw)
	}
	return out.Bytes(), nil
}

// document writes one of them.
func document(d mapping) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := errors.Join(enc.Encode(d), enc.Close()); err != nil {
		return nil, fmt.Errorf("writing a manifest: %w", err)
	}
	return out.Bytes(), nil
}
