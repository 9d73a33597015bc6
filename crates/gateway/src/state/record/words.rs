//! How the words of the contract are written in a stored record: as on the wire.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::contract::{Endpoint, Status, View};

/// A status by its name.
pub(super) fn status_named(name: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status.name() == name)
}

fn endpoint_named(path: &str) -> Option<Endpoint> {
    Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path)
}

fn view_named(prefix: &str) -> Option<View> {
    [View::Mka1, View::OpenAi].into_iter().find(|view| view.prefix() == prefix)
}

/// The two functions that serde asks for, for one type.
macro_rules! by_name {
    ($name:ident, $type:ty, $word:ident, $named:ident) => {
        pub(super) mod $name {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(value.$word())
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let word = String::deserialize(from)?;
                $named(&word).ok_or_else(|| D::Error::custom(concat!("there is no such ", stringify!($name))))
            }
        }
    };
}

by_name!(status, Status, name, status_named);
by_name!(endpoint, Endpoint, path, endpoint_named);
by_name!(view, View, prefix, view_named);
