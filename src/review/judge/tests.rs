//! Stories about whole pull requests.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    domain::pull_request::FileStatus,
    review::samples::{file, pull},
};

fn judged(files: &[ChangedFile]) -> Judgement {
    judge(&pull(files), files)
}

/// `rule path:line severity inline` of every finding.
fn told(judgement: &Judgement) -> Vec<String> {
    let show = |finding: &Finding| {
        let inline = if finding.inline { "inline" } else { "body" };
        format!("{} {}:{} {:?} {inline}", finding.rule, finding.path, finding.line.unwrap(), finding.severity)
    };
    judgement.findings.iter().map(show).collect()
}

const CONFLICT: &str = "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x";

#[test]
fn a_clean_change_is_approved() {
    let judgement = judged(&[file("src/a.rs", "fn a() {}\nprintln!();"), file("README.md", "# Hello")]);
    assert_eq!(judgement.verdict, Verdict::Approve);
    assert_eq!(judgement.coverage.full, ["src/a.rs", "README.md"]);
    assert_eq!((judgement.findings.len(), judgement.unread.len(), judgement.troubles.len()), (0, 0, 0));
}

#[test]
fn the_heaviest_finding_decides() {
    let judgement = judged(&[file("src/a.rs", "dbg!(x);"), file("src/b.rs", CONFLICT)]);
    assert_eq!(judgement.verdict, Verdict::RequestChanges);
    assert_eq!(told(&judgement), ["conflict-markers src/b.rs:1 Block inline", "debug-leftover src/a.rs:1 Warn inline"]);
    assert_eq!(judgement.findings[1].suggestion.as_deref(), Some(""));
    assert_eq!(judged(&[file("src/a.rs", "dbg!(x);")]).verdict, Verdict::NeedsDiscussion);
}

#[test]
fn tests_weigh_one_step_less_unless_the_rule_is_about_tests() {
    let judgement = judged(&[file("tests/a.rs", "dbg!(x);"), file("tests/b.rs", CONFLICT)]);
    assert_eq!(
        told(&judgement),
        ["conflict-markers tests/b.rs:1 Warn inline", "debug-leftover tests/a.rs:1 Info body"]
    );
    assert_eq!(judged(&[file("tests/a.rs", "dbg!(x);")]).verdict, Verdict::Approve, "info never moves the verdict");
    assert_eq!(told(&judged(&[file("a.test.js", "it.only('a')")])), ["focused-test a.test.js:1 Block inline"]);
}

#[test]
fn only_added_lines_are_judged() {
    let mut old = file("src/a.rs", "x");
    old.patch = Some("@@ -1,2 +1,2 @@\n dbg!(x);\n-dbg!(y);\n+z".to_owned());
    (old.additions, old.deletions, old.changes) = (1, 1, 2);
    assert_eq!(told(&judged(&[old])), [""; 0]);
}

#[test]
fn a2_a_renamed_file_is_commented_by_its_new_name() {
    let mut renamed = file("src/new.rs", "dbg!(x);");
    (renamed.status, renamed.previous_path) = (FileStatus::Renamed, Some("src/old.rs".to_owned()));
    assert_eq!(told(&judged(&[renamed])), ["debug-leftover src/new.rs:1 Warn inline"]);
}

#[test]
fn renames_modes_and_images_do_not_stand_in_the_way_of_an_approval() {
    let bare =
        |path, status| ChangedFile { patch: None, additions: 0, deletions: 0, changes: 0, status, ..file(path, "") };
    let files = [
        bare("moved.rs", FileStatus::Renamed),
        bare("run.sh", FileStatus::Changed),
        bare("logo.png", FileStatus::Added),
        bare("old.png", FileStatus::Removed),
        bare("icon.png", FileStatus::Modified),
        file("a.rs", "x"),
    ];
    let judgement = judged(&files);
    assert_eq!(judgement.verdict, Verdict::Approve);
    assert_eq!(judgement.coverage.full, ["moved.rs", "run.sh", "a.rs"]);
    assert_eq!(judgement.coverage.excluded, ["logo.png", "old.png", "icon.png"]);
    assert!(judgement.unread.iter().all(|unread| unread.why == Why::NoText));
}

#[test]
fn what_cannot_be_read_keeps_the_verdict_from_approval() {
    let large = ChangedFile { patch: None, ..file("a.rs", "x") };
    let malformed = ChangedFile { patch: Some("@@ -1,9 +1,9 @@\n a".to_owned()), ..file("b.rs", "x") };
    let empty = ChangedFile { patch: Some(String::new()), ..file("c.rs", "x") };
    let cut = ChangedFile { additions: 2, changes: 2, ..file("d.rs", "dbg!(x);") };
    let judgement = judged(&[large.clone(), malformed, empty, cut]);
    assert_eq!(judgement.coverage.listed, ["a.rs", "b.rs", "c.rs"]);
    assert_eq!(judgement.coverage.partial, ["d.rs"]);
    assert_eq!(told(&judgement), ["debug-leftover d.rs:1 Warn inline"], "what is there is judged");
    assert_eq!(judged(&[large]).verdict, Verdict::NeedsDiscussion);
}

#[test]
fn files_that_were_not_listed_keep_the_verdict_from_approval() {
    let files = [file("a.rs", "x")];
    let judgement = judge(&PullRequest { changed_files: 4, additions: 9, ..pull(&files) }, &files);
    assert_eq!((judgement.coverage.missing, judgement.coverage.uncounted), (3, 0));
    assert_eq!(judgement.verdict, Verdict::NeedsDiscussion);
    let judgement = judge(&PullRequest { changed_files: 0, ..pull(&files) }, &files);
    assert_eq!(judgement.troubles, ["GitHub listed 1 files but counts 0."]);
    assert_eq!(judgement.verdict, Verdict::NeedsDiscussion);
}

#[test]
fn totals_that_do_not_add_up_make_empty_rows_doubtful() {
    let bare = ChangedFile { patch: None, additions: 0, changes: 0, status: FileStatus::Modified, ..file("a.rs", "") };
    let files = [bare, file("b.rs", "x")];
    let judgement = judge(&PullRequest { additions: 11, deletions: 2, ..pull(&files) }, &files);
    assert_eq!(judgement.coverage.uncounted, 12);
    assert_eq!(judgement.unread, [Unread { path: "a.rs".to_owned(), why: Why::Doubtful }]);
    assert_eq!((judgement.verdict, judgement.coverage.is_complete()), (Verdict::NeedsDiscussion, false));
}

#[test]
fn what_nobody_reads_is_left_out_and_named() {
    let files = [
        file("Cargo.lock", "dbg!(x);"),
        ChangedFile { patch: None, ..file("package-lock.json", "x") },
        file("vendor/a.rs", "dbg!(x);"),
        file("a.pb.go", CONFLICT),
        file("gen.rs", "// Code generated by x. DO NOT EDIT.\ndbg!(x);"),
        file("dist/app.js", &"debugger;".repeat(60)),
        file("a.rs", "x"),
    ];
    let judgement = judged(&files);
    assert_eq!(judgement.verdict, Verdict::Approve);
    assert_eq!(judgement.coverage.excluded.len(), 6);
    assert_eq!(judgement.unread.len(), 6);
}

#[test]
fn every_file_is_in_exactly_one_class() {
    let files = [
        file("a.rs", "x"),
        file("Cargo.lock", "x"),
        ChangedFile { patch: None, ..file("b.rs", "x") },
        ChangedFile { additions: 3, ..file("c.rs", "x") },
    ];
    let Coverage { full, partial, listed, excluded, .. } = judged(&files).coverage;
    let mut all = [full, partial, listed, excluded].concat();
    all.sort();
    assert_eq!(all, ["Cargo.lock", "a.rs", "b.rs", "c.rs"]);
}

#[test]
fn a_rule_that_panics_costs_only_its_own_findings() {
    fn panics(_: &Change<'_>) -> Vec<Hit> {
        panic!("a bug in a rule")
    }
    let mut rules = vec![Rule { id: "broken", on_tests: false, check: panics }];
    let files = [file("a.rs", "x"), file("b.rs", "y")];
    let judgement = judge_by(&rules, &pull(&files), &files);
    assert_eq!(judgement.troubles, ["The rule `broken` failed on 2 files."]);
    assert_eq!(judgement.verdict, Verdict::NeedsDiscussion);
    rules.extend(rules::ALL);
    let files = [file("a.rs", "dbg!(x);")];
    assert_eq!(told(&judge_by(&rules, &pull(&files), &files)).len(), 1);
}

#[test]
fn a_hit_outside_the_diff_is_told_in_the_body() {
    fn far(_: &Change<'_>) -> Vec<Hit> {
        let fix = Some(Fix { was: "x".to_owned(), becomes: "y".to_owned() });
        vec![Hit { severity: Severity::Warn, line: 99, message: "Far.".to_owned(), fix, key: None }]
    }
    let files = [file("a.rs", "x")];
    let judgement = judge_by(&[Rule { id: "far", on_tests: false, check: far }], &pull(&files), &files);
    assert_eq!(told(&judgement), ["far a.rs:99 Warn body"]);
    assert_eq!(judgement.findings[0].suggestion, None);
}

#[test]
fn s4_files_with_carriage_returns_get_no_suggestion() {
    let judgement = judged(&[file("a.rs", "a\r\ndbg!(x);")]);
    let mut crlf = file("a.rs", "x");
    crlf.patch = Some("@@ -0,0 +1,2 @@\n+a\r\n+dbg!(x);".to_owned());
    (crlf.additions, crlf.changes) = (2, 2);
    assert!(judgement.findings[0].suggestion.is_some(), "the helper strips them");
    assert_eq!(judged(&[crlf]).findings[0].suggestion, None);
}

#[test]
fn s5_a_fix_of_another_text_is_no_suggestion() {
    fn stale(_: &Change<'_>) -> Vec<Hit> {
        let hit = |was: &str, becomes: &str| Hit {
            severity: Severity::Warn,
            line: 1,
            message: "Stale.".to_owned(),
            fix: Some(Fix { was: was.to_owned(), becomes: becomes.to_owned() }),
            key: None,
        };
        vec![hit("y", "z"), hit("x", "x"), hit("x", "z"), hit("x", "w")]
    }
    let files = [file("a.rs", "x")];
    let judgement = judge_by(&[Rule { id: "stale", on_tests: false, check: stale }], &pull(&files), &files);
    let suggestions: Vec<_> = judgement.findings.iter().map(|finding| finding.suggestion.as_deref()).collect();
    assert_eq!(suggestions, [None, None, Some("z"), None], "text as read, changed, and one per line");
}

#[test]
fn a_suggestion_never_repeats_a_secret() {
    let token = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let judgement = judged(&[file("a.rs", &format!("let x = dbg!(\"{token}\");"))]);
    assert_eq!(judgement.findings.len(), 2);
    assert!(!format!("{judgement:?}").contains(&token[4..]));
}

#[test]
fn an_ignore_that_was_there_before_suppresses_and_is_told() {
    let mut old = file("src/a.rs", "x");
    old.patch = Some("@@ -1 +1,2 @@\n // nectr:ignore debug-leftover on purpose\n+dbg!(x);".to_owned());
    let judgement = judged(&[old]);
    assert_eq!((told(&judgement).len(), judgement.verdict), (0, Verdict::Approve));
    let suppressed = &judgement.suppressed[0];
    assert_eq!((suppressed.line, suppressed.reason.as_str()), (2, "on purpose"));
}

#[test]
fn an_ignore_added_by_the_change_itself_lowers_a_block_to_a_warning() {
    let judgement = judged(&[file("a.test.js", "it.only('a') // nectr:ignore focused-test flaky otherwise")]);
    assert_eq!(told(&judgement), ["focused-test a.test.js:1 Warn inline"]);
    assert!(judgement.findings[0].message.contains("would block"));
    assert_eq!(judgement.verdict, Verdict::NeedsDiscussion);
    let judgement = judged(&[file("a.rs", "// nectr:ignore debug-leftover a tool\ndbg!(x);\ndbg!(y);")]);
    assert_eq!((told(&judgement).len(), judgement.suppressed.len()), (1, 1), "it covers its own line and the next");
    let judgement = judged(&[file("a.rs", "dbg!(x); // nectr:ignore debug-leftover")]);
    assert_eq!(judgement.suppressed.len(), 0, "without a reason it is none");
}

#[test]
fn more_than_three_of_a_rule_are_one_comment() {
    let dbg = |count| file("src/a.rs", &"dbg!(x);\n".repeat(count));
    let inline = |count| judged(&[dbg(count)]).findings.iter().filter(|finding| finding.inline).count();
    assert_eq!((inline(3), inline(4), inline(50)), (3, 1, 1));
    assert_eq!(judged(&[dbg(4)]).findings.len(), 4, "every one is kept");
    assert!(judged(&[dbg(4)]).findings[0].inline, "and the first one speaks");
}

#[test]
fn a13_at_most_twenty_comments_are_on_lines() {
    fn check(change: &Change<'_>) -> Vec<Hit> {
        let severity = Severity::Warn;
        change
            .added()
            .map(|(line, _)| Hit { severity, line, message: "Hm.".to_owned(), fix: None, key: None })
            .collect()
    }
    const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let rules = NAMES.map(|id| Rule { id, on_tests: false, check });
    let files = [file("a.rs", "x\ny\nz")];
    let judgement = judge_by(&rules, &pull(&files), &files);
    assert_eq!(judgement.findings.len(), 27);
    assert_eq!(judgement.findings.iter().filter(|finding| finding.inline).count(), 20);
}

#[test]
fn a_flood_is_cut_and_says_so() {
    let judgement = judged(&[file("src/a.rs", &"dbg!(x);\n".repeat(1_000))]);
    assert_eq!(judgement.findings.len(), 100);
    assert_eq!(judgement.troubles, ["The rule `debug-leftover` found 1000 places; only the first 100 are kept."]);
}

#[test]
fn a_secret_in_two_files_is_told_once_where_it_weighs_most() {
    let token = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let judgement = judged(&[file("README.md", &token), file("src/a.py", &token)]);
    assert_eq!(told(&judgement), ["secret src/a.py:1 Block inline"]);
}

#[test]
fn github_hears_an_approval_only_where_it_may() {
    use ReviewEvent as E;
    use Verdict as V;
    for (verdict, own, may_approve, from_fork, expected) in [
        (V::Approve, false, true, false, E::Approve),
        (V::Approve, false, false, false, E::Comment),
        (V::Approve, false, true, true, E::Comment),
        (V::Approve, true, true, false, E::Comment),
        (V::RequestChanges, false, false, true, E::RequestChanges),
        (V::RequestChanges, true, true, false, E::Comment),
        (V::NeedsDiscussion, false, true, false, E::Comment),
        (V::NeedsDiscussion, true, true, false, E::Comment),
    ] {
        assert_eq!(
            event(verdict, own, may_approve, from_fork),
            expected,
            "{verdict:?} {own} {may_approve} {from_fork}"
        );
    }
}

#[test]
fn fixtures_are_judged_as_their_names_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/diffs");
    for (name, path, expected) in [
        ("clean", "src/queue.rs", &[][..]),
        ("debug-leftover", "src/queue.rs", &["debug-leftover src/queue.rs:14 Warn inline"][..]),
        ("conflict", "src/limits.rs", &["conflict-markers src/limits.rs:4 Block inline"]),
        ("focused-test", "web/src/cart.test.ts", &["focused-test web/src/cart.test.ts:11 Block inline"]),
        ("no-newline", "VERSION", &[]),
        ("looks-like-a-diff", "notes.sql", &[]),
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{name}.patch")).unwrap();
        let text = text.trim_end_matches('\n').to_owned();
        let (additions, deletions) = Patch::parse(&text).unwrap().totals();
        let fixture =
            ChangedFile { additions, deletions, changes: additions + deletions, patch: Some(text), ..file(path, "") };
        let judgement = judged(&[fixture]);
        assert_eq!(told(&judgement), expected, "{name}");
        assert!(judgement.coverage.is_complete(), "{name}");
    }
}
