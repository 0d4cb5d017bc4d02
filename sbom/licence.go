package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// known are identifiers of the SPDX License List that packages mostly have. What is none of
// them is written down as the package says it, which both formats have a place for.
const known = ` 0BSD AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-Clear BSD-4-Clause BSL-1.0 BlueOak-1.0.0 CC-BY-3.0 CC-BY-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 CNRI-Python EPL-1.0 EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU ISC LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA OpenSSL PSF-2.0 PostgreSQL Python-2.0 TCL UPL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense Vim W3C WTFPL X11 ZPL-2.1 Zlib bzip2-1.0.6 curl `

// identifier reports whether a licence is one of the list.
func identifier(s string) bool {
	return s != "" && !strings.Contains(s, " ") && strings.Contains(known, " "+s+" ")
}

// expression reports whether a licence is made of such identifiers.
func expression(s string) bool {
	words := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(s))
	if strings.ContainsAny(s, "()") && !balanced(s) {
		return false
	}
	for i, w := range words {
		if i%2 == 0 && !identifier(w) || i%2 == 1 && w != "AND" && w != "OR" {
			return false
		}
	}
	return len(words)%2 == 1
}

// balanced reports whether parentheses stand where an expression has them.
func balanced(s string) bool {
	open, operand := 0, true // what may come next
	for _, w := range strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)) {
		switch w {
		case "(":
			if open++; !operand {
				return false
			}
		case ")":
			if open--; open < 0 || operand {
				return false
			}
		default:
			if operand != (w != "AND" && w != "OR") {
				return false
			}
			operand = !operand
		}
	}
	return open == 0 && !operand
}

// licenceRef is what SPDX calls a licence that is not of the list.
func licenceRef(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "LicenseRef-" + slug(text, 40) + "-" + hex.EncodeToString(sum[:4])
}

// slug is what of a text may stand in an identifier of SPDX.
func slug(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= most {
			break
		}
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}
