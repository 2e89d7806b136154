//! Patches are real: they apply.

use crate::sandbox::patch::{count, patch};

/// Applies a header-less patch, checking every context and removed line on the way.
fn apply(old: &str, patch: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let (mut at, mut new) = (0, String::new());
    let lines: Vec<&str> = patch.split('\n').collect();
    for (n, line) in lines.iter().enumerate() {
        let bare = lines.get(n + 1).is_some_and(|next| next.starts_with('\\'));
        let text = |line: &str| if bare { line[1..].to_owned() } else { format!("{}\n", &line[1..]) };
        match line.as_bytes().first() {
            Some(b'@') => {
                let range = line.strip_prefix("@@ -").unwrap().split(' ').next().unwrap();
                let (start, count) = range.split_once(',').unwrap_or((range, "1"));
                let start = start.parse::<usize>().unwrap() - usize::from(count != "0");
                new.extend(old[at..start].iter().copied());
                at = start;
            }
            Some(b'+') => new.push_str(&text(line)),
            Some(b'-') => {
                assert_eq!(old[at], text(line));
                at += 1;
            }
            Some(b'\\') => {}
            _ => {
                assert_eq!(old[at], text(line));
                new.push_str(&text(line));
                at += 1;
            }
        }
    }
    new.extend(old[at..].iter().copied());
    new
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn text(&mut self) -> String {
        let words = ["fn a() {", "}", "", "-- x", "++ y", "@@ -1 +1 @@", "same", "tail\r", "\\ No newline"];
        let mut text: String = (0..self.roll(40)).map(|_| format!("{}\n", words[self.roll(9) as usize])).collect();
        if self.roll(2) == 0 {
            text.pop();
        }
        text
    }

    fn edit(&mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        for _ in 0..self.roll(6) {
            let at = self.roll(lines.len() as u64 + 1) as usize;
            match self.roll(3) {
                0 => lines.insert(at.min(lines.len()), format!("new {}\n", self.roll(3))),
                1 if at < lines.len() => drop(lines.remove(at)),
                _ if at < lines.len() => lines[at] = format!("changed {}\n", self.roll(3)),
                _ => {}
            }
        }
        lines.concat()
    }
}

#[test]
fn every_patch_turns_the_old_text_into_the_new_one() {
    let mut dice = Dice(42);
    for round in 0..2_000 {
        let old = dice.text();
        let new = if round % 2 == 0 { dice.edit(&old) } else { dice.text() };
        match patch(&old, &new) {
            Some(patch) => assert_eq!(apply(&old, &patch), new, "round {round}:\n{patch}"),
            None => assert_eq!(old, new, "round {round}"),
        }
    }
}

#[test]
fn patches_look_as_git_writes_them() {
    assert_eq!(patch("", "a\n").as_deref(), Some("@@ -0,0 +1 @@\n+a"));
    assert_eq!(patch("a\n", "").as_deref(), Some("@@ -1 +0,0 @@\n-a"));
    assert_eq!(
        patch("a", "b").as_deref(),
        Some("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file")
    );
    assert_eq!(
        patch("fn f() {\n 1\n 2\n 3\n 4\n}\n", "fn f() {\n 1\n 2\n 3\n 5\n}\n").as_deref(),
        Some("@@ -2,5 +2,5 @@ fn f() {\n  1\n  2\n  3\n- 4\n+ 5\n }")
    );
    assert_eq!(patch("same\n", "same\n"), None);
}

#[test]
fn far_changes_make_two_hunks_and_near_ones_share_one() {
    let old: String = (0..40).map(|n| format!("{n}\n")).collect();
    let far = patch(&old, &old.replace("\n5\n", "\nfive\n").replace("\n30\n", "\nthirty\n")).unwrap();
    assert_eq!(far.matches("@@ -").count(), 2);
    let near = patch(&old, &old.replace("\n5\n", "\nfive\n").replace("\n11\n", "\neleven\n")).unwrap();
    assert_eq!(near.matches("@@ -").count(), 1);
    assert_eq!(count(&far), (2, 2));
}
