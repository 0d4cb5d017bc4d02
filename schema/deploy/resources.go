package deploy

import (
	"math"
	"strconv"
	"strings"

	"fnb/schema"
)

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

// amount is a quantity of Kubernetes as a number: 500m is 0.5, 1Ki is 1024. It is 0 for "".
func amount(quantity string) float64 {
	number := strings.TrimRight(quantity, "mkKMGTPEi")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	switch unit := quantity[len(number):]; unit {
	case "m":
		return n / 1000
	case "k":
		return n * 1000
	default:
		for i, letter := range "KMGTPE" {
			switch unit {
			case string(letter) + "i":
				return n * math.Pow(1024, float64(i+1))
			case string(letter):
				return n * math.Pow(1000, float64(i+1))
			}
		}
	}
	return n
}

// memory and cores are those of r, 0 where it says nothing.
func memory(r *schema.Resources) float64 {
	if r == nil {
		return 0
	}
	return amount(r.Memory)
}

func cores(r *schema.Resources) float64 {
	if r == nil {
		return 0
	}
	return amount(r.CPU)
}

// decimal writes a number as short as it can be.
func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// leftOut notes the keys of the function's that a platform has nothing for.
func (f Function) leftOut(p *Part, platform string, keys ...string) {
	there := map[string]bool{
		"namespace": f.Namespace != "", "constraints": len(f.Constraints) > 0, "annotations": len(f.Annotations) > 0,
		"labels": len(f.Labels) > 0, "requests": f.Requests != nil, "secrets": len(f.Secrets) > 0, "readonly_root_filesystem": f.ReadOnlyRoot,
	}
	for _, key := range keys {
		if there[key] {
			p.note("%s: %s has nothing of the kind", key, platform)
		}
	}
}
