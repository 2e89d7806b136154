//! What changed between two trees, and manifests as bytes.
#![allow(clippy::unwrap_used)]

use super::*;

fn file(path: &str, content: u64) -> TreeFile {
    TreeFile { path: path.to_owned(), sha: format!("{content:016x}{:024x}", 7), size: 10 }
}

fn paths(files: &[TreeFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

fn pair(old: &str, new: &str) -> (String, String) {
    (old.to_owned(), new.to_owned())
}

/// As many different files as one likes, in folders.
fn many(count: u64) -> Vec<TreeFile> {
    let name = |n: u64| format!("packages/app-{}/src/components/group{}/file{n}.tsx", n % 50, n % 700);
    (0..count).map(|n| file(&name(n), (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[test]
fn what_was_not_written_here_is_not_indexed() {
    for path in [
        "node_modules/a.js",
        "web/node_modules/react/index.js",
        ".git/config",
        "dist/app.js",
        "a/build/x",
        "a/__pycache__/b.pyc",
        ".next/x",
        "vendor/a/b.go",
    ] {
        assert!(!is_indexed(path), "{path}");
    }
    for path in ["build", "src/dist", "vendors/a.js", "Build/x", "src/builder/a.rs", ".github/x.yml", "", "a//b"] {
        assert!(is_indexed(path), "{path}");
    }
}

#[test]
fn a_file_of_the_graph_knows_its_language() {
    let fact = fact(&file("src/main.rs", 1));
    assert_eq!((fact.path.as_str(), fact.language, fact.size), ("src/main.rs", Some("Rust"), 10));
}

#[test]
fn the_difference_names_what_is_new_changed_gone_and_moved() {
    let before = [file("z.rs", 1), file("a.rs", 2), file("b.rs", 3), file("old/c.rs", 4), file("gone.rs", 5)];
    let after = [file("new/c.rs", 4), file("b.rs", 30), file("z.rs", 1), file("a.rs", 2), file("fresh.rs", 6)];
    let difference = Manifest::of(&before).difference(&after);
    assert_eq!(paths(&difference.files), ["b.rs", "fresh.rs", "new/c.rs"]);
    assert_eq!(difference.gone, ["gone.rs", "old/c.rs"]);
    assert_eq!(difference.moved, [pair("old/c.rs", "new/c.rs")]);
}

#[test]
fn the_same_tree_in_another_order_is_no_difference() {
    let mut files = many(300);
    let manifest = Manifest::of(&files);
    files.reverse();
    assert_eq!(manifest.difference(&files), Difference::default());
    assert_eq!(manifest, Manifest::of(&files));
}

#[test]
fn everything_is_new_to_an_empty_manifest_and_gone_from_an_empty_tree() {
    let files = many(3);
    assert_eq!(Manifest::default().difference(&files).files.len(), 3);
    assert_eq!(Manifest::of(&files).difference(&[]).gone.len(), 3);
}

#[test]
fn a_move_that_could_be_another_one_is_none() {
    let two_left = Manifest::of(&[file("a", 1), file("b", 1)]);
    assert_eq!(two_left.difference(&[file("c", 1)]).moved, []);
    let one_left = Manifest::of(&[file("a", 1)]);
    assert_eq!(one_left.difference(&[file("b", 1), file("c", 1)]).moved, []);
    let copied = one_left.difference(&[file("a", 1), file("b", 1)]);
    assert_eq!((copied.moved.len(), copied.gone.len()), (0, 0));
    let replaced = Manifest::of(&[file("a", 1), file("b", 2)]).difference(&[file("b", 1)]);
    assert_eq!((replaced.moved, replaced.gone), (vec![], vec!["a".to_owned()]), "b existed before");
}

#[test]
fn empty_files_never_move() {
    let empty = |path: &str| TreeFile { size: 0, ..file(path, 1) };
    assert_eq!(Manifest::of(&[empty("a")]).difference(&[empty("b")]).moved, []);
}

#[test]
fn of_files_with_one_path_the_first_counts() {
    let twice = [file("a", 1), file("a", 2)];
    assert_eq!(Manifest::of(&twice), Manifest::of(&twice[..1]));
    assert_eq!(Manifest::of(&twice[..1]).difference(&twice), Difference::default());
}

#[test]
fn names_that_git_would_not_give_are_told_apart_too() {
    let odd = |sha: &str| TreeFile { sha: sha.to_owned(), ..file("a", 1) };
    for other in ["", "abc", "zzzzzzzzzzzzzzzzzzzz", "ääääääääääääääää"] {
        assert_eq!(Manifest::of(&[odd(other)]).difference(&[odd("other")]).files.len(), 1, "{other}");
        assert_eq!(Manifest::of(&[odd(other)]).difference(&[odd(other)]).files.len(), 0, "{other}");
    }
}

#[test]
fn a_manifest_is_read_back_as_it_was_packed() {
    for files in [many(0), many(1), many(5_000), vec![file("ä/ö", 1), file("ä/ü", 2), file("é", 3), file("", 4)]] {
        let manifest = Manifest::of(&files);
        assert_eq!(Manifest::unpack(&manifest.pack()), Some(manifest));
    }
}

#[test]
fn a_large_manifest_takes_about_13_bytes_a_file() {
    let packed = Manifest::of(&many(20_000)).pack();
    assert!(packed.len() < 20_000 * 13, "{}", packed.len());
}

#[test]
fn bytes_that_are_no_manifest_are_none() {
    let packed = Manifest::of(&many(40)).pack();
    for length in 0..packed.len() {
        assert_eq!(Manifest::unpack(&packed[..length]), None, "{length}");
    }
    for at in 0..packed.len() {
        let mut damaged = packed.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(Manifest::unpack(&damaged).is_none_or(|read| read == Manifest::of(&many(40))), "{at}");
    }
    assert_eq!(Manifest::unpack(b"nectr tree 2\n"), None);
}

#[test]
fn a_small_manifest_that_would_be_huge_is_none() {
    let pack = |plain: &[u8]| [b"nectr tree 1\n", zstd::encode_all(plain, 3).unwrap().as_slice()].concat();
    let zeros = vec![0; 300 * 1024 * 1024];
    assert_eq!(Manifest::unpack(&pack(&zeros)), None);
    // One path of 1 MiB, and then the same with one letter more, two million times.
    let mut longer = vec![0x80, 0x89, 0x7a, 0, 0x80, 0x80, 0x40];
    longer.extend(vec![b'a'; 1 << 20]);
    for n in 0..1_000_000_u32 {
        let mut length = vec![((1 << 20) + n) as u8 & 0x7f | 0x80, (((1 << 20) + n) >> 7) as u8 & 0x7f | 0x80];
        length.push((((1 << 20) + n) >> 14) as u8 & 0x7f);
        longer.extend(length);
        longer.extend([1, b'a']);
    }
    assert_eq!(Manifest::unpack(&pack(&longer)), None);
    assert_eq!(Manifest::unpack(&pack(&[3, 0, 1, b'b', 0, 1, b'a'])), None, "not in order");
    assert_eq!(Manifest::unpack(&pack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])), None);
}
