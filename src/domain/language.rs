//! Which programming language a file is written in, by its name alone.
//!
//! The whole file name decides first, then the longest extension that is known; file names are compared as they are,
//! extensions without regard to case, as GitHub does.

mod table;

use std::{collections::HashMap, sync::LazyLock};

use self::table::TABLE;

/// What kind of thing a language is, in linguist's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageKind {
    /// Counts in the shares of a project.
    Programming,
    /// Counts in the shares of a project (HTML, CSS, templates).
    Markup,
    /// JSON, YAML, lock files: does not count.
    Data,
    /// Text for people: does not count.
    Prose,
}

impl LanguageKind {
    /// Whether bytes of this kind count in the shares of a project, as on GitHub.
    pub fn counts(self) -> bool {
        matches!(self, Self::Programming | Self::Markup)
    }
}

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// Its name, as GitHub writes it.
    pub name: &'static str,
    /// What kind of thing it is.
    pub kind: LanguageKind,
}

/// The longest extension of the table has this many dots.
const MOST_DOTS: usize = 3;

/// The language of the file at `path`.
pub fn language(path: &str) -> Option<&'static Language> {
    let names = &*NAMES;
    let file = path.rsplit('/').next().unwrap_or(path);
    names.files.get(file).or_else(|| {
        let extensions = file.rmatch_indices('.').take(MOST_DOTS).map(|(at, _)| file[at + 1..].to_ascii_lowercase());
        extensions.filter_map(|extension| names.extensions.get(extension.as_str())).last()
    })
}

struct Names {
    files: HashMap<&'static str, Language>,
    /// Without the first dot, in lower case.
    extensions: HashMap<&'static str, Language>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names { files: HashMap::new(), extensions: HashMap::new() };
    for &(name, kind, patterns) in TABLE {
        for pattern in patterns.split_ascii_whitespace() {
            match pattern.strip_prefix("*.") {
                Some(extension) => names.extensions.insert(extension, Language { name, kind }),
                None => names.files.insert(pattern, Language { name, kind }),
            };
        }
    }
    names
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    fn name(path: &str) -> Option<&'static str> {
        language(path).map(|language| language.name)
    }

    #[test]
    fn names_are_as_github_writes_them() {
        for (path, expected) in [
            ("src/main.rs", "Rust"),
            ("a.ts", "TypeScript"),
            ("App.tsx", "TSX"),
            ("App.jsx", "JavaScript"),
            ("x.mjs", "JavaScript"),
            ("App.vue", "Vue"),
            ("pkg/main.go", "Go"),
            ("Main.java", "Java"),
            ("build.gradle", "Gradle"),
            ("build.gradle.kts", "Gradle Kotlin DSL"),
            ("script.kts", "Kotlin"),
            ("a.cs", "C#"),
            ("a.fs", "F#"),
            ("a.cc", "C++"),
            ("a.h", "C"),
            ("a.m", "Objective-C"),
            ("view.blade.php", "Blade"),
            ("index.html.erb", "HTML+ERB"),
            ("main.tf", "HCL"),
            ("run.sh", "Shell"),
            ("x.ipynb", "Jupyter Notebook"),
            ("docs/README.rst", "reStructuredText"),
            ("a.proto", "Protocol Buffer"),
            ("a.vim", "Vim script"),
            ("a.ps1", "PowerShell"),
        ] {
            assert_eq!(name(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_whole_file_name_decides_before_the_extension_does() {
        for (path, expected) in [
            ("Dockerfile", "Dockerfile"),
            ("deploy/api.Dockerfile", "Dockerfile"),
            ("Makefile", "Makefile"),
            ("CMakeLists.txt", "CMake"),
            ("notes.txt", "Text"),
            ("Gemfile", "Ruby"),
            ("Rakefile", "Ruby"),
            ("go.mod", "Go Module"),
            ("go.sum", "Go Checksums"),
            ("Jenkinsfile", "Groovy"),
            ("Cargo.lock", "TOML"),
            ("yarn.lock", "YAML"),
            ("composer.lock", "JSON"),
            ("tsconfig.json", "JSON with Comments"),
            ("package.json", "JSON"),
            ("pom.xml", "Maven POM"),
            (".gitignore", "Ignore List"),
            ("BUILD.bazel", "Starlark"),
        ] {
            assert_eq!(name(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn extensions_may_be_written_in_any_case_and_file_names_may_not() {
        assert_eq!(name("MAIN.RS"), Some("Rust"));
        assert_eq!(name("plot.R"), Some("R"));
        assert_eq!(name("dockerfile"), None);
        assert_eq!(name("CMAKELISTS.TXT"), Some("Text"));
    }

    #[test]
    fn names_that_say_nothing_are_of_no_language() {
        for path in
            ["", "/", ".", "..", "a/", "LICENSE-MIT.", "rs", ".rs.", "a.unheard", "no/extension", "ä.ü", "x.rs/y"]
        {
            assert_eq!(name(path), None, "{path:?}");
        }
        assert_eq!(name(&"a.".repeat(100_000)), None);
    }

    #[test]
    fn each_name_stands_in_the_table_once_and_fits_it() {
        let (mut languages, mut patterns) = (HashSet::new(), HashSet::new());
        for &(name, _, list) in TABLE {
            assert!(languages.insert(name), "{name} twice");
            assert!(!list.is_empty(), "{name} has no files");
            for pattern in list.split_ascii_whitespace() {
                assert!(patterns.insert(pattern), "{pattern} twice");
                let Some(extension) = pattern.strip_prefix("*.") else { continue };
                assert_eq!(extension, extension.to_ascii_lowercase(), "{name}");
                assert!(extension.split('.').count() <= MOST_DOTS, "{name}: {extension}");
            }
        }
        assert!(languages.len() >= 150, "{}", languages.len());
    }

    #[test]
    fn only_code_and_markup_count() {
        let counts = |path| language(path).unwrap().kind.counts();
        assert!(counts("a.rs") && counts("a.css"));
        assert!(!counts("a.json") && !counts("a.md"));
    }
}
