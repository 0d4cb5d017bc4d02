// Package templates opens, checks and scaffolds templates.
//
// A template is a folder that can turn a handler into an image. It has four
// parts, and [Template] has a field for each: the Dockerfile with the base
// images and build steps, the entrypoint that calls the handler, the handler a
// user starts from, and the package lists. OpenFaaS's template folders are
// templates as they stand.
//
// [OpenOfficial] opens one of the templates that are part of the program,
// [OpenDir] a folder and [Open] any [fs.FS]. All three give the same template,
// with the same checksum, for the same files: what is read does not depend on
// permissions, owners and times of the machine, except for a file's own
// permission to be run. Templates that are to be embedded do without that one,
// because embedding loses it. A file stored as NAME.tmpl is NAME in the opened
// template, so that a go.mod can live inside another module.
//
// [Template.Lint] tells everything that is wrong with the four parts, also of
// templates that open; [LintDir] also of a folder that is no template yet.
// [Template.Scaffold] writes the handler that a user starts from.
//
// Dockerfiles are read with BuildKit's own parser (the packages
// frontend/dockerfile/parser, instructions and shell, which need no builder),
// so that a template means here what it means when it is built.
//
// Problems of a file that a person wrote are [*document.FieldError] values with
// file and line; a link that leaves the template, a device, a FIFO or a socket
// is a [*tree.PathError]. All problems are reported at once, joined. A Template
// is not changed after it is opened, and is safe for concurrent use.
package templates
