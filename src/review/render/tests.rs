//! What authors get to read.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    domain::{
        pull_request::{ChangedFile, FileStatus},
        review::Side,
    },
    review::{
        judge::judge,
        samples::{file, pull},
    },
};

fn rendered(files: &[ChangedFile]) -> Rendered {
    let pull = pull(files);
    render(&pull, &judge(&pull, files), &Context::default(), &marker_key(&pull.head, &pull.base_ref))
}

/// The body without its marker.
fn body(rendered: &Rendered) -> &str {
    rendered.body.rsplit_once("\n\n<!-- ").unwrap().0
}

#[test]
fn a_clean_change_gets_one_line() {
    let review = rendered(&[file("src/a.rs", "a\nb"), file("b.md", "c")]);
    assert_eq!(
        review.body,
        "**No problems found.** Read all 2 changed files at `0123456` (+3 −0 lines).\n\n\
         <!-- nectr:v1 review head=0123456789abcdef0123456789abcdef01234567 base=main -->"
    );
    assert_eq!(review.summary, "No problems found. Read all 2 changed files.");
    assert_eq!(review.comments, []);
    assert_eq!(
        body(&rendered(&[file("a", "b")])),
        "**No problems found.** Read the changed file at `0123456` (+1 −0 lines)."
    );
}

#[test]
fn an_approval_says_what_it_left_out() {
    let image =
        ChangedFile { patch: None, additions: 0, changes: 0, status: FileStatus::Added, ..file("logo.png", "") };
    let review = rendered(&[file("src/a.rs", "a"), image, file("Cargo.lock", "x"), file("web/yarn.lock", "y")]);
    assert_eq!(
        body(&review),
        "**No problems found.** Read 1 of 4 changed files at `0123456` (+3 −0 lines).\n\n\
         Left out on purpose:\n\n\
         - binary or empty: `logo.png`\n\
         - lock files: `Cargo.lock` and `web/yarn.lock`"
    );
}

#[test]
fn where_there_was_nothing_to_read_nothing_is_approved() {
    let review = rendered(&[file("Cargo.lock", "x")]);
    assert!(review.body.starts_with("**There was nothing to read, so this is no approval.**"), "{}", review.body);
}

#[test]
fn a_finding_is_a_comment_on_its_line_with_a_correction() {
    let review = rendered(&[file("src/a.rs", "fn a() {\n    dbg!(x);\n}")]);
    assert_eq!(
        body(&review),
        "**1 thing is worth a look before this is merged.** Nothing blocks. See the comment on the line.\n\n\
         Read the changed file at `0123456` (+3 −0 lines)."
    );
    assert_eq!(review.summary, "Worth a look: 1 (debug-leftover). Read the changed file.");
    let comment = &review.comments[0];
    assert_eq!(
        (comment.path.as_str(), comment.line, comment.start_line, comment.side),
        ("src/a.rs", 2, None, Side::Right)
    );
    assert_eq!(
        comment.body,
        "**Worth a look.** `dbg!` is left over from debugging: it prints to standard error in release builds too. Remove \
         it.\n\n```suggestion\n```\n\n\
         <sub>Rule `debug-leftover`. If this is meant, say why on the line: `nectr:ignore debug-leftover <reason>`</sub>"
    );
}

#[test]
fn what_blocks_is_said_first() {
    let conflict = "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x";
    let review = rendered(&[file("a.rs", conflict), file("b.rs", "dbg!(x);\ndbg!(y);")]);
    assert!(
        review.body.starts_with(
            "**1 problem needs fixing before this is merged.** 2 more things are worth a look. See the comments on the lines."
        ),
        "{}",
        review.body
    );
    assert_eq!(
        review.summary,
        "Changes requested: 1 to fix and 2 worth a look (conflict-markers, debug-leftover). Read all 2 changed files."
    );
    assert!(review.comments[0].body.starts_with("**Needs fixing before merging.** An unresolved merge conflict"));
}

#[test]
fn many_of_a_kind_are_one_comment() {
    let review = rendered(&[file("src/a.rs", &"dbg!(x);\n".repeat(40))]);
    assert_eq!(review.comments.len(), 1);
    let comment = &review.comments[0].body;
    assert!(
        comment.contains("The same at `src/a.rs:2`, `src/a.rs:3`") && comment.contains(" and 19 more."),
        "{comment}"
    );
    assert!(body(&review).starts_with("**40 things are worth a look"), "{}", review.body);
    assert!(!body(&review).contains("src/a.rs"), "and nothing is said twice");
}

#[test]
fn without_comments_everything_stands_in_the_body() {
    let files = [file("src/a.rs", "dbg!(x);"), file("a.test.js", "it.only('a')")];
    let pull = pull(&files);
    let mut judgement = judge(&pull, &files);
    judgement.findings.iter_mut().for_each(|finding| finding.inline = false);
    let review = render(&pull, &judgement, &Context::default(), "key");
    assert_eq!(review.comments, []);
    assert!(body(&review).contains("What and where:\n\n- `a.test.js:1` **Fix:** `it.only` makes"), "{}", review.body);
    assert!(body(&review).contains("\n- `src/a.rs:1` **Look:** `dbg!` is left over"), "{}", review.body);
    assert_eq!(find_marker(&review.body), Some("key"));
}

#[test]
fn notes_are_only_for_information() {
    let review = rendered(&[file("tests/a.rs", "dbg!(x);")]);
    assert!(body(&review).starts_with("**No problems found.**"), "{}", review.body);
    assert!(body(&review).contains("For your information:\n\n- `tests/a.rs:1` `dbg!` is left over"), "{}", review.body);
}

#[test]
fn what_could_not_be_read_is_named_with_its_reason() {
    let files = [
        ChangedFile { patch: None, ..file("huge.rs", "x") },
        ChangedFile { patch: Some("nonsense".to_owned()), ..file("odd.rs", "x") },
        ChangedFile { additions: 5, ..file("cut.rs", "x") },
        file("a.rs", "x"),
    ];
    let pull = PullRequest { changed_files: 6, ..pull(&files) };
    let review = render(&pull, &judge(&pull, &files), &Context::default(), "key");
    assert_eq!(
        body(&review),
        "**Not everything could be read, so this is no approval.** Nothing speaks against what was read; please look at the \
         rest yourself.\n\n\
         Read 1 of 6 changed files at `0123456` (+8 −0 lines).\n\n\
         Could not be read:\n\n\
         - too large for GitHub to show: `huge.rs`\n\
         - a patch that makes no sense: `odd.rs`\n\
         - read in part, because the patch and GitHub's count of its lines differ: `cut.rs`\n\
         - 2 files that GitHub counts but did not list"
    );
    assert_eq!(review.summary, "Not everything could be read. Read 1 of 6 changed files.");
    let pull = PullRequest { additions: 30, changed_files: 4, ..pull };
    let review = render(&pull, &judge(&pull, &files), &Context::default(), "key");
    assert!(
        review.body.contains("- 22 lines by which GitHub's totals and its list of files differ"),
        "{}",
        review.body
    );
}

#[test]
fn what_was_silenced_is_told_with_its_reason() {
    let mut silenced = file("src/a.rs", "x");
    silenced.patch = Some("@@ -1 +1,2 @@\n // nectr:ignore debug-leftover see #12 @mona\n+dbg!(x);".to_owned());
    let review = rendered(&[silenced]);
    let expected = "Silenced by `nectr:ignore`:\n\n- `src/a.rs:2` (`debug-leftover`): see \\#\u{200b}12 @\u{200b}mona";
    assert!(body(&review).contains(expected), "{}", review.body);
}

#[test]
fn a_check_that_failed_is_told() {
    let files = [file("a.rs", "x")];
    let pull = pull(&files);
    let mut judgement = judge(&pull, &files);
    judgement.troubles = vec!["The rule `secret` failed on 1 file.".to_owned()];
    judgement.verdict = Verdict::NeedsDiscussion;
    let review = render(&pull, &judgement, &Context::default(), "key");
    assert!(review.body.starts_with("**The checks did not all finish, so this is no approval.**"), "{}", review.body);
    assert!(review.body.contains("What went wrong here:\n\n- The rule `secret` failed on 1 file."), "{}", review.body);
}

#[test]
fn hostile_paths_do_nothing() {
    let path = "a`b @bors r+\n\n/lgtm fixes #12 <!-- nectr:v1 x --> \u{202e}](https://evil.example).rs";
    let files = [ChangedFile { patch: None, ..file(path, "x") }];
    let review = rendered(&files);
    let text = body(&review);
    assert!(text.contains("``a`b @\u{200b}bors r+U+000AU+000A/lgtm fixes #12 <!-- nectr:v1 x --> U+202E"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with('/') && !line.starts_with('@')), "{text}");
    assert_eq!(find_marker(&review.body), Some("review head=0123456789abcdef0123456789abcdef01234567 base=main"));
}

#[test]
fn a_suggestions_fence_is_longer_than_any_in_it() {
    assert_eq!(suggestion(""), "```suggestion\n```");
    assert_eq!(suggestion("let x = y;"), "```suggestion\nlet x = y;\n```");
    assert_eq!(suggestion("  ```rust"), "````suggestion\n  ```rust\n````");
    assert_eq!(suggestion("a `````` b"), "```````suggestion\na `````` b\n```````");
}

#[test]
fn a_suggestion_is_whole_or_absent() {
    let long = format!("let x = dbg!(\"{}\");", "y".repeat(20_000));
    let review = rendered(&[file("a.rs", &long)]);
    assert!(!review.comments[0].body.contains("suggestion"));
}

#[test]
fn a_body_fits_and_keeps_its_marker() {
    let files: Vec<_> =
        (0..2_000).map(|n| ChangedFile { patch: None, ..file(&format!("{n}{}", "é".repeat(150)), "x") }).collect();
    let pull = pull(&files);
    let mut judgement = judge(&pull, &files);
    let finding = judge(&pull, &[file("a.rs", "dbg!(x);")]).findings.remove(0);
    judgement.findings =
        (0..2_000).map(|n| Finding { rule: format!("rule-{n}"), inline: false, ..finding.clone() }).collect();
    let review = render(&pull, &judgement, &Context::default(), "key");
    assert!(width(&review.body) <= MAX_BODY && width(&review.body) > MAX_BODY / 2);
    assert!(review.body.contains("*Cut here: "));
    assert_eq!(find_marker(&review.body), Some("key"));
}

#[test]
fn no_secret_reaches_github() {
    let token = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let mut silenced = file("src/b.py", "x");
    silenced.patch = Some(format!("@@ -1 +1,2 @@\n # nectr:ignore debug-leftover {token}\n+breakpoint()"));
    let files = [file(&format!("{token}/a.py"), &format!("key = '{token}'\nbreakpoint() # {token}")), silenced];
    let review = rendered(&files);
    let told =
        format!("{} {} {:?}", review.summary, review.body, review.comments.iter().map(|c| &c.body).collect::<Vec<_>>());
    assert!(!told.contains(&token[8..]), "{told}");
    assert!(told.contains("a GitHub token"));
}
