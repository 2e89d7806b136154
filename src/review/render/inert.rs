//! Text by others, made harmless: it shows what they wrote and does nothing.
//!
//! GitHub looks for mentions and references in the *rendered* text, so a backslash does not stop them; an invisible space
//! does. Bots read the raw text, code spans included. Characters that nobody sees are written out, such as `U+202E`.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;

use crate::review::rules::secret;

/// Breaks a word without being seen.
const GAP: char = '\u{200b}';

/// Longest piece of such text, in characters as people count them.
const MAX: usize = 200;

/// As a code span: for paths and names, which stay readable and can be copied.
pub(super) fn code(text: &str) -> String {
    let text = shorten(&visible(&secret::redact(text)));
    let mut shown = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        shown.push(char);
        let rest = &text[at + char.len_utf8()..];
        // `@types/node` is a folder; `@bot command` might be obeyed.
        let name = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '[' | ']'));
        if char == '@' && name.len() < rest.len() && name.starts_with([' ', ':', ',']) {
            shown.push(GAP);
        }
    }
    let fence = "`".repeat(longest_run(&shown) + 1);
    let pad = if shown.is_empty() || shown.starts_with(['`', ' ']) || shown.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{shown}{pad}{fence}")
}

/// As part of a sentence: for reasons and titles. One line, no Markdown, no HTML, no links.
pub(super) fn text(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = shorten(&visible(&secret::redact(&text)));
    let mut out = String::with_capacity(text.len());
    if text.starts_with('/') {
        out.push(GAP);
    }
    for (at, char) in text.char_indices() {
        let (before, rest) = (&text[..at], &text[at + char.len_utf8()..]);
        let digit = rest.starts_with(|c: char| c.is_ascii_digit());
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.extend(['@', GAP]),
            '#' => out.extend(['\\', '#', GAP]),
            '-' if digit && ends_with_word(before, "gh") => out.extend(['-', GAP]),
            ':' if rest.starts_with("//") => out.extend([':', GAP]),
            '.' if ends_with_word(before, "www") => out.extend([GAP, '.']),
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '(' | ')' | '!' | '|' | '$' | '{' | '}' => {
                out.extend(['\\', char]);
            }
            _ => out.push(char),
        }
    }
    out
}

/// The longest row of back-ticks.
pub(super) fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let start = text.len().checked_sub(word.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// Writes out what would not be seen, or would change how the rest is seen.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        let hidden = char.is_control()
            || matches!(char,
                '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        if hidden {
            // Writing to a string cannot fail.
            let _ = write!(out, "U+{:04X}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    out
}

fn shorten(text: &str) -> String {
    match text.grapheme_indices(true).nth(MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader or a bot sees where our gaps are.
    fn gaps(text: &str) -> String {
        text.replace(GAP, "·")
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        for (text, expected) in [
            ("src/a.rs", "`src/a.rs`"),
            ("a`b", "``a`b``"),
            ("`a``b`", "``` `a``b` ```"),
            ("", "`  `"),
            (" a", "`  a `"),
            ("a\nb\r", "`aU+000AbU+000D`"),
            ("a<!-- nectr:v1 x -->", "`a<!-- nectr:v1 x -->`"),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_written_out() {
        for (text, expected) in [
            ("a\u{202e}b", "`aU+202Eb`"),
            ("a\u{2066}b\u{2069}", "`aU+2066bU+2069`"),
            ("a\u{200b}\u{200d}\u{feff}", "`aU+200BU+200DU+FEFF`"),
            ("\u{e0041}", "`U+E0041`"),
            ("\u{1b}[31m", "`U+001B[31m`"),
            ("é✓漢", "`é✓漢`"),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
        assert_eq!(super::text("a\u{202e}b"), "aU+202Eb");
    }

    #[test]
    fn bots_hear_no_command_in_a_code_span() {
        assert_eq!(gaps(&code("x @bors r+")), "`x @·bors r+`");
        assert_eq!(gaps(&code("@dependabot[bot] merge")), "`@·dependabot[bot] merge`");
        assert_eq!(gaps(&code("node_modules/@types/node")), "`node_modules/@types/node`");
    }

    #[test]
    fn nothing_in_a_sentence_pings_closes_commands_or_links() {
        for (written, expected) in [
            ("ask @mona", "ask @·mona"),
            ("fixes #12", "fixes \\#·12"),
            ("acme/shop#3", "acme/shop\\#·3"),
            ("closes GH-12 and gh-3", "closes GH-·12 and gh-·3"),
            ("/lgtm", "·/lgtm"),
            ("ok\n/lgtm\n@bors r+", "ok /lgtm @·bors r+"),
            ("@dependabot merge", "@·dependabot merge"),
            ("<!-- x -->", "&lt;!-- x --&gt;".replace('!', "\\!").as_str()),
            ("<img src=x>", "&lt;img src=x&gt;"),
            ("![a](b) [c](d)", "\\!\\[a\\]\\(b\\) \\[c\\]\\(d\\)"),
            ("https://evil.example/x", "https:·//evil.example/x"),
            ("www.evil.example", "www·.evil.example"),
            ("me@evil.example", "me@·evil.example"),
            ("*a* _b_ `c` ~d~ | $e$ &amp;", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~ \\| \\$e\\$ &amp;amp;"),
            ("a\\b", "a\\\\b"),
            ("plain words, nothing else.", "plain words, nothing else."),
        ] {
            assert_eq!(gaps(&text(written)), expected, "{written:?}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_as_people_see_them() {
        let family = "👩‍👩‍👧";
        assert!(code(&"x".repeat(500)).chars().count() < 210);
        let cut = text(&"e\u{301}".repeat(300));
        assert!(cut.ends_with("e\u{301}…"), "{cut}");
        assert!(!code(family).contains('\u{200d}'), "joiners are written out");
    }

    #[test]
    fn secrets_are_taken_out() {
        let token = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
        assert!(!code(&token).contains(&token[4..12]));
        assert!(!text(&format!("because {token}")).contains(&token[4..12]));
    }
}
