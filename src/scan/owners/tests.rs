//! Who owns what, by tables.

use super::*;

/// Whether a lone rule covers a path.
fn covers(pattern: &str, path: &str) -> bool {
    Owners::parse(&format!("{pattern} @someone")).of(path) == ["someone"]
}

#[test]
fn patterns_cover_what_github_says_they_cover() {
    for (pattern, yes, no) in [
        ("*", &["a", "a/b/c.rs", ".github/x.yml"][..], &[][..]),
        ("*.js", &["a.js", "src/deep/b.js", "x.js/inside.txt"], &["a.jsx", "js", "a.JS"]),
        ("/build/logs/", &["build/logs/a", "build/logs/b/c"], &["build/logs", "x/build/logs/a"]),
        ("docs/*", &["docs/getting-started.md"], &["docs/build-app/troubleshooting.md", "x/docs/a.md"]),
        ("/docs/*", &["docs/a"], &["docs/b/c", "x/docs/a"]),
        ("docs/*.md", &["docs/a.md"], &["docs/b/c.md", "docs/a.txt"]),
        ("apps/", &["apps/a", "apps/b/c", "x/y/apps/z"], &["apps", "xapps/a"]),
        ("/docs/", &["docs/a", "docs/b/c"], &["x/docs/a"]),
        ("/scripts/", &["scripts/run.sh"], &["old/scripts/run.sh"]),
        ("**/logs", &["logs", "build/logs/a", "a/b/logs/c/d", "logs/x"], &["mylogs/a"]),
        ("/apps/github", &["apps/github", "apps/github/a/b"], &["apps/githubs", "x/apps/github"]),
        ("apps/github", &["apps/github/a"], &["x/apps/github/a"]),
        ("/apps", &["apps/a", "apps"], &["x/apps/a"]),
        ("Makefile", &["Makefile", "a/Makefile", "Makefile/b"], &["makefile", "Makefile.am"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "b/a/c"]),
        ("a/**/", &["a/b", "a/b/c"], &["a", "b/a/c"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["a/bb", "x/a/b"]),
        ("a/**/**/b", &["a/b", "a/x/y/b"], &["ab"]),
        ("**", &["a", "a/b"], &[]),
        ("/**", &["a", "a/b"], &[]),
        ("**/*.rs", &["a.rs", "b/c.rs"], &["a.rsx"]),
        ("src/**.rs", &["src/a.rs"], &["src/b/a.rs"]),
        ("src/*/api/", &["src/a/api/x"], &["src/a/b/api/x", "src/api/x"]),
        ("/*", &["README.md"], &["src/a"]),
        ("/*/", &["src/a", "src/a/b"], &["README.md"]),
        ("file?.txt", &["file1.txt", "x/fileb.txt"], &["file.txt", "file12.txt", "file/.txt"]),
        (r"with\ space.txt", &["with space.txt"], &["with"]),
        (r"a\*b", &["a*b"], &["axb"]),
        ("{a,b}.rs", &["{a,b}.rs"], &["a.rs"]),
        ("ünï/*", &["ünï/ö"], &["uni/o"]),
        (".github/", &[".github/CODEOWNERS"], &["github/x"]),
        ("#", &[], &["#"]),
    ] {
        for path in yes {
            assert!(covers(pattern, path), "{pattern} should cover {path}");
        }
        for path in no {
            assert!(!covers(pattern, path), "{pattern} should not cover {path}");
        }
    }
}

#[test]
fn what_github_does_not_support_is_skipped() {
    for (line, path) in [
        ("!a.rs @x", "a.rs"),
        ("[ab].rs @x", "a.rs"),
        ("[ab].rs @x", "[ab].rs"),
        (r"\#a @x", "#a"),
        ("a.rs @x nonsense", "a.rs"),
        ("a.rs @", "a.rs"),
        ("a.rs @x/y/z", "a.rs"),
        ("a.rs @x/", "a.rs"),
        ("a.rs me@", "a.rs"),
        (r"a.rs\", r"a.rs"),
        ("/ @x", "a.rs"),
        ("a//b @x", "a/b"),
    ] {
        let file = format!("* @before\n{line}\n");
        assert_eq!(Owners::parse(&file).of(path), ["before"], "{line}");
    }
}

const FILE: &str = "\u{feff}# Everybody
*       @global-one  @octo-org/everyone # with a reason
*.js    @js-owner
*.go    docs@example.com
/build/logs/ @doctocat\r
docs/   @writer me@example.com
/apps/  @octocat
/apps/github
\t/indented @tab\t@tab
";

#[test]
fn the_last_line_that_matches_decides() {
    let owners = Owners::parse(FILE);
    for (path, expected) in [
        ("README.md", &["global-one", "octo-org/everyone"][..]),
        ("src/a.js", &["js-owner"]),
        ("main.go", &[]),
        ("build/logs/a.js", &["doctocat"]),
        ("x/docs/a.js", &["writer"]),
        ("apps/a.js", &["octocat"]),
        ("apps/github/a.js", &[]),
        ("indented", &["tab"]),
    ] {
        assert_eq!(owners.of(path), expected, "{path}");
    }
}

#[test]
fn an_empty_file_owns_nothing() {
    for text in ["", "\n\n", "# only words", "\u{feff}", "   ", "\\", "\\ "] {
        assert_eq!(Owners::parse(text).of("a"), [""; 0], "{text:?}");
    }
}

#[test]
fn a_file_that_is_too_large_is_ignored_as_a_whole() {
    let long = format!("* @a\n# {}", "x".repeat(MAX_FILE));
    assert!(Owners::parse(&long).of("a").is_empty());
    let many = "* @a\n".repeat(MAX_RULES + 1);
    assert!(Owners::parse(&many).of("a").is_empty());
    assert_eq!(Owners::parse(&many[5..]).of("a"), ["a"]);
}

#[test]
fn ten_thousand_rules_are_compiled_once_and_the_last_still_decides() {
    let rules: String = (0..MAX_RULES).map(|n| format!("/apps/*/module{n}/**/*.rs @owner-{n}\n")).collect();
    let owners = Owners::parse(&rules);
    assert_eq!(owners.of("apps/web/module9999/a/b.rs"), ["owner-9999"]);
    assert_eq!(owners.of("apps/web/module0/b.rs"), ["owner-0"]);
    assert!(owners.of("apps/web/b.rs").is_empty());
}

#[test]
fn a_file_whose_patterns_cost_too_much_together_is_ignored_as_a_whole() {
    let line = |n: usize| format!("{}x{n} @x\n", "*a".repeat(MAX_WILDCARDS));
    let fits = MAX_COST / cost(&line(1_000));
    let owners = |lines: usize| Owners::parse(&(1_000..1_000 + lines).map(line).collect::<String>());
    assert_eq!(owners(fits).rules.len(), fits);
    assert_eq!(owners(fits + 1).rules.len(), 0);
    let words = "# a comment, however long, costs nothing\n".repeat(60_000);
    assert_eq!(Owners::parse(&format!("{words}* @a")).of("a"), ["a"]);
}

#[test]
fn hostile_patterns_are_bounded() {
    let (few, many) = (MAX_WILDCARDS, MAX_PATTERN);
    for (piece, longest) in [("*a", few), ("**/a/", few / 2), ("?", few), ("{,", many / 2), ("a\\ ", many / 3)] {
        let line = format!("{}x @x\n", piece.repeat(longest - 1));
        let owners = Owners::parse(&line.repeat(200));
        assert_eq!(owners.rules.len(), 200, "{piece}");
        assert!(owners.of(&"a/".repeat(2_000)).is_empty() && owners.of(&"a".repeat(4_000)).is_empty());
        let longer = format!("{}x @x\n", piece.repeat(longest + 1));
        assert_eq!(Owners::parse(&longer).rules.len(), 0, "{piece}");
    }
}
