//! What a command is for, told from its words.

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Build,
    Test,
    Lint,
}

use Purpose::{Build, Lint, Test};

/// Tools that only ever do one thing.
const TOOLS: &[(&str, Purpose)] = &[
    ("pytest", Test),
    ("py.test", Test),
    ("unittest", Test),
    ("tox", Test),
    ("nox", Test),
    ("jest", Test),
    ("vitest", Test),
    ("mocha", Test),
    ("ava", Test),
    ("rspec", Test),
    ("cucumber", Test),
    ("minitest", Test),
    ("phpunit", Test),
    ("simple-phpunit", Test),
    ("pest", Test),
    ("ctest", Test),
    ("gotestsum", Test),
    ("behave", Test),
    ("eslint", Lint),
    ("prettier", Lint),
    ("stylelint", Lint),
    ("biome", Lint),
    ("ruff", Lint),
    ("black", Lint),
    ("isort", Lint),
    ("flake8", Lint),
    ("mypy", Lint),
    ("pyright", Lint),
    ("pylint", Lint),
    ("golangci-lint", Lint),
    ("staticcheck", Lint),
    ("gofmt", Lint),
    ("gofumpt", Lint),
    ("rubocop", Lint),
    ("standardrb", Lint),
    ("brakeman", Lint),
    ("phpstan", Lint),
    ("phpcs", Lint),
    ("psalm", Lint),
    ("pint", Lint),
    ("php-cs-fixer", Lint),
    ("clang-format", Lint),
    ("clang-tidy", Lint),
    ("cppcheck", Lint),
    ("ktlint", Lint),
    ("detekt", Lint),
    ("pre-commit", Lint),
    ("shellcheck", Lint),
    ("hadolint", Lint),
    ("actionlint", Lint),
    ("yamllint", Lint),
    ("markdownlint", Lint),
    ("rustfmt", Lint),
    ("vue-tsc", Lint),
    ("svelte-check", Lint),
    ("ninja", Build),
    ("webpack", Build),
    ("rollup", Build),
    ("tsup", Build),
];

/// Tools whose first word says what they do.
const VERBS: &[(&str, &[(&str, Purpose)])] = &[
    (
        "cargo",
        &[
            ("test", Test),
            ("t", Test),
            ("nextest", Test),
            ("llvm-cov", Test),
            ("clippy", Lint),
            ("fmt", Lint),
            ("deny", Lint),
            ("audit", Lint),
            ("machete", Lint),
            ("check", Build),
            ("build", Build),
            ("b", Build),
        ],
    ),
    ("go", &[("test", Test), ("vet", Lint), ("fmt", Lint), ("build", Build)]),
    ("dotnet", &[("test", Test), ("format", Lint), ("build", Build), ("publish", Build), ("pack", Build)]),
    ("playwright", &[("test", Test)]),
    ("cypress", &[("run", Test)]),
    ("ng", &[("test", Test), ("lint", Lint), ("build", Build)]),
    ("next", &[("build", Build), ("lint", Lint)]),
    ("nuxt", &[("build", Build)]),
    ("vite", &[("build", Build)]),
    ("tsc", &[("--noEmit", Lint), ("-b", Build), ("-p", Build), ("--build", Build)]),
    ("rails", &[("test", Test), ("spec", Test)]),
    ("manage.py", &[("test", Test), ("check", Lint)]),
    ("artisan", &[("test", Test)]),
    ("bin/console", &[("lint:container", Lint)]),
    ("cmake", &[("--build", Build), ("-B", Build), ("-S", Build)]),
    ("meson", &[("test", Test), ("compile", Build), ("setup", Build)]),
    ("swift", &[("test", Test), ("build", Build)]),
    ("flutter", &[("test", Test), ("analyze", Lint), ("build", Build)]),
    ("dart", &[("test", Test), ("analyze", Lint), ("format", Lint)]),
    ("mix", &[("test", Test), ("credo", Lint), ("format", Lint), ("compile", Build)]),
    ("deno", &[("test", Test), ("lint", Lint), ("fmt", Lint), ("check", Lint)]),
    ("python", &[("build", Build)]),
    ("poetry", &[("build", Build), ("check", Lint)]),
    ("uv", &[("build", Build)]),
    ("hatch", &[("build", Build), ("test", Test), ("fmt", Lint)]),
    ("bazel", &[("test", Test), ("build", Build)]),
    ("docker", &[]),
];

/// What a command is for, if it builds, tests or lints; none for everything else, and for what keeps secrets in its words.
pub(super) fn purpose(command: &str) -> Option<Purpose> {
    // Chained commands are for what the first telling one is for.
    command.split("&&").find_map(one)
}

fn one(command: &str) -> Option<Purpose> {
    let words = words(command);
    let (tool, rest) = words.split_first()?;
    let mut verbs = rest.iter().filter(|word| !word.starts_with(['-', '+']));
    match *tool {
        "npm" | "pnpm" | "yarn" | "bun" => by_name(script(rest)?),
        "turbo" | "lerna" | "nx" | "wireit" | "just" | "task" | "rake" | "composer" | "mage" | "invoke"
        | "npm-run-all" => verbs.find_map(|word| by_name(word)),
        "make" | "gmake" | "mingw32-make" => {
            let targets: Vec<_> = verbs.filter(|word| !word.contains('=') && !is_number(word)).collect();
            match targets.first() {
                None => Some(Build),
                Some(&&"all") => Some(Build),
                Some(&&"check") => Some(Test),
                Some(_) => targets.iter().find_map(|word| by_name(word)),
            }
        }
        "mvn" | "mvnw" | "gradle" | "gradlew" => goals(verbs.copied()),
        "php" | "ruby" => one(&rest.join(" ")),
        "tsc" => Some(verb("tsc", rest.iter().copied()).unwrap_or(Build)),
        tool => TOOLS
            .iter()
            .find(|(name, _)| *name == tool)
            .map(|(_, purpose)| *purpose)
            .or_else(|| {
                verb(tool, rest.iter().copied().filter(|word| tool == "cmake" || !word.starts_with(['-', '+'])))
            })
            .filter(|_| !rest.iter().any(|word| matches!(*word, "install" | "--version" | "--help"))),
    }
}

fn verb<'w>(tool: &str, mut words: impl Iterator<Item = &'w str>) -> Option<Purpose> {
    let (_, verbs) = VERBS.iter().find(|(name, _)| *name == tool)?;
    let mut first = words.next()?;
    if tool == "tsc" || tool == "cmake" {
        first = std::iter::once(first).chain(words).find(|word| verbs.iter().any(|(verb, _)| verb == word))?;
    }
    verbs.iter().find(|(verb, _)| *verb == first).map(|(_, purpose)| *purpose)
}

/// What the goals of Maven or the tasks of Gradle are for.
fn goals<'w>(goals: impl Iterator<Item = &'w str>) -> Option<Purpose> {
    // `:app:test` is the task of a module, `spotless:check` the goal of a plugin: each part may tell.
    let goals: Vec<_> = goals.flat_map(|goal| goal.split(':')).map(str::to_ascii_lowercase).collect();
    let any = |is: &dyn Fn(&str) -> bool| goals.iter().any(|goal| is(goal));
    if any(&|goal| {
        ["lint", "checkstyle", "spotless", "detekt", "ktlint", "spotbugs", "pmd"]
            .iter()
            .any(|word| goal.starts_with(word))
    }) {
        Some(Lint)
    } else if any(&|goal| goal == "check" || goal == "verify" || goal.ends_with("test")) {
        Some(Test)
    } else if any(&|goal| {
        goal.starts_with("assemble") || ["build", "package", "install", "compile", "jar"].contains(&goal)
    }) {
        Some(Build)
    } else {
        None
    }
}

/// What a script or target of this name is for.
pub(super) fn by_name(name: &str) -> Option<Purpose> {
    let name = name.to_ascii_lowercase();
    let parts: Vec<_> = name.split([':', '-', '_', '.', '/']).collect();
    let any = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    if any(&[
        "watch", "dev", "serve", "start", "fix", "clean", "deploy", "publish", "update", "install", "docker", "pre",
        "post", "ui",
    ]) {
        None
    } else if any(&[
        "lint",
        "linter",
        "fmt",
        "format",
        "typecheck",
        "types",
        "style",
        "clippy",
        "eslint",
        "prettier",
        "stylelint",
        "vet",
        "cs",
        "phpstan",
        "psalm",
        "rubocop",
        "ruff",
        "mypy",
        "analyse",
        "analyze",
        "check",
    ]) {
        Some(Lint)
    } else if any(&[
        "test",
        "tests",
        "spec",
        "specs",
        "e2e",
        "unit",
        "integration",
        "jest",
        "vitest",
        "pytest",
        "phpunit",
        "coverage",
    ]) {
        Some(Test)
    } else if any(&["build", "compile", "bundle", "dist", "package"]) {
        Some(Build)
    } else {
        None
    }
}

/// The script that a JavaScript package manager is told to run.
fn script<'w>(words: &[&'w str]) -> Option<&'w str> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--filter" | "-F" | "--prefix" | "-w" | "--workspace" | "-C" | "--cwd" | "--dir" => {
                words.next();
            }
            "run" | "run-script" | "workspaces" | "foreach" | "exec" => {}
            "workspace" => {
                words.next();
            }
            "t" | "tst" => return Some("test"),
            "install" | "ci" | "i" | "add" | "publish" | "pack" | "audit" | "dlx" | "global" | "config" => return None,
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
    None
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The words of a command, from its tool on: without variables and without what only starts the tool.
pub(super) fn words(command: &str) -> Vec<&str> {
    let mut words: Vec<&str> = command.split_ascii_whitespace().take(40).collect();
    loop {
        let skip = match words.as_slice() {
            [] => break,
            ["uv" | "poetry" | "pdm" | "pipenv" | "hatch" | "rye" | "pixi", "run", ..] => 2,
            ["bundle" | "pnpm" | "yarn" | "npm", "exec", ..] | ["python" | "python3", "-m", ..] => 2,
            ["yarn" | "pnpm", "dlx", ..] => 2,
            [
                "sudo" | "time" | "env" | "npx" | "bunx" | "xvfb-run" | "exec" | "cross-env" | "nice" | "then" | "--",
                ..,
            ] => 1,
            [first, ..] if first.starts_with('-') => 1,
            [first, ..] if first.contains('=') && !first.starts_with(['"', '\'']) => 1,
            ["python" | "python3", script, ..] if script.ends_with("manage.py") => 1,
            ["php", tool, ..] if !tool.starts_with('-') => 1,
            _ => break,
        };
        words.drain(..skip);
    }
    if let Some(tool) = words.first_mut() {
        let name = tool.rsplit('/').next().unwrap_or(tool);
        *tool = name.strip_suffix(".cmd").or(name.strip_suffix(".bat")).unwrap_or(name);
    }
    words
}

/// The commands of a shell script, one a line, without comments; lines that a backslash joins are one.
pub(super) fn lines(script: &str) -> Vec<String> {
    let joined = script.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines = lines.filter(|line| !line.contains("secrets.") && !line.to_ascii_lowercase().contains("token="));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
#[path = "commands/tests.rs"]
mod tests;
