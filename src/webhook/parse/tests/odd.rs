//! Bodies in which something is missing or of another kind than GitHub says.

use super::*;

/// Every place in `value`, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found))
        }
        _ => {}
    }
}

fn remove(root: &mut Value, place: &str) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    match root.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(key)),
        Some(Value::Array(items)) => drop(items.remove(key.parse().unwrap())),
        _ => {}
    }
}

#[test]
fn p60_any_field_may_be_missing_null_or_of_another_type() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("7"),
        json!([]),
        json!([1, "a", {}]),
        json!({}),
        json!({"id": [1], "number": {"a": 1}}),
    ];
    let changed = ["pull_request.edited.base", "ping", "issues.opened"];
    for (name, event, text) in fixtures().into_iter().filter(|(name, ..)| changed.contains(&name.as_str())) {
        let whole: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        for place in all.iter().filter(|place| !place.is_empty()) {
            let mut body = whole.clone();
            remove(&mut body, place);
            assert!(read(&event, body.to_string()).is_ok(), "{name} without {place}");
            for value in &odd {
                let mut body = whole.clone();
                *body.pointer_mut(place).unwrap() = value.clone();
                assert!(read(&event, body.to_string()).is_ok(), "{name} with {value} at {place}");
            }
        }
    }
}

#[test]
fn a_pull_request_without_what_identifies_it_is_a_mismatch() {
    for place in ["/action", "/repository", "/repository/id", "/repository/full_name", "/pull_request"] {
        for value in [json!(null), json!([]), json!(0), json!(false)] {
            let mut body = fixture("pull_request.opened");
            *body.pointer_mut(place).unwrap() = value;
            assert_eq!(reason(read("pull_request", body.to_string()).unwrap()), IgnoreReason::EventMismatch, "{place}");
        }
    }
    let mut body = fixture("pull_request.opened");
    body["number"] = json!("42");
    body["pull_request"]["number"] = json!("42");
    assert_eq!(reason(read("pull_request", body.to_string()).unwrap()), IgnoreReason::EventMismatch);
}
