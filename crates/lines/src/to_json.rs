//! Owns the way from any serialisable value to JSON. It never lets one through that JSON cannot
//! hold: a number that is not finite would silently become null.

use std::fmt::{self, Display};

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Map, Value};

/// Why a value cannot be sent as JSON. The message names the place within the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson(String);

impl Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotJson {}

impl serde::ser::Error for NotJson {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The JSON of a value.
///
/// # Errors
///
/// When the value refuses to be serialised, and when it holds what JSON cannot: a number that is
/// not finite or not within 64 bits, or a map whose keys are no texts.
///
/// ```
/// use lote_lines::to_json;
///
/// assert_eq!(to_json(&0.2_f32).unwrap().to_string(), "0.2");
/// let error = to_json(&serde_json::json!({"temperature": 1}))
///     .and_then(|_| to_json(&std::collections::HashMap::from([("temperature", f64::NAN)])));
/// assert_eq!(error.unwrap_err().to_string(), "temperature: NaN is no number of JSON");
/// ```
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Value, NotJson> {
    value.serialize(Probe { path: &mut String::new() })?;
    // By way of text, which writes an f32 of 0.2 as 0.2; as a tree it would be 0.20000000298….
    let text = serde_json::to_string(value).map_err(NotJson::custom)?;
    serde_json::from_str(&text).map_err(NotJson::custom)
}

/// The JSON of a value that is an object.
///
/// # Errors
///
/// Those of [`to_json`], and when the value is anything but an object.
pub fn to_json_object<T: Serialize + ?Sized>(value: &T) -> Result<Map<String, Value>, NotJson> {
    match to_json(value)? {
        Value::Object(object) => Ok(object),
        other => Err(NotJson(format!("{} stands where an object must", crate::raw::Kind::of(&other.to_string())))),
    }
}

/// Walks over a value and finds what JSON cannot hold.
struct Probe<'p> {
    /// Where in the value it is, such as `messages[0].content`.
    path: &'p mut String,
}

impl Probe<'_> {
    fn refuse(&self, what: impl Display) -> NotJson {
        let at = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        NotJson(format!("{at}{what}"))
    }
}

macro_rules! always_fine {
    ($($name:ident: $type:ty,)*) => {
        $(fn $name(self, _: $type) -> Result<(), NotJson> { Ok(()) })*
    };
}

impl<'p> Serializer for Probe<'p> {
    type Ok = ();
    type Error = NotJson;
    type SerializeSeq = Within<'p>;
    type SerializeTuple = Within<'p>;
    type SerializeTupleStruct = Within<'p>;
    type SerializeTupleVariant = Within<'p>;
    type SerializeMap = Within<'p>;
    type SerializeStruct = Within<'p>;
    type SerializeStructVariant = Within<'p>;

    always_fine!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    );

    fn serialize_i128(self, number: i128) -> Result<(), NotJson> {
        let fits = i64::try_from(number).is_ok() || u64::try_from(number).is_ok();
        if fits { Ok(()) } else { Err(self.refuse(format_args!("{number} is beyond the integers of 64 bits"))) }
    }

    fn serialize_u128(self, number: u128) -> Result<(), NotJson> {
        let fits = u64::try_from(number).is_ok();
        if fits { Ok(()) } else { Err(self.refuse(format_args!("{number} is beyond the integers of 64 bits"))) }
    }

    fn serialize_f32(self, number: f32) -> Result<(), NotJson> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), NotJson> {
        if number.is_finite() { Ok(()) } else { Err(self.refuse(format_args!("{number} is no number of JSON"))) }
    }

    fn serialize_none(self) -> Result<(), NotJson> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotJson> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotJson> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), NotJson> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotJson> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        Within::new(self).field(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Within<'p>, NotJson> {
        Ok(Within::new(self))
    }
}

/// The elements of an array, or the fields of an object.
struct Within<'p> {
    path: &'p mut String,
    index: usize,
    key: String,
}

impl<'p> Within<'p> {
    fn new(probe: Probe<'p>) -> Self {
        Self { path: probe.path, index: 0, key: String::new() }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), NotJson> {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        value.serialize(Probe { path: self.path })?;
        self.path.truncate(before);
        Ok(())
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        let before = self.path.len();
        self.path.push_str(&format!("[{}]", self.index));
        self.index += 1;
        value.serialize(Probe { path: self.path })?;
        self.path.truncate(before);
        Ok(())
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident,)*) => {
        $(impl $trait for Within<'_> {
            type Ok = ();
            type Error = NotJson;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
                self.element(value)
            }

            fn end(self) -> Result<(), NotJson> {
                Ok(())
            }
        })*
    };
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

macro_rules! fields {
    ($($trait:ident,)*) => {
        $(impl $trait for Within<'_> {
            type Ok = ();
            type Error = NotJson;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NotJson> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), NotJson> {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant,);

impl SerializeMap for Within<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotJson> {
        // Only to name the place; a key that is no text is refused by the writing of the text.
        self.key = match serde_json::to_value(key) {
            Ok(Value::String(key)) => key,
            Ok(key) => key.to_string(),
            Err(_) => "?".to_owned(),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        let key = std::mem::take(&mut self.key);
        self.field(&key, value)
    }

    fn end(self) -> Result<(), NotJson> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(serde::Serialize)]
    enum Shape {
        Unit,
        One(f32),
        Two(u8, f64),
        Named { weights: Vec<Option<f64>> },
    }

    #[derive(serde::Serialize)]
    struct Alone(f64);

    #[derive(serde::Serialize)]
    struct Pair(u8, f64);

    #[test]
    fn what_json_can_hold_is_as_serde_json_has_it() {
        let shapes =
            [Shape::Unit, Shape::One(0.1), Shape::Two(1, -0.5), Shape::Named { weights: vec![None, Some(1e300)] }];
        assert_eq!(
            to_json(&shapes).unwrap(),
            json!(["Unit", {"One": 0.1}, {"Two": [1, -0.5]}, {"Named": {"weights": [null, 1e300]}}])
        );
        assert_eq!(to_json(&BTreeMap::from([(1_u8, 'x')])).unwrap(), json!({"1": "x"}));
        assert_eq!(to_json(&(Alone(1.5), Pair(1, 2.5), ())).unwrap(), json!([1.5, [1, 2.5], null]));
        assert_eq!(to_json(&(u64::MAX, i64::MIN, 7_u128, -7_i128)).unwrap(), json!([u64::MAX, i64::MIN, 7, -7]));
    }

    #[test]
    fn what_json_cannot_hold_is_named_with_its_place() {
        let inf = f64::INFINITY;
        let map = |value| BTreeMap::from([("a", value)]);
        let beyond = |at: &str, number: &dyn Display| format!("{at}: {number} is beyond the integers of 64 bits");
        for (said, expected) in [
            (to_json(&f64::NAN), "NaN is no number of JSON"),
            (to_json(&[Shape::One(f32::NAN)]), "[0].One: NaN is no number of JSON"),
            (to_json(&Shape::Two(1, -inf)), "[1]: -inf is no number of JSON"),
            (to_json(&Shape::Named { weights: vec![None, Some(inf)] }), "weights[1]: inf is no number of JSON"),
            (to_json(&Alone(inf)), "inf is no number of JSON"),
            (to_json(&[Pair(1, inf)]), "[0][1]: inf is no number of JSON"),
            (to_json(&Some(Some(inf))), "inf is no number of JSON"),
            (to_json(&BTreeMap::from([(7, inf)])), "7: inf is no number of JSON"),
            (to_json(&map([inf])), "a[0]: inf is no number of JSON"),
            (to_json(&BTreeMap::from([("a", u128::MAX)])), &beyond("a", &u128::MAX)),
            (to_json(&(1, i128::MIN)), &beyond("[1]", &i128::MIN)),
            (to_json(&BTreeMap::from([([1], 2)])), "key must be a string"),
            (to_json_object(&[1]).map(Value::Object), "an array stands where an object must"),
        ] {
            assert_eq!(said.unwrap_err().to_string(), expected);
        }
    }
}
