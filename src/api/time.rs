//! Moments, as answers write them: RFC 3339 in UTC with a `Z`, fractions only where there are some.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A moment in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(DateTime<Utc>);

impl Time {
    /// The moment in every example.
    pub(super) fn example() -> Self {
        Self(DateTime::from_timestamp(1_767_268_800, 0).unwrap_or_default())
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Type for Time {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Time {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let text = value.as_ref().and_then(Value::as_str).ok_or_else(ParseError::expected_input)?;
        Ok(Self(text.parse()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_moment_is_written_with_a_z_and_no_more_digits_than_it_has() {
        let written = |micros| Time(DateTime::from_timestamp_micros(micros).unwrap()).to_json().unwrap();
        assert_eq!(written(1_767_268_800_000_000), "2026-01-01T12:00:00Z");
        assert_eq!(written(1_767_268_800_250_000), "2026-01-01T12:00:00.250Z");
        assert_eq!(written(1_767_268_800_000_001), "2026-01-01T12:00:00.000001Z");
        assert_eq!(Time::parse_from_json(Time::example().to_json()).unwrap(), Time::example());
    }
}
