package deploy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of AWS Lambda; docs/portability.md has where they are from.
const (
	lambdaName        = 64
	lambdaLeast       = 128 // MiB of memory
	lambdaMost        = 10240
	lambdaUsual       = 512
	lambdaTime        = 15 * time.Minute
	lambdaEnvironment = 4 << 10  // bytes, names and values together
	lambdaImage       = 10 << 30 // bytes, unpacked
	lambdaTagKey      = 128      // characters
	lambdaTagValue    = 256
)

// A lambda is a function as AWS Lambda takes it.
type lambda struct {
	image        string
	architecture string // "" is Lambda's own default
	memory       int    // MiB
	timeout      int    // seconds
	variables    map[string]string
	tags         map[string]string
	streams      bool
}

// lambda reports all that AWS Lambda would refuse.
func (f Function) lambda(p *Part) (lambda, error) {
	var errs []error
	fail := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	f.leftOut(p, "Lambda", "namespace", "constraints", "annotations", "requests", "secrets", "readonly_root_filesystem")
	l := lambda{image: f.Image, memory: lambdaUsual, variables: f.variables()}
	if m := memory(f.Limits); m > 0 {
		l.memory = int(math.Ceil(m / mebibyte))
	}
	fail(l.memory >= lambdaLeast && l.memory <= lambdaMost, "limits: Lambda gives a function from %d MiB to %d MiB of memory, not %d", lambdaLeast, lambdaMost, l.memory)
	if cores(f.Limits) > 0 {
		p.note("limits: Lambda gives a function CPU by its memory; cpu is left out")
	}
	limit := f.duration("exec_timeout", usualTimeout)
	l.timeout = max(1, seconds(limit))
	fail(limit > 0 && limit <= lambdaTime, "exec_timeout %s: Lambda gives a request from 1s to %s", limit, lambdaTime)
	fail(len(f.Name) <= lambdaName, "the name %q: Lambda takes at most %d characters", f.Name, lambdaName)
	name := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]+$`)
	size := 0
	for _, k := range slices.Sorted(maps.Keys(l.variables)) {
		size += len(k) + len(l.variables[k])
		fail(name.MatchString(k), "the variable %q: Lambda takes letters, digits and _, two at least and a letter first", k)
		fail(!strings.HasPrefix(k, "AWS_"), "the variable %q: Lambda keeps what begins with AWS_ to itself", k)
	}
	fail(size <= lambdaEnvironment, "the environment has %d bytes; Lambda takes %d", size, lambdaEnvironment)
	l.tags = f.awsTags(p)
	for _, m := range []map[string]string{l.variables, l.tags} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fail(!strings.Contains(m[k], "{{resolve:"), "the value of %q: CloudFormation replaces {{resolve: in it", k)
		}
	}
	mode, _ := f.variable("lambda_invoke_mode")
	l.streams = mode == "response_stream"
	f.lambdaImage(p, &l)
	return l, errors.Join(errors.Join(errs...), f.checkAny())
}

// awsTags are the labels that AWS takes as tags.
func (f Function) awsTags(p *Part) map[string]string {
	text := regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]*$`)
	tags := maps.Clone(f.Labels)
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		own := strings.HasPrefix(strings.ToLower(k), "aws:")
		if own || k == "" || utf8.RuneCountInString(k) > lambdaTagKey || utf8.RuneCountInString(tags[k]) > lambdaTagValue || !text.MatchString(k) || !text.MatchString(tags[k]) {
			p.note("the label %s=%q: AWS's tags have letters, digits, spaces and _.:/=+-@ only, at most %d in a key and %d in a value, and none of its own aws:; it is left out", k, tags[k], lambdaTagKey, lambdaTagValue)
			delete(tags, k)
		}
	}
	return tags
}

// lambdaImage chooses the image of a platform: Lambda takes no index.
func (f Function) lambdaImage(p *Part, l *lambda) {
	repository, digest, _ := strings.Cut(f.Image, "@")
	if !regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/`).MatchString(repository) {
		p.note("its image: Lambda takes it from Amazon ECR of its own region only; copy it there with: fnb copy")
	}
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		repository = repository[:i] // Lambda refuses a tag beside a digest
	}
	l.image = repository + "@" + digest
	if f.Built == nil {
		return
	}
	for _, one := range f.Built.Platforms {
		architecture := map[string]string{"linux/amd64": "x86_64", "linux/arm64": "arm64"}[one.Platform]
		if architecture == "" || l.architecture != "" {
			continue
		}
		l.architecture = architecture
		if len(f.Built.Platforms) > 1 {
			l.image = repository + "@" + one.Digest
			p.note("its image: Lambda takes that of one platform; it is %s", one.Platform)
		}
		if one.Size > lambdaImage {
			p.note("its image has %d bytes; Lambda takes %d, unpacked", one.Size, int64(lambdaImage))
		}
	}
	if l.architecture == "" {
		p.note("its image: Lambda runs linux/amd64 and linux/arm64, and it is for neither")
	}
}

// Lambda writes a function of an AWS SAM template: the container image, and a URL that asks for a signature.
func Lambda(f Function) (Part, error) {
	var p Part
	l, err := f.lambda(&p)
	if err != nil {
		return p, err
	}
	properties := mapping{
		{key: "FunctionName", value: f.Name}, {key: "PackageType", value: "Image"}, {key: "ImageUri", value: l.image},
	}
	if l.architecture != "" {
		properties = append(properties, item{key: "Architectures", value: []string{l.architecture}})
	}
	properties = append(properties, item{key: "MemorySize", value: l.memory}, item{key: "Timeout", value: l.timeout})
	if len(l.variables) > 0 {
		properties = append(properties, item{key: "Environment", value: mapping{{key: "Variables", value: sorted(l.variables)}}})
	}
	properties = add(properties, "Tags", sorted(l.tags))
	url := mapping{{key: "AuthType", value: "AWS_IAM"}}
	if l.streams {
		url = append(url, item{key: "InvokeMode", value: "RESPONSE_STREAM"})
	}
	properties = append(properties, item{key: "FunctionUrlConfig", value: url})
	id := resourceName(f.Name)
	p.in = []section{
		{of: "Resources", entry: item{key: id, value: mapping{{key: "Type", value: "AWS::Serverless::Function"}, {key: "Properties", value: properties}}}},
		{of: "Outputs", entry: item{key: id + "Address", value: mapping{
			{key: "Value", value: mapping{{key: "Fn::GetAtt", value: []string{id + "Url", "FunctionUrl"}}}},
		}}},
	}
	return p, nil
}

// resourceName is a function's name as CloudFormation's are, which have letters and digits only.
func resourceName(name string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + "Function"
}

func lambdaHead(string) mapping {
	return mapping{
		{key: "AWSTemplateFormatVersion", value: "2010-09-09"},
		{key: "Transform", value: "AWS::Serverless-2016-10-31"},
	}
}

// Serverless writes a function of a serverless.yml: the container image on AWS Lambda, and a URL that asks for a signature.
func Serverless(f Function) (Part, error) {
	var p Part
	l, err := f.lambda(&p)
	for _, m := range []map[string]string{l.variables, l.tags} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if strings.Contains(k+m[k], "${") {
				err = errors.Join(err, fmt.Errorf("the value of %q: the Serverless Framework replaces ${ in it", k))
			}
		}
	}
	if err != nil {
		return p, err
	}
	fn := mapping{{key: "image", value: mapping{{key: "uri", value: l.image}}}}
	fn = add(fn, "architecture", l.architecture)
	fn = append(fn, item{key: "memorySize", value: l.memory}, item{key: "timeout", value: l.timeout})
	fn = add(fn, "environment", sorted(l.variables))
	fn = add(fn, "tags", sorted(l.tags))
	url := mapping{{key: "authorizer", value: "aws_iam"}}
	if l.streams {
		url = append(url, item{key: "invokeMode", value: "RESPONSE_STREAM"})
	}
	fn = append(fn, item{key: "url", value: url})
	p.in = []section{{of: "functions", entry: item{key: f.Name, value: fn}}}
	return p, nil
}

func serverlessHead(project string) mapping {
	service := strings.Trim(regexp.MustCompile(`[^0-9A-Za-z-]+`).ReplaceAllString(project, "-"), "-0123456789")
	if service == "" {
		service = "functions"
	}
	return mapping{{key: "service", value: service}, {key: "provider", value: mapping{{key: "name", value: "aws"}}}}
}
