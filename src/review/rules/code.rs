//! Which parts of a line are code. Comments and the insides of strings are blanked, so that rules match what runs.
//!
//! A hunk starts in the middle of a file, so this guesses: if the lines only make sense by ending inside a string or
//! a comment, the hunk probably began inside one, and every line is then read by itself.

use crate::domain::diff::{Hunk, Line};

/// A language, as far as comments and strings go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lang {
    Rust,
    Script,
    Python,
    Ruby,
    Go,
}

impl Lang {
    /// By file extension, in lower case.
    pub(super) fn of(extension: &str) -> Option<Self> {
        Some(match extension {
            "rs" => Self::Rust,
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => Self::Script,
            "py" | "pyw" => Self::Python,
            "rb" | "rake" => Self::Ruby,
            "go" => Self::Go,
            _ => return None,
        })
    }

    fn hash_comments(self) -> bool {
        matches!(self, Self::Python | Self::Ruby)
    }
}

/// One line at head, and the same with everything but code blanked. Both have the same length in bytes.
#[derive(Debug)]
pub(super) struct CodeLine<'p> {
    pub(super) number: u32,
    pub(super) line: &'p Line<'p>,
    pub(super) code: String,
}

/// The head side of a hunk.
pub(super) fn lines<'p>(hunk: &'p Hunk<'p>, lang: Lang) -> Vec<CodeLine<'p>> {
    let read = |carry: bool| {
        let mut reader = Reader { lang, carry, open: None };
        let lines = hunk.head().map(|(number, line)| CodeLine { number, line, code: reader.read(line.text) }).collect();
        (lines, reader.open.is_some())
    };
    let (lines, open) = read(true);
    if open { read(false).0 } else { lines }
}

/// A string or comment that has begun.
#[derive(Debug, Clone, Copy)]
struct Open {
    close: &'static str,
    escapes: bool,
    /// Whether it goes on over the end of a line.
    spans: bool,
}

struct Reader {
    lang: Lang,
    carry: bool,
    open: Option<Open>,
}

impl Reader {
    fn read(&mut self, text: &str) -> String {
        let mut out = text.as_bytes().to_vec();
        // The middle of a block comment as everybody writes it.
        let middle = text.trim_start();
        if !self.lang.hash_comments() && (middle == "*" || middle.starts_with("* ") || middle.starts_with("*/")) {
            self.open = None;
            return blank(out, middle.find("*/").map_or(text.len(), |at| text.len() - middle.len() + at + 2));
        }
        let mut at = 0;
        while let Some(char) = text[at..].chars().next() {
            let rest = &text[at..];
            if let Some(open) = self.open {
                if rest.starts_with(open.close) {
                    at += open.close.len();
                    self.open = None;
                } else {
                    let next = rest.chars().nth(1).filter(|_| open.escapes && char == '\\');
                    let wide = char.len_utf8() + next.map_or(0, char::len_utf8);
                    out[at..at + wide].fill(b' ');
                    at += wide;
                }
                continue;
            }
            let comment = if self.lang.hash_comments() { char == '#' } else { rest.starts_with("//") };
            if comment {
                out[at..].fill(b' ');
                break;
            }
            at += match self.opens(text, at) {
                Some((wide, open)) => {
                    self.open = open;
                    wide
                }
                None => char.len_utf8(),
            };
        }
        self.open = self.open.filter(|open| open.spans && self.carry);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What begins at this byte: how many bytes to step over, and what is open then.
    fn opens(&self, text: &str, at: usize) -> Option<(usize, Option<Open>)> {
        let rest = &text.as_bytes()[at..];
        let open = |close, escapes, spans| Some(Open { close, escapes, spans });
        Some(match (self.lang, rest[0]) {
            (Lang::Rust | Lang::Script | Lang::Go, b'/') if rest.starts_with(b"/*") => (2, open("*/", false, true)),
            (Lang::Rust, b'r') if !text[..at].ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_') => {
                let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
                let close = "\"########".get(..=hashes)?;
                if rest.get(1 + hashes) != Some(&b'"') {
                    return None;
                }
                (2 + hashes, open(close, false, true))
            }
            // A quote in Rust is a character only if it closes again at once; else a lifetime.
            (Lang::Rust, b'\'') if rest.get(1) == Some(&b'\\') => (1, open("'", true, false)),
            (Lang::Rust, b'\'') => {
                let wide = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                if rest.get(1 + wide) != Some(&b'\'') {
                    return None;
                }
                (2 + wide, None)
            }
            (Lang::Python, b'"') if rest.starts_with(b"\"\"\"") => (3, open("\"\"\"", true, true)),
            (Lang::Python, b'\'') if rest.starts_with(b"'''") => (3, open("'''", true, true)),
            (Lang::Script, b'`') => (1, open("`", true, true)),
            (Lang::Go, b'`') => (1, open("`", false, true)),
            (_, b'"') => (1, open("\"", true, false)),
            (_, b'\'') => (1, open("'", true, false)),
            _ => return None,
        })
    }
}

fn blank(mut bytes: Vec<u8>, until: usize) -> String {
    bytes[..until].fill(b' ');
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{domain::diff::Patch, review::rules::testing::adding};

    fn code(lang: Lang, text: &str) -> Vec<String> {
        let patch = adding(text);
        let patch = Patch::parse(&patch).unwrap();
        let lines = lines(&patch.hunks[0], lang);
        assert!(lines.iter().all(|line| line.code.len() == line.line.text.len()), "{text}");
        lines.into_iter().map(|line| line.code.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn comments_and_strings_are_blank() {
        for (lang, text, expected) in [
            (Lang::Rust, "a(\"x // \\\" y\"); // z", "a(\" \");"),
            (Lang::Rust, "f('\"', '\\'', 'é', &'a b)", "f('\"', ' ', 'é', &'a b)"),
            (Lang::Rust, "a(r#\"x \" y\"#, b)", "a(r#\" \"#, b)"),
            (Lang::Rust, "var(\"x\")", "var(\" \")"),
            (Lang::Script, "a('x', \"é\", `z${b}`) /* c */ + d", "a(' ', \" \", ` `) /* */ + d"),
            (Lang::Python, "a('#', \"#\") # b", "a(' ', \" \")"),
            (Lang::Ruby, "a \"#{b}\" # c", "a \" \""),
            (Lang::Go, "a(`\\`, b) // c", "a(` `, b)"),
        ] {
            assert_eq!(code(lang, text), [expected], "{text}");
        }
    }

    #[test]
    fn what_spans_lines_stays_blank_until_it_closes() {
        assert_eq!(code(Lang::Python, "x = \"\"\"\nbreak\n\"\"\"\ny"), ["x = \"\"\"", "", "\"\"\"", "y"]);
        assert_eq!(code(Lang::Rust, "x(r#\"\na\n\"#); b"), ["x(r#\"", "", "\"#); b"]);
        assert_eq!(code(Lang::Script, "/**\n * a\n */ b"), ["/*", "", "b"]);
    }

    #[test]
    fn a_hunk_that_begins_inside_a_string_is_read_line_by_line() {
        assert_eq!(code(Lang::Python, "end of it.\n\"\"\"\nx()"), ["end of it.", "\"\"\"", "x()"]);
    }

    #[test]
    fn odd_text_is_survived() {
        for lang in [Lang::Rust, Lang::Script, Lang::Python, Lang::Ruby, Lang::Go] {
            for text in ["\"\\é\"", "'", "\"", "'\\", "r##########\"", "*/ é", "'é", "/*é", "\\é", "``é", "'''", "b'é'"]
            {
                let _ = code(lang, &format!("{text}\n{text}"));
            }
        }
    }
}
