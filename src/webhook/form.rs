//! The one field of a form-encoded delivery: `payload`, which must be there exactly once.
//!
//! Decoded to bytes rather than text, so that an escape which is not UTF-8 is refused later instead of being replaced
//! quietly by something nobody signed.

use std::borrow::Cow;

/// Why a form is not a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("the form has no field `payload`")]
    Missing,
    #[error("the form has more than one field `payload`")]
    Twice,
}

/// The decoded bytes of `payload`.
pub(super) fn payload(form: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut values = form.split(|byte| *byte == b'&').filter_map(|field| {
        let at = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = field.split_at(at);
        (*decode(name) == *b"payload").then(|| value.get(1..).unwrap_or_default())
    });
    let value = values.next().ok_or(FormError::Missing)?;
    match values.next() {
        None => Ok(decode(value).into_owned()),
        Some(_) => Err(FormError::Twice),
    }
}

/// Undoes `+` and `%XX`. A `%` that begins no escape stands for itself, as browsers have it.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => match escape(after) {
                Some(byte) => {
                    rest = &after[2..];
                    byte
                }
                None => b'%',
            },
            other => *other,
        });
    }
    Cow::Owned(bytes)
}

fn escape(after: &[u8]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(after.get(..2)?, &mut byte).ok()?;
    Some(byte[0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn p20_plus_and_escapes_are_decoded() {
        assert_eq!(payload(b"payload=%7B%22a%22%3A+%221+%2b%201%22%7d").unwrap(), br#"{"a": "1 + 1"}"#);
        assert_eq!(payload(b"%70ayload=x").unwrap(), b"x");
        assert_eq!(payload(b"a=1&payload=a=b&payloads=2").unwrap(), b"a=b");
        assert_eq!(payload(b"payload=%ff%C3%A9").unwrap(), b"\xff\xc3\xa9");
    }

    #[test]
    fn p20_payload_must_be_there_exactly_once() {
        assert_eq!(payload(b""), Err(FormError::Missing));
        assert_eq!(payload(b"Payload=1&payload_=2"), Err(FormError::Missing));
        assert_eq!(payload(b"payload=1&payload=1"), Err(FormError::Twice));
        assert_eq!(payload(b"payload=1&pay%6Coad"), Err(FormError::Twice));
        assert_eq!(payload(b"payload").unwrap(), b"");
    }

    #[test]
    fn a_percent_sign_that_begins_no_escape_stands_for_itself() {
        assert_eq!(payload(b"payload=100%&x").unwrap(), b"100%");
        assert_eq!(payload(b"payload=%zz%4").unwrap(), b"%zz%4");
    }

    #[test]
    fn url_encoding_is_undone_exactly() {
        let text = "{\"title\":\"naïve + 100% & déjà=vu \u{1f980}\u{202e}\"}";
        let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", text).finish();
        assert_eq!(payload(form.as_bytes()).unwrap(), text.as_bytes());
    }
}
