//! What closes an issue and what does not.

use super::*;

const SITE: &str = "https://github.com";

/// Each reference as `owner/repo#n` or `#n`.
fn read(text: &str) -> Vec<String> {
    let show = |r: Reference| format!("{}#{}", r.repo.map(|repo| repo.to_string()).unwrap_or_default(), r.number);
    closing(text, SITE).into_iter().map(show).collect()
}

#[test]
fn nine_words_close_an_issue_in_any_case_with_or_without_a_colon() {
    for word in ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"] {
        assert_eq!(read(&format!("{word} #12")), ["#12"], "{word}");
        assert_eq!(read(&format!("It {}: #12.", word.to_uppercase())), ["#12"], "{word}");
    }
}

#[test]
fn an_issue_can_be_written_in_four_ways() {
    for (text, expected) in [
        ("Fixes #7", "#7"),
        ("Fixes GH-7", "#7"),
        ("Fixes gh-7", "#7"),
        ("Fixes octo-org/my.repo_x#7", "octo-org/my.repo_x#7"),
        ("Fixes https://github.com/octo/repo/issues/7", "octo/repo#7"),
        ("Fixes: https://GitHub.com/octo/repo/issues/7.", "octo/repo#7"),
        ("Fixes #2147483647", "#2147483647"),
        ("(fixes #7)", "#7"),
        ("_Fixes #7_", "#7"),
        ("**fixes #7**", "#7"),
        ("- fixes #7", "#7"),
        ("> fixes #7", "#7"),
        ("a,fixes #7", "#7"),
        ("fixes\n#7", "#7"),
        ("fixes \t #7", "#7"),
        ("Résumé: fixes #7, né", "#7"),
    ] {
        assert_eq!(read(text), [expected], "{text}");
    }
}

#[test]
fn other_words_and_other_links_close_nothing() {
    for text in [
        "",
        "#7",
        "prefixes #7",
        "pre-fixes #7",
        "feature/fixes #7",
        "pre_fixes #7",
        "éfixes #7",
        "fixes#7",
        "fixes:#7",
        "fixing #7",
        "fixer #7",
        "refs #7",
        "fixes issue #7",
        "fixes # 7",
        "fixes #0",
        "fixes #07",
        "fixes #7a",
        "fixes #7_x",
        "fixes #2147483648",
        "fixes #99999999999999999999",
        "fixes ../x#7",
        "fixes a/b/c#7",
        "fixes https://github.com/octo/repo/pull/7",
        "fixes https://github.com/octo/repo/issues/7#issuecomment-1",
        "fixes https://github.com/octo/repo/issues/7/events",
        "fixes https://elsewhere.example/octo/repo/issues/7",
        "fixes https://github.com.evil.example/octo/repo/issues/7",
        "fixes [#7](https://example.com)",
        "fixes\n\n#7",
    ] {
        assert_eq!(read(text), [""; 0], "{text}");
    }
}

#[test]
fn each_issue_needs_its_own_word_and_is_named_once() {
    assert_eq!(read("Fixes #1, #2"), ["#1"]);
    assert_eq!(read("Fixes #1, fixes #2 and closes #1"), ["#1", "#2"]);
    assert_eq!(read("fixes #1 fixes a/b#1\nfixes A/B#1"), ["#1", "a/b#1"]);
}

#[test]
fn links_are_of_the_site_that_is_used() {
    let text = "Fixes https://git.example.com:8443/a/b/issues/3 and fixes https://github.com/a/b/issues/4";
    let found = closing(text, "https://git.example.com:8443/");
    assert_eq!(found, [Reference { repo: RepoName::new("a", "b"), number: 3 }]);
}

#[test]
fn code_and_comments_say_nothing() {
    for text in [
        "`fixes #1`",
        "``a ` fixes #1``",
        "fixes `#1`",
        "`a\nfixes #1\n`",
        "```\nfixes #1\n```",
        "```rust\nfixes #1",
        "~~~\nfixes #1\n```\nfixes #1\n~~~",
        "````\n```\nfixes #1\n````",
        "> ```\n> fixes #1\n> ```",
        "- a\n  ```\n  fixes #1\n  ```",
        "- ```\n  fixes #1\n  ```",
        "    fixes #1",
        "text\n\n    fixes #1",
        "\tfixes #1",
        "- item\n\n      fixes #1",
        "<!-- fixes #1 -->",
        "<!--\n\nfixes #1\n\n-->",
        "a <!-- fixes #1 --> b",
        "<!-- fixes #1",
        "<!-- `a` --> `fixes #1`",
    ] {
        assert_eq!(read(text), [""; 0], "{text}");
    }
}

#[test]
fn what_only_looks_like_code_or_a_comment_is_text() {
    for text in [
        "```\ncode\n```\nfixes #1",
        "```\ncode\n````\nfixes #1",
        "``` a ``` fixes #1",
        "`a` fixes #1",
        "\\`fixes #1`",
        "`fixes #1 ``",
        "`a\n\nfixes #1 `",
        "text\n    fixes #1",
        "- item\n\n    fixes #1",
        "1. item\n\n   fixes #1",
        "> ```\n> code\n\nfixes #1",
        "> ```\nfixes #1",
        "<!-- a --> fixes #1",
        "<!-- ``` -->\nfixes #1",
        "a <!-- b\n\nfixes #1",
        "\r\n```\r\ncode\r\n```\r\nfixes #1\r\n",
        "* a\n    * fixes #1",
    ] {
        assert_eq!(read(text), ["#1"], "{text}");
    }
}

#[test]
fn no_more_than_fifty_are_believed_and_only_of_the_first_64_kilobytes() {
    let many: String = (1..200).map(|n| format!("fixes #{n}\n")).collect();
    assert_eq!(read(&many).len(), MAX_REFERENCES);
    assert_eq!(read(&format!("{} fixes #1", "é".repeat(40_000))), [""; 0]);
}

/// Each would take minutes in quadratic time, were it not cut, so the reader is asked directly.
#[test]
fn hostile_texts_are_read_in_linear_time() {
    for piece in [
        "`",
        "``` ",
        "` ``",
        "<!--",
        "<!-- `",
        "> ",
        ">",
        "- ",
        "\\`",
        "a\n\n    b\n",
        "~~~\n",
        "* a\n",
        "fix ",
        "\n",
        "&",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        let paragraphs = visible::paragraphs(&text);
        assert!(paragraphs.iter().map(String::len).sum::<usize>() <= text.len() + 1, "{piece:?}");
        closing(&text, SITE);
    }
    let quoted = format!("{}{}", ">".repeat(500_000), " ".repeat(500_000));
    assert_eq!(visible::paragraphs(&quoted), [""; 0]);
    let runs: String = (1..1_400).map(|length| format!("{} ", "`".repeat(length))).collect();
    assert_eq!(visible::paragraphs(&runs).len(), 1);
}
