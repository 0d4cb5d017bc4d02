package sbom

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"fnb/internal/lazyregexp"
)

// PURL is the package URL of a package; qualifiers without a value are left out.
func PURL(kind, namespace, name, version string, qualifiers map[string]string) string {
	kept := map[string]string{}
	for k, v := range qualifiers {
		if v != "" {
			kept[k] = v
		}
	}
	return packageurl.NewPackageURL(kind, namespace, name, version, packageurl.QualifiersFromMap(kept), "").ToString()
}

// scoped splits the name of a package of npm or JSR, which may have a scope.
func scoped(name string) (scope, rest string) {
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") {
		return scope, rest
	}
	return "", name
}

// NodePURL is the package URL of a package of npm.
func NodePURL(name, version string) string {
	scope, rest := scoped(name)
	return PURL("npm", scope, rest, version, nil)
}

// OwnPURL is the package URL of what somebody has made and put into no registry of packages, such as the function's own
// package.
func OwnPURL(name, version string) string {
	scope, rest := scoped(name)
	return PURL("generic", strings.TrimPrefix(scope, "@"), rest, version, nil)
}

// JSRPURL is the package URL of a package of JSR, for which there is no type.
func JSRPURL(name, version string) string {
	scope, rest := scoped(name)
	return PURL("generic", strings.TrimPrefix(scope, "@"), rest, version, map[string]string{"download_url": "https://jsr.io/" + name})
}

// GoPURL is the package URL of a module of Go, whose version has its "v".
func GoPURL(path, version string) string {
	namespace, name := "", path
	if i := strings.LastIndex(path, "/"); i >= 0 {
		namespace, name = path[:i], path[i+1:]
	}
	return PURL("golang", namespace, name, version, nil)
}

var separators = lazyregexp.New(`[-_.]+`)

// PythonName is the name of a package of Python as its index compares it.
func PythonName(name string) string {
	return strings.ToLower(separators.ReplaceAllString(strings.TrimSpace(name), "-"))
}

// PURL is the package URL of the image, or of the programs.
func (s Subject) PURL() string {
	if s.Version != "" {
		return OwnPURL(s.Name, s.Version)
	}
	return imagePURL(s.Name, s.Digest, "", s.Platform)
}

// PURL is the package URL of the base image.
func (b Base) PURL() string {
	name, tag := b.Reference, ""
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name, tag = name[:i], name[i+1:]
	}
	return imagePURL(name, b.Digest, tag, "")
}

func imagePURL(repository, digest, tag, platform string) string {
	if repository == "" || digest == "" {
		return ""
	}
	_, arch, _ := strings.Cut(platform, "/")
	return PURL("oci", "", repository[strings.LastIndex(repository, "/")+1:], digest, map[string]string{"repository_url": repository, "tag": tag, "arch": arch})
}
