//! What callers put into paths and queries, read into types that cannot hold anything else.
//!
//! Each type documents itself, and its error is the second half of a sentence that begins with the parameter's name.

use std::{borrow::Cow, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

use super::error::Problem;
use crate::domain::{PrNumber, RepoName, ids::is_name};

/// Half of a repository's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

/// Something counted from 1: a pull request's number, one of our ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) i64);

/// How many items a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(u8);

/// Where the next page begins. Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor(pub(super) i64);

/// A whole repository name, as a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FullName(pub(super) RepoName);

/// Text to look for, bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl From<Number> for PrNumber {
    fn from(number: Number) -> Self {
        Self(number.0)
    }
}

impl Limit {
    /// What was asked for, or 20.
    pub(super) fn or_default(limit: Option<Self>) -> usize {
        limit.map_or(20, |limit| usize::from(limit.0))
    }
}

impl Cursor {
    /// The cursor that stands for "after this id".
    pub(super) fn after(id: i64) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(id.to_be_bytes())
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let id = i64::from_be_bytes(bytes.try_into().ok()?);
        (id >= 1).then_some(Self(id))
    }
}

/// The repository of a path.
pub(super) fn repo_name(owner: &Name, repo: &Name) -> Result<RepoName, Problem> {
    RepoName::new(&owner.0, &repo.0).ok_or_else(|| Problem::unprocessable("This cannot be a repository's name"))
}

/// A number in digits alone: `+1` is none.
fn counted<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Makes a type a documented parameter: its name in the document, its schema, how it is read, what it must be.
macro_rules! parameter {
    ($type:ty, $name:literal, $schema:expr, $read:expr, $must:literal) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $type {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text).ok_or_else(|| ParseError::custom($must))
            }
        }
    };
}

parameter!(
    Name,
    "name",
    MetaSchema {
        pattern: Some("^[A-Za-z0-9._-]{1,100}$".to_owned()),
        min_length: Some(1),
        max_length: Some(100),
        ..MetaSchema::new("string")
    },
    |text| is_name(text).then(|| Self(text.to_owned())),
    "must be 1 to 100 letters, digits, dots, dashes and underscores"
);
parameter!(
    Number,
    "number",
    MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") },
    |text| counted(text).filter(|number| *number >= 1).map(Self),
    "must be a number, 1 or more"
);
parameter!(
    Limit,
    "limit",
    MetaSchema {
        minimum: Some(1.0),
        maximum: Some(100.0),
        default: Some(20.into()),
        ..MetaSchema::new_with_format("integer", "int32")
    },
    |text| counted(text).filter(|limit| (1..=100).contains(limit)).map(Self),
    "must be a number from 1 to 100"
);
parameter!(
    Cursor,
    "cursor",
    MetaSchema::new("string"),
    Self::read,
    "must be the next_cursor of an earlier answer, unchanged"
);
parameter!(
    FullName,
    "repo",
    MetaSchema {
        pattern: Some("^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$".to_owned()),
        ..MetaSchema::new("string")
    },
    |text| RepoName::parse(text).map(Self),
    "must be a repository's full name, owner/name"
);
parameter!(
    Text,
    "text",
    MetaSchema { max_length: Some(200), ..MetaSchema::new("string") },
    |text| (text.chars().count() <= 200).then(|| Self(text.to_owned())),
    "must be 200 characters at most"
);

/// One word of a closed list, refused with the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OneOf<T>(pub(super) T);

impl<T: Type> Type for OneOf<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: ParseFromParameter> ParseFromParameter for OneOf<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        T::parse_from_parameter(text)
            .map(Self)
            .map_err(|_| ParseError::custom(format!("must be one of {}", words::<T>().join(", "))))
    }
}

/// The closed list of an enum, as the document has it.
fn words<T: Type>() -> Vec<String> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let words = registry.schemas.values().flat_map(|schema| &schema.enum_items);
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug, PartialEq, poem_openapi::Enum)]
    #[oai(rename_all = "snake_case")]
    enum Light {
        Red,
        Green,
    }

    #[test]
    fn names_and_numbers_that_github_cannot_have_are_refused() {
        for bad in ["", ".", "..", "a/b", "ä", "a b", &"x".repeat(101)] {
            assert!(Name::parse_from_parameter(bad).is_err(), "{bad:?}");
        }
        assert!(Name::parse_from_parameter("my-backend_2.0").is_ok());
        for bad in ["", "0", "-1", "+1", "1.5", "one", "9223372036854775808"] {
            assert!(Number::parse_from_parameter(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Number::parse_from_parameter("7").unwrap(), Number(7));
        for bad in ["", "0", "101", "-1", "+1", "256", "ten"] {
            assert!(Limit::parse_from_parameter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_the_id_it_was_made_of_and_nothing_else_is_one() {
        for id in [1, 20, i64::MAX] {
            assert_eq!(Cursor::parse_from_parameter(&Cursor::after(id)).unwrap(), Cursor(id));
        }
        let zero = Cursor::after(0);
        for bad in ["", "20", "AAAAAAAAAAE=", "AAAAAAAAAAEA", "\u{1f600}", "'; drop table", &zero] {
            assert!(Cursor::parse_from_parameter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_word_outside_the_list_is_refused_with_the_list() {
        assert_eq!(OneOf::<Light>::parse_from_parameter("green").unwrap(), OneOf(Light::Green));
        let error = OneOf::<Light>::parse_from_parameter("Blue").unwrap_err();
        assert!(error.message().ends_with("must be one of red, green"), "{}", error.message());
    }
}
