//! The excerpt of GitHub's schema, and what follows from it.

use std::sync::OnceLock;

use graphql_parser::{
    parse_schema,
    schema::{Definition, Document, EnumType, Field, InputObjectType, Type, TypeDefinition},
};

type Text = String;

fn document() -> &'static Document<'static, Text> {
    static DOCUMENT: OnceLock<Document<'static, Text>> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        parse_schema(include_str!("schema.graphql")).expect("the excerpt of the schema is part of this program")
    })
}

/// The type of that name.
pub fn named(name: &str) -> Option<&'static TypeDefinition<'static, Text>> {
    document().definitions.iter().find_map(|definition| match definition {
        Definition::TypeDefinition(definition) if name_of(definition) == name => Some(definition),
        _ => None,
    })
}

fn name_of(definition: &'static TypeDefinition<'static, Text>) -> &'static str {
    match definition {
        TypeDefinition::Scalar(it) => &it.name,
        TypeDefinition::Object(it) => &it.name,
        TypeDefinition::Interface(it) => &it.name,
        TypeDefinition::Union(it) => &it.name,
        TypeDefinition::Enum(it) => &it.name,
        TypeDefinition::InputObject(it) => &it.name,
    }
}

/// The fields of an object or interface; none: it is neither.
pub fn fields(name: &str) -> Option<&'static [Field<'static, Text>]> {
    match named(name)? {
        TypeDefinition::Object(it) => Some(&it.fields),
        TypeDefinition::Interface(it) => Some(&it.fields),
        _ => None,
    }
}

pub fn field(of: &str, name: &str) -> Option<&'static Field<'static, Text>> {
    fields(of)?.iter().find(|field| field.name == name)
}

pub fn enumeration(name: &str) -> Option<&'static EnumType<'static, Text>> {
    match named(name)? {
        TypeDefinition::Enum(it) => Some(it),
        _ => None,
    }
}

pub fn input(name: &str) -> Option<&'static InputObjectType<'static, Text>> {
    match named(name)? {
        TypeDefinition::InputObject(it) => Some(it),
        _ => None,
    }
}

/// Whether an object of type `object` can be where `wanted` is expected.
pub fn fits(object: &str, wanted: &str) -> bool {
    object == wanted
        || matches!(named(object), Some(TypeDefinition::Object(it)) if it.implements_interfaces.iter().any(|i| i == wanted))
}

/// Whether there can be anything that is both.
pub fn overlap(a: &str, b: &str) -> bool {
    fits(a, b) || fits(b, a)
}

/// The named type inside lists and non-nulls.
pub fn inner<'t>(kind: &'t Type<'static, Text>) -> &'t str {
    match kind {
        Type::NamedType(name) => name,
        Type::ListType(inside) | Type::NonNullType(inside) => inner(inside),
    }
}

/// Whether a field is one of GitHub's lists that come in pages.
pub fn is_connection(kind: &Type<'static, Text>) -> bool {
    inner(kind).ends_with("Connection")
}
