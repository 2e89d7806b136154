//! JSON as YAML that every reader reads alike.
//!
//! Written here because what matters is what is *not* left plain: to YAML 1.1 readers, which most are, `off` is a
//! boolean and a time is not a string. So a string stays plain only if it is one harmless word.

use std::fmt::Write;

use serde_json::Value;

/// The value as a YAML document.
pub(super) fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0);
    text.trim_start().to_owned() + "\n"
}

/// Writes what comes after a key or a dash: ` scalar`, or a block on the following lines.
fn write_value(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let _ = write!(out, "\n{indent}{}:", scalar(name));
                write_value(out, field, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "\n{indent}-");
                write_value(out, item, depth + 1);
            }
        }
        Value::String(text) => {
            let _ = write!(out, " {}", scalar(text));
        }
        other => {
            let _ = write!(out, " {other}");
        }
    }
}

/// A word as it is, everything else as a JSON string, which is a YAML string too.
fn scalar(text: &str) -> String {
    const NOT_STRINGS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if word && !NOT_STRINGS.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_is_a_string_can_be_read_as_anything_else() {
        let value = json!({
            "status": ["off", "queued", "No"],
            "200": { "at": "2026-01-01T12:00:00Z", "empty": {}, "none": [], "text": "a: \"b\"\n# c" },
            "nested": [[1, true], { "a": null }]
        });
        let expected = r##"status:
  - "off"
  - queued
  - "No"
"200":
  at: "2026-01-01T12:00:00Z"
  empty: {}
  none: []
  text: "a: \"b\"\n# c"
nested:
  -
    - 1
    - true
  -
    a: null
"##;
        assert_eq!(to_yaml(&value), expected);
    }
}
