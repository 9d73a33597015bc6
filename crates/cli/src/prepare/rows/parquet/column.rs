//! What the columns of a Parquet file hold, and their values as those of a template.

use minijinja::Value;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::Decimal;
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use super::{decimal, instant};
use crate::prepare::value;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// What the values of a column, or of a part of it, are; where the value itself does not tell.
#[derive(Debug)]
pub(super) enum Column {
    /// What the value says.
    Plain,
    /// An integer that is an instant in nanoseconds.
    Nanoseconds {
        is_utc: bool,
    },
    /// An instant in milliseconds or microseconds.
    Instant {
        is_utc: bool,
    },
    /// A time of day in nanoseconds.
    Time,
    Uuid,
    /// Nanoseconds in the form that older writers used, of which the value has lost those below a millisecond.
    Int96,
    Group(Vec<Column>),
    List(Box<Column>),
    Map(Box<Column>, Box<Column>),
}

/// How many columns a field has in the file.
pub(super) fn leaves(field: &Type) -> usize {
    if field.is_primitive() { 1 } else { field.get_fields().iter().map(|field| leaves(field)).sum() }
}

impl Column {
    /// What a field of the schema holds.
    ///
    /// # Errors
    /// When there is no way to say it.
    pub(super) fn of(field: &Type, is_whole: bool) -> Result<Self, String> {
        // A repeated field that no list is around is a list by itself.
        let one = if field.is_primitive() {
            Self::primitive(field, is_whole && !is_repeated(field))?
        } else {
            Self::group(field)?
        };
        Ok(if is_repeated(field) { Self::List(Box::new(one)) } else { one })
    }

    fn group(field: &Type) -> Result<Self, String> {
        let wrong = || "its schema breaks the rules of Parquet".to_owned();
        let fields = field.get_fields();
        match field.get_basic_info().converted_type() {
            ConvertedType::LIST => {
                let [repeated] = fields else { return Err(wrong()) };
                // As the reader of the crate decides it: older writers left a level out.
                let element = match inner(repeated) {
                    None => Self::primitive(repeated, false)?,
                    Some([only]) if !is_element(repeated) => Self::of(only, false)?,
                    Some(_) => Self::group(repeated)?,
                };
                Ok(Self::List(Box::new(element)))
            }
            ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => {
                let [entries] = fields else { return Err(wrong()) };
                match inner(entries) {
                    Some([key]) => Ok(Self::List(Box::new(Self::of(key, false)?))),
                    Some([key, value]) => {
                        Ok(Self::Map(Box::new(Self::of(key, false)?), Box::new(Self::of(value, false)?)))
                    }
                    _ => Err(wrong()),
                }
            }
            _ => fields.iter().map(|field| Self::of(field, false)).collect::<Result<_, _>>().map(Self::Group),
        }
    }

    fn primitive(field: &Type, is_whole: bool) -> Result<Self, String> {
        use ConvertedType as Converted;

        let info = field.get_basic_info();
        let converted = info.converted_type();
        match (field.get_physical_type(), info.logical_type_ref(), converted) {
            (_, Some(LogicalType::Timestamp(kind)), _) => Ok(match kind.unit {
                TimeUnit::NANOS => Self::Nanoseconds { is_utc: kind.is_adjusted_to_u_t_c },
                _ => Self::Instant { is_utc: kind.is_adjusted_to_u_t_c },
            }),
            (Physical::INT64, Some(LogicalType::Time(kind)), _) if kind.unit == TimeUnit::NANOS => Ok(Self::Time),
            // Without the newer type they are in UTC.
            (Physical::INT64, _, Converted::TIMESTAMP_MILLIS | Converted::TIMESTAMP_MICROS) => {
                Ok(Self::Instant { is_utc: true })
            }
            (Physical::INT96, ..) if is_whole => Ok(Self::Int96),
            (Physical::INT96, ..) => {
                Err("instants as INT96 within a list or a struct cannot be read exactly; write the file anew"
                    .to_owned())
            }
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), _) => Ok(Self::Uuid),
            (Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE, ..) => Ok(Self::Plain),
            (
                Physical::INT32,
                _,
                Converted::NONE
                | Converted::INT_8
                | Converted::INT_16
                | Converted::INT_32
                | Converted::UINT_8
                | Converted::UINT_16
                | Converted::UINT_32
                | Converted::DATE
                | Converted::TIME_MILLIS
                | Converted::DECIMAL,
            )
            | (
                Physical::INT64,
                _,
                Converted::NONE | Converted::INT_64 | Converted::UINT_64 | Converted::TIME_MICROS | Converted::DECIMAL,
            )
            | (
                Physical::BYTE_ARRAY,
                _,
                Converted::NONE | Converted::UTF8 | Converted::ENUM | Converted::JSON | Converted::DECIMAL,
            )
            | (Physical::FIXED_LEN_BYTE_ARRAY, _, Converted::NONE | Converted::DECIMAL) => Ok(Self::Plain),
            (physical, _, converted) => {
                Err(format!("a column of type {converted} ({physical}) cannot be read; write it as text"))
            }
        }
    }

    /// A value of the column, as a template sees it.
    ///
    /// # Errors
    /// When it cannot be said without loss.
    pub(super) fn value(&self, field: &Field) -> Result<Value, String> {
        Ok(match (self, field) {
            (_, Field::Null) => Value::from(()),
            (Self::Nanoseconds { is_utc }, Field::Long(nanoseconds)) => instant((*nanoseconds).into(), *is_utc)?,
            (Self::Instant { is_utc }, Field::TimestampMillis(milliseconds)) => {
                instant(i128::from(*milliseconds) * 1_000_000, *is_utc)?
            }
            (Self::Instant { is_utc }, Field::TimestampMicros(microseconds)) => {
                instant(i128::from(*microseconds) * 1_000, *is_utc)?
            }
            (Self::Time, Field::Long(nanoseconds)) => time(*nanoseconds)?,
            (Self::Uuid, Field::Bytes(bytes)) => uuid(bytes.data())?,
            (Self::Group(columns), Field::Group(row)) => {
                let pairs = columns.iter().zip(row.get_column_iter());
                let pairs = pairs.map(|(column, (name, field))| Ok((name.clone(), column.value(field)?)));
                Value::from_pairs(pairs.collect::<Result<Vec<_>, String>>()?)
            }
            (Self::List(column), Field::ListInternal(list)) => {
                let elements = list.elements().iter().map(|field| column.value(field));
                Value::from(elements.collect::<Result<Vec<_>, String>>()?)
            }
            // A list that its schema does not show, as of the rules for older writers.
            (column, Field::ListInternal(list)) => {
                let elements = list.elements().iter().map(|field| column.value(field));
                Value::from(elements.collect::<Result<Vec<_>, String>>()?)
            }
            (Self::Map(keys, values), Field::MapInternal(map)) => {
                let pairs = map.entries().iter().map(|(key, value)| {
                    let key = keys.value(key)?;
                    let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    Ok((key, values.value(value)?))
                });
                Value::from_pairs(pairs.collect::<Result<Vec<_>, String>>()?)
            }
            (_, field) => plain(field)?,
        })
    }
}

/// Whether the repeated group of a list is its element, and not the level around it, by the rules for older writers.
fn is_element(repeated: &Type) -> bool {
    let is_list = repeated.get_basic_info().converted_type() == ConvertedType::LIST;
    let holds_repeated = repeated.get_fields().first().is_some_and(|child| is_repeated(child));
    !is_list && !holds_repeated && (repeated.name() == "array" || repeated.name().ends_with("_tuple"))
}

fn is_repeated(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// The fields of a group; none of a column.
fn inner(field: &Type) -> Option<&[TypePtr]> {
    if field.is_primitive() { None } else { Some(field.get_fields()) }
}

fn plain(field: &Field) -> Result<Value, String> {
    Ok(match field {
        Field::Bool(truth) => Value::from(*truth),
        Field::Byte(number) => Value::from(i64::from(*number)),
        Field::Short(number) => Value::from(i64::from(*number)),
        Field::Int(number) => Value::from(i64::from(*number)),
        Field::Long(number) => Value::from(*number),
        Field::UByte(number) => Value::from(u64::from(*number)),
        Field::UShort(number) => Value::from(u64::from(*number)),
        Field::UInt(number) => Value::from(u64::from(*number)),
        Field::ULong(number) => Value::from(*number),
        Field::Float16(number) => float(number.to_f32()),
        Field::Float(number) => float(*number),
        Field::Double(number) => Value::from(*number),
        Field::Decimal(number) => decimal_value(number),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::from(text),
            Err(_) => {
                return Err("holds bytes that are no text in UTF-8; write them as text, such as Base64".to_owned());
            }
        },
        Field::Date(days) => {
            let day = jiff::Span::new().try_days(*days);
            let date = day.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days));
            Value::from(date.map_err(|_| "a date is before the year -9999 or after 9999".to_owned())?.to_string())
        }
        Field::TimeMillis(milliseconds) => time(i64::from(*milliseconds).saturating_mul(1_000_000))?,
        Field::TimeMicros(microseconds) => time(microseconds.saturating_mul(1_000))?,
        other => return Err(format!("{other} is of no type that was expected")),
    })
}

/// A float of 32 bits, as short as it is written.
fn float(number: f32) -> Value {
    match serde_json::to_string(&number) {
        Ok(text) if number.is_finite() => value::number(&text),
        _ => Value::from(f64::from(number)),
    }
}

fn decimal_value(number: &Decimal) -> Value {
    let text = decimal::text(number.data(), number.scale());
    // A whole number is one; with a point every digit stays, since it may be an amount of money.
    if number.scale() > 0 { value::exact(text) } else { value::number(&text) }
}

fn time(nanoseconds: i64) -> Result<Value, String> {
    let outside = || "a time of day is not within a day".to_owned();
    if !(0..DAY).contains(&nanoseconds) {
        return Err(outside());
    }
    let time = jiff::civil::Time::midnight().checked_add(jiff::SignedDuration::from_nanos(nanoseconds));
    Ok(Value::from(time.map_err(|_| outside())?.to_string()))
}

fn uuid(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() != 16 {
        return Err("a UUID has not 16 bytes".to_owned());
    }
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(Value::from(text))
}
