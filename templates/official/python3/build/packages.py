"""Installs what the function needs into its venv, by the package manager whose lock is there.

    python3 packages.py [manager|lock|test|debugger]

The manager is PACKAGE_MANAGER, and what it installs from lies in /home/app/packages. "manager" installs
the manager itself, if it is not pip, in the version and with the hashes of the .txt beside this file, into
a place of its own. "lock" makes the manager's lock in /out. "test" adds what only tests need; "debugger" installs debugpy, and nothing else."""

import json
import math
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

PACKAGES, VENV, TOOLS, CACHE = Path("/home/app/packages"), Path("/home/app/venv"), Path("/opt/tools"), Path("/root/.cache")
PYTHON = str(VENV / "bin" / "python")
PIP = ["pip", "--disable-pip-version-check", "--no-input"]
INSTALL = ["install", "--no-compile", "--root-user-action=ignore"]

# What a failed step says, and what helps.
HINTS = (
    (r"command '(?:gcc|g\+\+|cc|\S*-linux-gnu\S*-gcc)' failed: No such|Unknown compiler\(s\)|No CMAKE_C\w*_COMPILER|[Uu]nable to find .*C compiler",
     "a package must be compiled, because it has no wheel for this Python: a compiler comes with --build-option dev"),
    (r"pg_config executable not found|pg_config: not found", "PostgreSQL's client library comes with --build-option libpq"),
    (r"[Gg]it executable not found|Cannot find command 'git'|git.*(?:not found|No such file)", "git comes with --build-option git"),
)


def main(what):
    if what == "debugger":
        run([*PIP, *INSTALL, "--require-hashes", "--target", "/home/app/debugger", "-r", str(Path(__file__).with_name("debugpy.txt"))], "/")
        return
    manager = os.environ.get("PACKAGE_MANAGER") or "pip"
    if manager not in MANAGERS:
        sys.exit(f"the template python3 does not install with {manager}")
    if what == "manager":
        bring(manager)
        return
    environment(venv=what != "lock")
    if what == "lock":
        lock(manager)
        return
    MANAGERS[manager](what == "test")
    if what == "test" and (PACKAGES / "requirements-test.txt").is_file():
        run([*PIP, "--python", PYTHON, *INSTALL, "-r", "requirements-test.txt"])
    settle_editable()
    # By a process of its own, so that the same packages give the same bytes.
    subprocess.run([PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", str(VENV / "lib")], check=False)


def environment(venv):
    """Tell the managers where everything is, and that nobody answers questions."""
    os.environ.update(
        VIRTUAL_ENV=str(VENV), PATH=f"{VENV}/bin:{os.environ['PATH']}", PIP_NO_COMPILE="1", PIP_DISABLE_PIP_VERSION_CHECK="1",
        UV_PYTHON=PYTHON, UV_PROJECT_ENVIRONMENT=str(VENV), UV_PYTHON_DOWNLOADS="never", UV_LINK_MODE="copy",
        UV_NO_INSTALLER_METADATA="1", UV_NO_PROGRESS="1", UV_CACHE_DIR=str(CACHE / "uv"),
    )
    if "UV_DEFAULT_INDEX" not in os.environ and os.environ.get("PIP_INDEX_URL"):
        os.environ["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    if "UV_INDEX" not in os.environ and os.environ.get("PIP_EXTRA_INDEX_URL"):
        os.environ["UV_INDEX"] = os.environ["PIP_EXTRA_INDEX_URL"]
    os.environ.update(
        POETRY_VIRTUALENVS_CREATE="false", POETRY_CACHE_DIR=str(CACHE / "pypoetry"), POETRY_NO_INTERACTION="1", POETRY_KEYRING_ENABLED="false",
        PDM_CHECK_UPDATE="0", PDM_IGNORE_SAVED_PYTHON="1", PDM_CACHE_DIR=str(CACHE / "pdm"), PDM_NON_INTERACTIVE="1",
        PIPENV_VERBOSITY="-1", PIPENV_CACHE_DIR=str(CACHE / "pipenv"), PIPENV_NOSPIN="1", PIPENV_YES="1",
    )
    if os.environ.get("UV_DEFAULT_INDEX"):  # which poetry has no word for itself
        os.environ["POETRY_PYPI_MIRROR_URL"] = os.environ["UV_DEFAULT_INDEX"]
    if not venv:
        for name in ("VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT"):
            del os.environ[name]


def lock(manager):
    commands = {
        "uv": ["uv.lock", "lock"],
        "poetry": ["poetry.lock", "lock", "--no-ansi"],
        "pdm": ["pdm.lock", "lock"],
        "pipenv": ["Pipfile.lock", "lock"],
        "pylock": ["pylock.toml", "pip", "compile", "-q", "--universal", "--format", "pylock.toml", "-o", "pylock.toml", "pyproject.toml"],
    }
    if manager not in commands:
        sys.exit("requirements.txt has no lock: name each package with its version there, or list them in pyproject.toml, which uv makes a lock of")
    file, *arguments = commands[manager]
    command = [tool("uv" if manager == "pylock" else manager), *arguments]
    before, reviewed = os.environ.get("PUBLISHED_BEFORE"), os.environ.get("REVIEWED_PACKAGES", "").split()
    if not before:
        run(command)
    elif manager == "uv":
        lock_uv(command, before, reviewed)
    else:
        run([*command, *aged(manager, before, reviewed)])
    Path("/out").mkdir()
    (PACKAGES / file).rename(Path("/out") / file)


def lock_uv(command, before, reviewed):
    """Make uv.lock of versions that are old enough. A lock that still does stays as it is."""
    if (PACKAGES / "uv.lock").is_file() and subprocess.run([*command, "--check"], cwd=PACKAGES, capture_output=True, check=False).returncode == 0:
        return
    os.environ["UV_EXCLUDE_NEWER"] = before
    run([*command, *aged("uv", before, reviewed)])
    chosen = versions(PACKAGES / "uv.lock")
    # The time is in the lock now, and an installation without it would call the lock old.
    del os.environ["UV_EXCLUDE_NEWER"]
    run(command)
    if not versions(PACKAGES / "uv.lock") <= chosen:
        sys.exit("uv chose other versions when it was told no time: " + ", ".join(" ".join(v) for v in sorted(versions(PACKAGES / "uv.lock") - chosen)))


def versions(lock):
    """Return the packages of a uv.lock with their versions."""
    return set(re.findall(r'^name = "([^"]*)"\nversion = "([^"]*)"', lock.read_text("utf-8"), re.M))


def aged(manager, before, reviewed):
    """Tell a manager that versions must be published before a time, but those of packages that were reviewed."""
    now = datetime.fromtimestamp(int(os.environ["LOCKED_AT"]), timezone.utc)
    days = str(math.ceil((now - datetime.fromisoformat(before.replace("Z", "+00:00"))).total_seconds() / 86400))
    if manager in ("uv", "pylock"):
        os.environ["UV_EXCLUDE_NEWER"] = before
        return [f"--exclude-newer-package={name}={now:%Y-%m-%dT%H:%M:%SZ}" for name in reviewed]
    if manager == "poetry":
        os.environ.update(POETRY_SOLVER_MIN_RELEASE_AGE=days, POETRY_SOLVER_MIN_RELEASE_AGE_EXCLUDE=",".join(reviewed))
        return []
    if reviewed:
        sys.exit(f"{manager} lets no single package be younger than the policy says: make the lock with {manager} itself")
    if manager == "pdm":
        return ["--exclude-newer", before]
    pipfile = PACKAGES / "Pipfile"
    text = re.sub(r"^cool-down-period[ \t]*=.*\n?", "", pipfile.read_text("utf-8"), flags=re.M)
    setting = f'[pipenv]\ncool-down-period = "{days}d"'
    text, there = re.subn(r"^\[pipenv\][ \t]*$", setting, text, count=1, flags=re.M)
    pipfile.write_text(text if there else f"{text}\n{setting}\n", "utf-8")
    return []


def run(command, folder=PACKAGES):
    """Run a command, and end with its exit code and with what helps if it fails."""
    print("+", *command, flush=True)
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        found = []
        for line in process.stdout:
            print(line, end="", flush=True)
            found += [hint for pattern, hint in HINTS if hint not in found and re.search(pattern, line)]
    if process.returncode:
        for hint in found:
            print(f"hint: {hint}")
        sys.exit(process.returncode)


def bring(manager):
    name = {"pip": None, "pylock": "uv"}.get(manager, manager)
    if name:
        home = TOOLS / name
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
        pins = str(Path(__file__).with_name(f"{name}.txt"))
        run([*PIP, "--python", str(home / "bin" / "python"), *INSTALL, "-q", "--require-hashes", "-r", pins], "/")


def tool(name):
    return str(TOOLS / name / "bin" / name)


def has(file, pattern):
    """Return whether a file is there and a line of it matches."""
    file = Path(file)
    return file.is_file() and re.search(pattern, file.read_text("utf-8", "replace"), re.M) is not None


def pip(test):
    for file in sorted(PACKAGES.rglob("*.txt")):
        text = file.read_text("utf-8-sig", "surrogateescape")
        for number, line in enumerate(text.splitlines(), 1):
            if file.parent == PACKAGES and re.match(r"\s*((-e|--editable)[\s=]+)?(file:)?\.(\[[^\]]*\])?\s*([#;].*)?$", line):
                sys.exit(f"{file.relative_to(PACKAGES)}:{number}: {line.strip()} is the handler's own folder. Its modules can be imported without this line")
        # What is installed editable stays where it was, and that is not in the image.
        changed = re.sub(r"^(\s*)(-e|--editable)[ \t=]+", r"\1", text, flags=re.M)
        if changed != text:
            file.write_text(changed, "utf-8", "surrogateescape")
    if not test and (PACKAGES / "requirements.txt").is_file():
        run([*PIP, "--python", PYTHON, *INSTALL, "-r", "requirements.txt"])


def uv(test):
    command, folder = tool("uv"), PACKAGES / os.environ.get("WORKSPACE_MEMBER", ".")
    pyproject = folder / "pyproject.toml"
    if (PACKAGES / "uv.lock").is_file():
        run([command, "sync", "--locked", "--no-install-project", "--no-editable", *([] if test else ["--no-default-groups"])], folder)
        return
    if has(pyproject, r"^\[tool\.poetry\.dependencies\]") and not has(pyproject, r"^dependencies\s*="):
        sys.exit("pyproject.toml has dependencies that only poetry reads, and there is no poetry.lock: make it with poetry lock")
    group = ["--group", "dev"] if test and has(pyproject, r"^dev\s*=") and has(pyproject, r"^\[dependency-groups\]") else []
    run([command, "pip", "install", "--python", PYTHON, "-r", "pyproject.toml", *group], folder)


def pylock(test):
    if not test:
        run([tool("uv"), "pip", "sync", "--python", PYTHON, "--preview-features", "pylock", "pylock.toml"])


def poetry(test):
    run([tool("poetry"), "install", "--no-root", "--no-ansi", *([] if test else ["--only", "main"])])


def pdm(test):
    command = tool("pdm")
    run([command, "lock", "--check"])
    run([command, "sync", "--no-self", "--no-editable", *([] if test else ["--prod"])])


def pipenv(test):
    command = tool("pipenv")
    if (PACKAGES / "Pipfile.lock").is_file():
        run([command, "verify"])
        run([command, "sync", *(["--dev"] if test else [])])
    else:
        run([command, "install", "--skip-lock", *(["--dev"] if test else [])])


MANAGERS = {"pip": pip, "uv": uv, "pylock": pylock, "poetry": poetry, "pdm": pdm, "pipenv": pipenv}


def settle_editable():
    """Install again what a lock wants to be editable: its folder is not in the image."""
    for file in sorted(VENV.glob("lib/python*/site-packages/*.dist-info/direct_url.json")):
        origin = json.loads(file.read_text("utf-8"))
        if origin.get("dir_info", {}).get("editable"):
            run([*PIP, "--python", PYTHON, *INSTALL, "--no-deps", "--force-reinstall", unquote(urlsplit(origin["url"]).path)])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
