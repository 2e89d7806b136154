//! What a path says about a file: whether it is a test, documentation, or something nobody reviews line by line.

/// What kind of place a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Tests and what they read.
    pub test: bool,
    /// Data that tests read: fixtures, recorded answers.
    pub fixture: bool,
    /// Documentation, by its folder or because it is prose.
    pub docs: bool,
    /// Prose, by its extension.
    pub prose: bool,
    /// Examples, samples, templates of settings.
    pub example: bool,
}

/// Why a file is left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// Written by a package manager.
    Lock,
    /// Somebody else's code.
    Vendored,
    /// Written by a program.
    Generated,
    /// Packed for browsers.
    Minified,
}

const LOCKS: [&str; 30] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "poetry.lock",
    "pipfile.lock",
    "uv.lock",
    "pdm.lock",
    "pixi.lock",
    "gemfile.lock",
    "composer.lock",
    "go.sum",
    "go.work.sum",
    "flake.lock",
    "mix.lock",
    "pubspec.lock",
    "podfile.lock",
    "cartfile.resolved",
    "package.resolved",
    "packages.lock.json",
    "paket.lock",
    "gradle.lockfile",
    "conan.lock",
    "chart.lock",
    ".terraform.lock.hcl",
    "module.bazel.lock",
];

const VENDORED: [&str; 8] =
    ["vendor", "vendored", "_vendor", "node_modules", "third_party", "third-party", "bower_components", "godeps"];

const GENERATED: [&str; 12] = [
    ".pb.go",
    ".pb.gw.go",
    "_pb2.py",
    "_pb2_grpc.py",
    "_pb2.pyi",
    ".pb.cc",
    ".pb.h",
    ".g.dart",
    ".freezed.dart",
    ".designer.cs",
    ".g.cs",
    "_generated.go",
];

const MINIFIED: [&str; 6] = [".min.js", ".min.mjs", ".min.css", ".js.map", ".mjs.map", ".css.map"];

/// A line of code this long was not written by hand.
const LONG: usize = 500;

/// How far down a file's "generated" notice may stand.
const NOTICE: u32 = 40;

impl Place {
    /// Reads a path, without regard to case.
    pub fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let within = |names: &[&str]| folders.split('/').any(|folder| names.contains(&folder));
        let stem = name.split('.').next().unwrap_or(name);

        let fixture =
            within(&["fixtures", "fixture", "__fixtures__", "testdata", "test-data", "test_data", "__snapshots__"]);
        let test = fixture
            || within(&["test", "tests", "__tests__", "spec", "specs", "e2e", "cypress", "__mocks__", "testing"])
            || [".test.", ".spec.", ".cy.", ".e2e."].iter().any(|mark| name.contains(mark))
            || ["_test", "_tests", "_spec", "test_", "tests", "conftest"].iter().any(|mark| {
                match mark.strip_suffix('_') {
                    Some(_) => stem.starts_with(mark),
                    None if mark.starts_with('_') => stem.ends_with(mark),
                    None => stem == *mark,
                }
            })
            || (stem.ends_with("test") || stem.ends_with("tests"))
                && matches!(extension(&path).as_str(), "java" | "kt" | "cs" | "swift" | "scala" | "php");
        let prose =
            matches!(extension(&path).as_str(), "md" | "mdx" | "markdown" | "rst" | "adoc" | "asciidoc" | "txt");
        let example = within(&["example", "examples", "sample", "samples", "demo", "demos"])
            || [".example", ".sample", ".template", ".dist"].iter().any(|mark| name.contains(mark));
        Self { test, fixture, docs: prose || within(&["doc", "docs", "documentation"]), prose, example }
    }
}

/// A path's extension in lower case, empty if it has none.
pub fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a path alone says that nobody reads this file line by line.
pub fn left_out(path: &str) -> Option<Left> {
    let path = path.to_ascii_lowercase();
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let ends = |marks: &[&str]| marks.iter().any(|mark| name.ends_with(mark));
    if LOCKS.contains(&name) {
        Some(Left::Lock)
    } else if folders.split('/').any(|folder| VENDORED.contains(&folder)) {
        Some(Left::Vendored)
    } else if ends(&GENERATED) {
        Some(Left::Generated)
    } else if ends(&MINIFIED) {
        Some(Left::Minified)
    } else {
        None
    }
}

/// Whether the text of a change says so.
pub fn left_out_by_text(path: &str, patch: &crate::domain::diff::Patch<'_>) -> Option<Left> {
    let head = patch.hunks.iter().flat_map(|hunk| hunk.head());
    if head.take_while(|(number, _)| *number <= NOTICE).any(|(_, line)| is_notice(line.text)) {
        return Some(Left::Generated);
    }
    // Only what browsers load is ever packed; elsewhere a long line is prose, data, or a key that must be seen.
    let packed = matches!(extension(path).as_str(), "js" | "mjs" | "cjs" | "css");
    let long = |text: &str| text.len() > LONG && text.chars().count() > LONG && !text.contains("-----BEGIN ");
    (packed && patch.added().any(|line| long(line.text))).then_some(Left::Minified)
}

/// `// Code generated by x. DO NOT EDIT.` or `@generated`, in a comment of any language.
fn is_notice(text: &str) -> bool {
    let text = text.trim_start();
    let comment =
        ["//", "#", "/*", "*", "--", ";", "<!--", "%", "\"\"\""].iter().find_map(|mark| text.strip_prefix(mark));
    comment.is_some_and(|text| {
        let generated = text.find("Code generated").is_some_and(|at| text[at..].contains("DO NOT EDIT"));
        generated || text.trim_start_matches(['/', '*', '!', ' ']).starts_with("@generated")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{domain::diff::Patch, review::rules::testing::adding};

    #[test]
    fn tests_are_known_by_folder_and_by_name() {
        for path in [
            "tests/it/main.rs",
            "src/__tests__/a.js",
            "a/b.test.ts",
            "b.spec.tsx",
            "pkg/a_test.go",
            "spec/models/user_spec.rb",
            "test_api.py",
            "pkg/conftest.py",
            "src/review/tests.rs",
            "src/UserTest.java",
            "cypress/a.cy.js",
            "testdata/key.pem",
        ] {
            assert!(Place::of(path).test, "{path}");
        }
        for path in ["src/latest.rs", "src/contest.py", "attest/a.go", "src/testimony.js", "protest.ts", "src/test"] {
            assert!(!Place::of(path).test, "{path}");
        }
        assert!(Place::of("test/fixtures/a.json").fixture);
    }

    #[test]
    fn documentation_and_examples_are_known() {
        assert!(Place::of("README.md").prose && Place::of("docs/conf.py").docs && !Place::of("docs/conf.py").prose);
        assert!(Place::of("examples/a.rs").example && Place::of(".env.example").example);
        assert_eq!(Place::of("src/main.rs"), Place::default());
    }

    #[test]
    fn what_nobody_reads_is_left_out_by_its_path() {
        for (path, expected) in [
            ("Cargo.lock", Some(Left::Lock)),
            ("web/package-lock.json", Some(Left::Lock)),
            ("vendor/github.com/x/y.go", Some(Left::Vendored)),
            ("web/node_modules/x/index.js", Some(Left::Vendored)),
            ("api/v1/api.pb.go", Some(Left::Generated)),
            ("static/app.min.js", Some(Left::Minified)),
            ("src/vendor.rs", None),
            ("src/lock.rs", None),
            ("package.json", None),
            ("src/api.min.rs", None),
        ] {
            assert_eq!(left_out(path), expected, "{path}");
        }
    }

    fn by_text(path: &str, text: &str) -> Option<Left> {
        let text = adding(text);
        left_out_by_text(path, &Patch::parse(&text).unwrap())
    }

    #[test]
    fn a_generated_notice_counts_in_a_comment_near_the_top() {
        assert_eq!(by_text("a.go", "// Code generated by stringer. DO NOT EDIT.\npackage a"), Some(Left::Generated));
        assert_eq!(by_text("a.js", "/**\n * @generated SignedSource\n */"), Some(Left::Generated));
        assert_eq!(by_text("a.py", "# Code generated by x; DO NOT EDIT"), Some(Left::Generated));
        assert_eq!(by_text("a.go", "var notice = \"// Code generated by x. DO NOT EDIT.\""), None);
        assert_eq!(by_text("a.go", &format!("{}// Code generated DO NOT EDIT", "x\n".repeat(40))), None);
        assert_eq!(by_text("a.md", "# How files are @generated"), None);
    }

    #[test]
    fn a_long_line_is_packed_code_only_where_code_is_packed() {
        let long = "a();".repeat(126);
        assert_eq!(by_text("dist/app.js", &long), Some(Left::Minified));
        assert_eq!(by_text("dist/app.js", &long[..500]), None);
        assert_eq!(by_text("README.md", &long), None);
        assert_eq!(by_text("src/a.rs", &long), None);
        let key = format!("const key = '{}{}'", ["-----BEGIN", " PRIVATE KEY-----"].concat(), "A".repeat(600));
        assert_eq!(by_text("key.js", &key), None, "a key on one line must be seen");
    }
}
