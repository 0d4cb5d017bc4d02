//! Makes a handler's crate a program, and lets its dependencies be compiled without it.
//! Cargo does all that it can do; this is what it has no command for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;

const USAGE: &str = "usage: prepare skeleton MEMBER | name MEMBER | entry MEMBER | check LOCK NEW | kept LOCK NEW | join LOCK MORE";

/// Where the Dockerfile puts the template's own files.
const PLACE: &str = "/build";

type Done = Result<(), String>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["skeleton", member] => skeleton(member),
        ["name", member] => {
            let manifest = read(Path::new(member).join("Cargo.toml"));
            println!("{}", package_name(&manifest).unwrap_or_default());
            Ok(())
        }
        ["entry", member] => entry(Path::new(member)),
        ["check", lock, new] => check(&read(lock), &read(new)),
        ["kept", lock, new] => kept(&read(lock), &read(new)),
        ["join", lock, more] => write(lock, &join(&read(lock), &read(more))),
        _ => Err(USAGE.to_string()),
    };
    if let Err(problem) = done {
        eprintln!("{problem}");
        exit(1);
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn write(path: impl AsRef<Path>, text: &str) -> Done {
    let path = path.as_ref();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Leaves of the member's manifest what its dependencies need, and gives it an empty
/// library. The files that it makes are named in PLACE/made, to be removed again.
fn skeleton(member: &str) -> Done {
    let folder = Path::new(member);
    let manifest = read(folder.join("Cargo.toml"));
    if manifest.is_empty() {
        return Err(
            "Cargo.toml is missing: a handler is a library crate with a pub async fn handle"
                .to_string(),
        );
    }
    if package_name(&manifest).is_none() {
        return Err("Cargo.toml has no [package] with a name: in a workspace, the handler is the folder of the member that is the function".to_string());
    }
    let mut made = empty_crate(folder, &manifest)?;
    if member != "." {
        let root = read("Cargo.toml");
        write(
            "Cargo.toml",
            &members_that_are_there(&without_targets(&root)),
        )?;
        if package_name(&root).is_some() && !has_sources(Path::new("."), &root) {
            made.extend(empty_crate(Path::new("."), &read("Cargo.toml"))?);
        }
    }
    let list: Vec<String> = made.iter().map(|p| p.display().to_string()).collect();
    write(format!("{PLACE}/made"), &list.join("\n"))
}

fn has_sources(folder: &Path, manifest: &str) -> bool {
    folder.join(library(manifest)).exists() || folder.join("src/main.rs").exists()
}

/// Writes the manifest without its programs, tests and examples, and an empty file for
/// each of what is left. Returns those files.
fn empty_crate(folder: &Path, manifest: &str) -> Result<Vec<PathBuf>, String> {
    write(folder.join("Cargo.toml"), &without_targets(manifest))?;
    let mut made = vec![];
    let script = value(manifest, "package", "build").filter(|path| path.ends_with(".rs"));
    for (path, text) in [(Some(library(manifest)), ""), (script, "fn main() {}\n")] {
        let Some(path) = path.map(|p| folder.join(p)) else {
            continue;
        };
        if !path.exists() {
            write(&path, text)?;
            made.push(path);
        }
    }
    Ok(made)
}

/// The file of the library.
fn library(manifest: &str) -> String {
    value(manifest, "lib", "path").unwrap_or("src/lib.rs".to_string())
}

fn package_name(manifest: &str) -> Option<String> {
    value(manifest, "package", "name")
}

/// Makes the member a program too, which calls its library.
fn entry(member: &Path) -> Done {
    let path = member.join("Cargo.toml");
    let manifest = read(&path);
    let library_path = member.join(library(&manifest));
    if !library_path.exists() {
        return Err(format!(
            "{} is missing: a handler is a library crate with a pub async fn handle",
            library_path
                .strip_prefix("./")
                .unwrap_or(&library_path)
                .display()
        ));
    }
    let name = value(&manifest, "lib", "name")
        .or(package_name(&manifest))
        .unwrap_or_default();
    let text =
        read(format!("{PLACE}/prepare/entrypoint.rs")).replace("HANDLER", &name.replace('-', "_"));
    write(format!("{PLACE}/entrypoint.rs"), &text)?;
    write(
        &path,
        &format!(
            "{manifest}\n[[bin]]\nname = \"fnb_entrypoint\"\npath = \"{PLACE}/entrypoint.rs\"\n\n\
             [dependencies.fnb_entry]\npackage = \"fnb-entry\"\npath = \"{PLACE}/entry\"\n"
        ),
    )
}

/// A line of a manifest, with the table that it is in.
fn lines(manifest: &str) -> impl Iterator<Item = (String, &str)> {
    let mut table = String::new();
    manifest.lines().map(move |line| {
        if line.trim_start().starts_with('[') && line.contains(']') && !line.contains('=') {
            let end = line.rfind(']').map_or(line.len(), |i| i + 1);
            table = line[..end].split_whitespace().collect();
        }
        (table.clone(), line)
    })
}

/// The text of a key in a table: `name = "…"`.
fn value(manifest: &str, table: &str, key: &str) -> Option<String> {
    let table = format!("[{table}]");
    lines(manifest)
        .filter(|(t, _)| *t == table)
        .find_map(|(_, line)| {
            let (k, v) = line.split_once('=')?;
            let v = v.trim();
            let quote = v.chars().next().filter(|c| *c == '"' || *c == '\'')?;
            (k.trim() == key).then(|| v[1..].split(quote).next().unwrap_or_default().to_string())
        })
}

/// The manifest without what names files that are not there.
fn without_targets(manifest: &str) -> String {
    let targets = ["[[bin]]", "[[test]]", "[[bench]]", "[[example]]"];
    let kept = lines(manifest).filter(|(table, line)| {
        let key = line.split('=').next().unwrap_or_default().trim();
        !targets.contains(&table.as_str()) && !(table == "[package]" && key == "default-run")
    });
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// The manifest of a workspace with those members of which there is a manifest.
fn members_that_are_there(manifest: &str) -> String {
    let mut out = String::new();
    let mut rest = manifest;
    while let Some(start) = ["members", "default-members"]
        .iter()
        .filter_map(|key| list_of(rest, key))
        .min()
    {
        let (open, close) = start;
        let there: Vec<String> = strings(&rest[open + 1..close])
            .into_iter()
            .filter(|m| m.contains(['*', '?', '[']) || Path::new(m).join("Cargo.toml").exists())
            .map(|m| format!("{m:?}"))
            .collect();
        out += &format!("{}[{}]", &rest[..open], there.join(", "));
        rest = &rest[close + 1..];
    }
    out + rest
}

/// The brackets of the list that a key at the beginning of a line has.
fn list_of(text: &str, key: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some((k, v)) = line.split_once('=') {
            if k.trim() == key && v.trim_start().starts_with('[') {
                let open = at + line.find('[')?;
                return Some((open, open + text[open..].find(']')?));
            }
        }
        at += line.len();
    }
    None
}

/// The strings of a list, without its comments.
fn strings(list: &str) -> Vec<String> {
    let text: String = list
        .lines()
        .map(|l| l.split('#').next().unwrap_or_default().to_string() + "\n")
        .collect();
    text.split(['"', '\''])
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect()
}

/// A package of a lock.
#[derive(Clone)]
struct Package {
    name: String,
    version: String,
    source: String,
    checksum: String,
    text: String,
}

impl Package {
    fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Which other versions Cargo would take instead.
    fn kind(&self) -> String {
        let mut numbers = self.version.split(['.', '+', '-']);
        let major = numbers.next().unwrap_or_default();
        let minor = numbers.next().unwrap_or_default();
        let kind = if major == "0" {
            format!("0.{minor}")
        } else {
            major.to_string()
        };
        format!("{} {kind}", self.name)
    }
}

/// The packages of a lock that come from elsewhere.
fn packages(lock: &str) -> Vec<Package> {
    let blocks = lock.split("[[package]]").skip(1);
    let all = blocks.map(|block| {
        let text = block.split("\n[").next().unwrap_or_default().trim();
        let field = |key: &str| {
            let found = text
                .lines()
                .filter_map(|line| line.split_once(" = "))
                .find(|(k, _)| *k == key);
            found
                .map(|(_, v)| v.trim_matches('"').to_string())
                .unwrap_or_default()
        };
        Package {
            name: field("name"),
            version: field("version"),
            source: field("source"),
            checksum: field("checksum"),
            text: text.to_string(),
        }
    });
    all.filter(|p| !p.source.is_empty()).collect()
}

/// Reports what a new lock has that the handler's own has not.
fn check(lock: &str, new: &str) -> Done {
    let own: BTreeMap<String, Package> = packages(lock).into_iter().map(|p| (p.id(), p)).collect();
    for p in packages(new) {
        match own.get(&p.id()) {
            Some(o) if o.checksum == p.checksum && o.source.split('?').next() == p.source.split('?').next() => {}
            Some(_) => return Err(format!("Cargo.lock has {} with another checksum or from another place than Cargo.toml asks for", p.id())),
            None => {
                return Err(format!(
                    "Cargo.lock is out of date: Cargo.toml asks for {}, which is not in it. Write it anew with: cargo update --workspace (or fnb lock --packages)",
                    p.id()
                ))
            }
        }
    }
    Ok(())
}

/// Reports what was in a lock and is no more, now that the server is there too.
fn kept(lock: &str, new: &str) -> Done {
    let now = packages(new);
    let ids: BTreeSet<String> = now.iter().map(Package::id).collect();
    for p in packages(lock).iter().filter(|p| !ids.contains(&p.id())) {
        let newer = now
            .iter()
            .find(|n| n.kind() == p.kind())
            .map_or("a newer one".to_string(), Package::id);
        return Err(format!(
            "Cargo.lock has {}, and the server of the template rust needs {newer} or later. Raise it with: cargo update -p {}",
            p.id(),
            p.name
        ));
    }
    Ok(())
}

/// A lock with what another one has beyond it. Cargo takes versions from it, and drops
/// what nothing needs.
fn join(lock: &str, more: &str) -> String {
    let kinds: BTreeSet<String> = packages(lock).iter().map(Package::kind).collect();
    let mut out = if lock.is_empty() {
        "version = 4\n".to_string()
    } else {
        lock.trim_end().to_string() + "\n"
    };
    for p in packages(more).iter().filter(|p| !kinds.contains(&p.kind())) {
        out += &format!("\n[[package]]\n{}\n", p.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = 'my-function' # its name
default-run = "tool"
build = "make.rs"

[lib]
path = "handler.rs"

[[bin]]
name = "tool"
path = "tool.rs"

[dependencies]
http = "1"
a = { path = "../a", features = ["x"] }

[[test]]
name = "slow"
path = "slow.rs"

[dev-dependencies]
b = "2"
"#;

    #[test]
    fn values() {
        for (table, key, want) in [
            ("package", "name", Some("my-function")),
            ("package", "build", Some("make.rs")),
            ("package", "path", None),
            ("lib", "path", Some("handler.rs")),
            ("dependencies", "http", Some("1")),
            ("dependencies", "a", None),
        ] {
            assert_eq!(
                value(MANIFEST, table, key).as_deref(),
                want,
                "{table}.{key}"
            );
        }
        assert_eq!(library("[package]\nname = \"a\"\n"), "src/lib.rs");
    }

    #[test]
    fn targets() {
        let got = without_targets(MANIFEST);
        for kept in [
            "my-function",
            "make.rs",
            "handler.rs",
            "http",
            "../a",
            "b = \"2\"",
        ] {
            assert!(got.contains(kept), "{kept} is not in {got}");
        }
        for left_out in ["bin", "tool", "slow"] {
            assert!(!got.contains(left_out), "{left_out} is in {got}");
        }
    }

    #[test]
    fn members() {
        let got = members_that_are_there(
            "[workspace]\ndefault-members = [\"gone\"]\nmembers = [\n  \"gone\", # a note\n  'apps/*',\n]\nresolver = \"2\"\n",
        );
        assert_eq!(
            got,
            "[workspace]\ndefault-members = []\nmembers = [\"apps/*\"]\nresolver = \"2\"\n"
        );
        assert_eq!(members_that_are_there(MANIFEST), MANIFEST);
    }

    fn lock(packages: &[(&str, &str, &str)]) -> String {
        let mut text =
            "version = 4\n\n[[package]]\nname = \"function\"\nversion = \"0.1.0\"\n".to_string();
        for (name, version, checksum) in packages {
            text += &format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+https://example.com\"\nchecksum = \"{checksum}\"\n"
            );
        }
        text
    }

    #[test]
    fn locks() {
        let own = lock(&[("a", "1.0.0", "aa"), ("b", "0.2.1", "bb")]);
        assert_eq!(check(&own, &lock(&[("a", "1.0.0", "aa")])), Ok(()));
        let out_of_date = check(&own, &lock(&[("a", "1.0.1", "aa")])).unwrap_err();
        assert!(
            out_of_date.contains("a 1.0.1, which is not in it"),
            "{out_of_date}"
        );
        let other = check(&own, &lock(&[("a", "1.0.0", "xx")])).unwrap_err();
        assert!(other.contains("another checksum"), "{other}");
        assert!(check("", &own).is_err());

        assert_eq!(
            kept(&own, &(own.clone() + &lock(&[("c", "1.0.0", "cc")]))),
            Ok(())
        );
        let raised = kept(&own, &lock(&[("a", "1.2.0", "ee"), ("b", "0.2.1", "bb")])).unwrap_err();
        assert!(
            raised.contains("needs a 1.2.0 or later") && raised.contains("-p a"),
            "{raised}"
        );
    }

    #[test]
    fn joined() {
        let own = lock(&[("a", "1.0.0", "aa"), ("b", "0.2.1", "bb")]);
        let more = lock(&[
            ("a", "1.9.0", "ee"),
            ("b", "0.3.0", "ff"),
            ("c", "1.0.0", "cc"),
        ]);
        let got: Vec<String> = packages(&join(&own, &more))
            .iter()
            .map(Package::id)
            .collect();
        assert_eq!(got, ["a 1.0.0", "b 0.2.1", "b 0.3.0", "c 1.0.0"]);
        assert_eq!(packages(&join("", &more)).len(), 3);
    }
}
