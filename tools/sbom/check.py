"""Check an SBOM on standard input: check.py spdx|cyclonedx. What is wrong is printed, and the exit code is 1."""
import io
import json
import sys
import tempfile


def spdx(text):
    from spdx_tools.spdx.parser.json import json_parser
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    import ntia_conformance_checker as ntia

    with tempfile.NamedTemporaryFile("w", suffix=".spdx.json") as f:
        f.write(text)
        f.flush()
        document = json_parser.parse_from_file(f.name)
        problems = [m.validation_message for m in validate_full_spdx_document(document)]
        check = ntia.SbomChecker(f.name)
    # A supplier is not known of every package, and then SPDX says NOASSERTION.
    for part in ("doc_version", "doc_author", "doc_timestamp", "dependency_relationships"):
        if not getattr(check, part, True):
            problems.append("NTIA: it lacks " + part)
    for part in ("components_without_names", "components_without_versions", "components_without_identifiers"):
        missing = [c for c in getattr(check, part, []) if not allowed(part, c)]
        if missing:
            problems.append(f"NTIA: {part}: {missing[:5]}")
    return problems


def allowed(part, component):
    """A module that is a folder beside the function has no version."""
    name = component if isinstance(component, str) else component[0]
    return part == "components_without_versions" and name in ("fnb",)


def cyclonedx(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return [str(wrong)] if wrong else []


def main():
    text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read()
    json.loads(text)
    problems = {"spdx": spdx, "cyclonedx": cyclonedx}[sys.argv[1]](text)
    for p in problems:
        print(p)
    sys.exit(1 if problems else 0)


main()
