//! Text from outside, made safe for a terminal: what a payload says must not move the cursor or turn the line around.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};

/// `text` with control characters and the marks that change the direction of writing escaped.
pub(super) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let turns =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            let _ = write!(safe, "{}", c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The first `limit` characters of `text`, safe, with an ellipsis in place of the rest.
pub(super) fn clip(text: &str, limit: usize) -> String {
    let safe = safe(text);
    match safe.char_indices().nth(limit) {
        None => safe,
        Some((end, _)) => format!("{}…", &safe[..end]),
    }
}

/// A time, to the second.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Rows under a heading, in columns as wide as they need to be. The last column is not padded.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str()).chain([heading[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    let heading = heading.map(str::to_owned);
    for row in [&heading].into_iter().chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_moves_the_cursor_or_turns_the_line() {
        assert_eq!(safe("a\u{1b}[2Jb\r\u{202e}c é 🦀"), "a\\u{1b}[2Jb\\u{d}\\u{202e}c é 🦀");
        assert_eq!(clip("äöüß", 3), "äöü…");
        assert_eq!(clip("äöü", 3), "äöü");
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows =
            [["1".to_owned(), "é".to_owned(), String::new()], ["200".to_owned(), "b".to_owned(), "c".to_owned()]];
        assert_eq!(table(["ID", "NAME", "X"], &rows), "ID   NAME  X\n1    é\n200  b     c\n");
    }
}
