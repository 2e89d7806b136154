//! Reading JSON that may hold anything where something is expected.
//!
//! GitHub's payloads are looser than their documentation: fields go missing, turn null, and now and then change type.
//! A [`Loose`] field takes any well-formed value and keeps it only if it is of the wanted kind, so that one odd field
//! costs that field and not the delivery. JSON that is not well-formed is still an error. What is not wanted is skipped
//! without recursion and without being kept, however deep or large it is.

use std::{fmt, marker::PhantomData};

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use crate::domain::{CommitSha, RepoName};

/// A field that was of the wanted kind, or nothing.
#[derive(Debug)]
pub(super) struct Loose<T>(pub Option<T>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// What a [`Loose`] field can be read from. Each kind says yes to the one JSON type it is written as.
pub(super) trait Kind<'de>: Sized {
    fn text(_: &str) -> Option<Self> {
        None
    }
    fn number(_: i64) -> Option<Self> {
        None
    }
    fn boolean(_: bool) -> Option<Self> {
        None
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        skip(map)?;
        Ok(None)
    }
    fn list<A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A list, of which the elements of the wanted kind are kept.
#[derive(Debug)]
pub(super) struct List<T>(pub Vec<T>);

/// An object read as `T`, all of whose fields are optional.
#[derive(Debug)]
pub(super) struct Object<T>(pub T);

/// Any object; what is in it does not matter.
#[derive(Debug)]
pub(super) struct Present;

impl<'de, T: Deserialize<'de>> Kind<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Some(Self(object)))
    }
}

impl<'de, T: Kind<'de>> Kind<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut wanted = Vec::new();
        while let Some(element) = seq.next_element::<Loose<T>>()? {
            wanted.extend(element.0);
        }
        Ok(Some(Self(wanted)))
    }
}

impl<'de> Kind<'de> for Present {
    fn text(_: &str) -> Option<Self> {
        Some(Self)
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        skip(map)?;
        Ok(Some(Self))
    }
}

impl Kind<'_> for i64 {
    fn number(number: i64) -> Option<Self> {
        (number >= 1).then_some(number)
    }
}

impl Kind<'_> for bool {
    fn boolean(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Kind<'_> for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Kind<'_> for RepoName {
    fn text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Kind<'_> for CommitSha {
    fn text(text: &str) -> Option<Self> {
        let shape = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        shape.then(|| Self(text.to_owned()))
    }
}

impl Kind<'_> for DateTime<Utc> {
    fn text(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
    }
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de, T: Kind<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: Kind<'de>> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose<T>, E> {
        Ok(Loose(T::text(text)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Loose<T>, E> {
        Ok(Loose(T::number(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose<T>, E> {
        Ok(Loose(i64::try_from(number).ok().and_then(T::number)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose<T>, E> {
        Ok(Loose(None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose<T>, E> {
        Ok(Loose(T::boolean(value)))
    }

    fn visit_unit<E>(self) -> Result<Loose<T>, E> {
        Ok(Loose(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Loose<T>, A::Error> {
        T::list(seq).map(Loose)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose<T>, A::Error> {
        T::object(map).map(Loose)
    }
}
