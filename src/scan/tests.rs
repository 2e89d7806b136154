//! Whole projects, as they are stored in `fixtures/scan`.
#![allow(clippy::unwrap_used)]

mod expected;

use super::*;

fn fixture(name: &str) -> String {
    let path = format!("{}/fixtures/scan/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

const NAMES: [&str; 10] = ["rust", "python", "javascript", "go", "jvm", "ruby", "php", "dotnet", "cpp", "monorepo"];

/// What of a profile matters, a line each (a long list has a line for each entry); what there is none of is left out.
fn told(name: &str) -> String {
    let profile = analyse(&reading(&fixture(name)));
    let languages = profile.languages.iter().map(|it| format!("{} {:.0}%", it.language, it.share * 100.0));
    let package = |it: &crate::domain::profile::Package| {
        format!("{} {} ({})", it.path, it.name.as_deref().unwrap_or("?"), it.ecosystem).trim_start().to_owned()
    };
    let lines = [
        ("languages", languages.collect()),
        ("frameworks", profile.frameworks),
        ("managers", profile.package_managers),
        ("build", profile.commands.build),
        ("test", profile.commands.test),
        ("lint", profile.commands.lint),
        ("ci", profile.ci),
        ("entries", profile.entry_points),
        ("layout", profile.layout),
        ("conventions", profile.conventions),
        ("packages", profile.packages.iter().map(package).collect()),
        ("owners", profile.code_owners.into_iter().map(|text| text.trim().to_owned()).collect()),
        ("troubles", profile.troubles),
    ];
    let lines = lines.into_iter().filter(|(_, list)| !list.is_empty());
    lines
        .map(|(name, list): (_, Vec<String>)| match list.join("; ") {
            line if line.len() <= 90 => format!("{name}: {line}\n"),
            _ => format!("{name}:\n  {}\n", list.join("\n  ")),
        })
        .collect()
}

#[test]
fn garbage_and_half_projects_are_read_without_panic() {
    for name in NAMES {
        let whole = fixture(name);
        for end in (0..whole.len()).step_by(23).filter(|end| whole.is_char_boundary(*end)) {
            analyse(&reading(&whole[..end]));
        }
        let paths: Vec<String> = reading(&whole).texts.into_iter().map(|(path, _)| path).collect();
        let mut state = 7_u64;
        for _ in 0..40 {
            let texts = paths.iter().map(|path| (path.clone(), garbage(&mut state))).collect();
            let tree = paths.iter().map(|path| ScanFile { path: path.clone(), size: 100 }).collect();
            analyse(&Reading { tree, texts, ..reading("") });
        }
    }
}

/// Characters that mean something to some parser, the same ones each time.
fn garbage(state: &mut u64) -> String {
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    };
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        "=",
        "\n",
        " ",
        "\t",
        "<",
        ">",
        "/",
        "\\",
        "&a ",
        "*a",
        "- ",
        "# ",
        "name",
        "run: ",
        "require (",
        ")",
        "project(",
        "include(",
        "é",
        "\0",
        "\u{202e}",
        "[project]\n",
        "<a>",
        "FROM ",
        "sh '",
        "gem '",
        "test:",
        "{\"scripts\":",
        "[[bin]]\n",
        "services:\n",
        "!x ",
        "|\n",
        "%",
        "@",
        "`",
        "1e999",
        "-- ",
        "..",
        "\r\n",
    ];
    (0..next() % 120).map(|_| pieces[next() % pieces.len()]).collect()
}

#[test]
fn a_bomb_is_a_trouble_and_the_rest_is_read() {
    let bomb: String =
        (1..40).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let profile = analyse(&reading(&format!("-- compose.yml --\na0: &a0 x\n{bomb}-- go.mod --\nmodule a\n")));
    assert_eq!(profile.troubles.len(), 1);
    assert!(profile.troubles[0].starts_with("compose.yml: not valid YAML, or too complex"), "{:?}", profile.troubles);
    assert_eq!(profile.package_managers, ["go modules"]);
}

#[test]
fn a_tree_of_a_hundred_thousand_files_is_read_in_bounds() {
    let tree: Vec<_> =
        (0..100_000).map(|n| ScanFile { path: format!("p{}/a{n}/package.json", n % 90), size: 20 }).collect();
    let files = key_files(&tree);
    assert_eq!(files.len(), MAX_KEY_FILES);
    let texts = files.iter().map(|path| (path.clone(), "{\"name\": \"x\"}".to_owned())).collect();
    let profile = analyse(&Reading { tree, texts, ..reading("") });
    for length in [profile.layout.len(), profile.key_files.len(), profile.packages.len()] {
        assert_eq!(length, draft::MAX_ENTRIES);
    }
}

#[test]
fn a_profile_is_safe_to_show() {
    let text = "-- package.json --\n{\"name\": \"a\\u0007\\u202eb\", \"packageManager\": \"npm@".to_owned()
        + &"9".repeat(1_000)
        + "\", \"scripts\": {\"test\": \"x\", \"test; rm -rf /\": \"y\"}}\n";
    let profile = analyse(&reading(&text));
    assert_eq!(profile.packages[0].name.as_deref(), Some("a b"));
    assert_eq!(profile.conventions[0].chars().count(), 120);
    assert_eq!(profile.commands.test, ["npm test"]);
}

#[test]
fn key_files_are_the_root_s_first_and_nobody_else_s() {
    let file = |(path, size): (&str, i64)| ScanFile { path: path.to_owned(), size };
    let tree = [
        ("a/b/Cargo.toml", 10),
        ("README.md", 10),
        ("Cargo.lock", 10),
        ("rustfmt.toml", 10),
        ("a/Cargo.toml", 10),
        (".github/workflows/ci.yml", 10),
        (".github/workflows/notes.md", 10),
        ("Cargo.toml", 10),
        (".github/CODEOWNERS", 10),
        ("node_modules/x/package.json", 10),
        ("tests/fixtures/Cargo.toml", 10),
        ("examples/a/Cargo.toml", 10),
        ("examples/a/b/c/Cargo.toml", 10),
        ("large/package.json", MAX_KEY_FILE + 1),
        ("empty/package.json", 0),
    ];
    let expected = [
        ".github/CODEOWNERS",
        "Cargo.toml",
        ".github/workflows/ci.yml",
        "rustfmt.toml",
        "a/Cargo.toml",
        "a/b/Cargo.toml",
        "examples/a/Cargo.toml",
    ];
    assert_eq!(key_files(&tree.map(file)), expected);
    for path in expected.iter().chain(&["Cargo.lock", "x/Dockerfile.dev", "a/B.csproj", "requirements-dev.txt"]) {
        assert!(is_key_file(path), "{path}");
    }
    for path in ["README.md", "src/main.rs", "vendor/x/go.mod", "", "workflows/ci.yml", ".github/CODEOWNERS.md"] {
        assert!(!is_key_file(path), "{path}");
    }
}

#[test]
fn owners_are_those_of_the_first_place_even_if_it_cannot_be_read() {
    let mut reading = reading("-- CODEOWNERS --\n* @second\n-- docs/CODEOWNERS --\n* @third\n");
    assert_eq!(analyse(&reading).code_owners.as_deref(), Some("* @second\n"));
    reading.tree.push(ScanFile { path: ".github/CODEOWNERS".to_owned(), size: MAX_KEY_FILE + 1 });
    let profile = analyse(&reading);
    assert_eq!((profile.code_owners, profile.troubles.len()), (None, 1));
}

#[test]
fn owners_are_read_as_long_as_github_reads_them_and_an_empty_file_is_no_trouble() {
    let owners = |size: i64| [ScanFile { path: "CODEOWNERS".to_owned(), size }];
    for (size, read) in [(0, false), (1, true), (MAX_KEY_FILE + 1, true), (3 << 20, false)] {
        assert_eq!(!key_files(&owners(size)).is_empty(), read, "{size}");
    }
    let long = format!("{}* @a\n", "# words\n".repeat(100_000));
    let text = format!("-- CODEOWNERS --\n{long}-- docs/CODEOWNERS --\n* @third\n");
    assert_eq!(analyse(&reading(&text)).code_owners, Some(long));
    let profile = analyse(&reading("-- CODEOWNERS --\n-- docs/CODEOWNERS --\n* @third\n"));
    assert_eq!((profile.code_owners.as_deref(), profile.troubles.len()), (Some(""), 0));
    let profile = analyse(&Reading { tree: owners(3 << 20).to_vec(), ..reading("") });
    assert_eq!((profile.code_owners.as_deref(), profile.troubles.len()), (Some(""), 1));
}

#[test]
fn what_was_not_read_stays_a_trouble() {
    let reading = Reading { troubles: vec!["the tree was cut".to_owned()], ..reading("-- Cargo.toml --\noops\n") };
    assert_eq!(analyse(&reading).troubles, ["the tree was cut", "Cargo.toml: not valid TOML (line 1)"]);
}

#[test]
fn an_empty_repository_has_an_empty_profile() {
    let profile = analyse(&reading(""));
    assert!(profile.languages.is_empty() && profile.commands.test.is_empty() && profile.troubles.is_empty());
}

/// A project from one text: each file below a line `-- path --`, or `-- path (bytes) --` for one of which only the size
/// matters.
fn reading(text: &str) -> Reading {
    let mut tree: Vec<ScanFile> = Vec::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let head = line.strip_prefix("-- ").and_then(|line| line.strip_suffix(" --"));
        match (head.map(|head| head.split_once(" (").unwrap_or((head, ""))), texts.last_mut()) {
            (Some((path, size)), _) => {
                let size = size.trim_end_matches(')').parse().unwrap_or(0);
                tree.push(ScanFile { path: path.to_owned(), size });
                texts.push((path.to_owned(), String::new()));
            }
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    for (file, (_, text)) in tree.iter_mut().zip(&texts) {
        file.size = file.size.max(text.len() as i64);
    }
    let wanted = key_files(&tree);
    texts.retain(|(path, _)| wanted.contains(path));
    let scanned_at = DateTime::UNIX_EPOCH;
    Reading { tree, texts, troubles: Vec::new(), statistics: None, commit: "c0ffee".to_owned(), scanned_at }
}
