//! The options as text: from a settings file, and into one (feature `serde`).
//!
//! One list names the options, and both ways are made of it. A value is first read for what it is, a text or a number,
//! and then as what its option wants. So every refusal can name the option, show the value, and say what to write.

use std::fmt;
use std::time::Duration;

use serde_core::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_core::ser::{Serialize, SerializeStruct, Serializer};

use crate::config::{IdleOrder, NEVER_OFF, PoolConfig};
use crate::error::page;

/// What switches off an option that can be off.
const OFF: &str = "off";

/// A value as a settings file has it.
#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Whole(i128),
    Real(f64),
    Flag(bool),
    Null,
}

/// As a person would find it in the file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            // Not every format has 128 bits.
            Self::Whole(number) => match u64::try_from(*number) {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => serializer.serialize_i128(*number),
            },
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

/// Reads a [`Value`] of the option with this name, which an error names.
struct ValueOf<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one value for {}; guide: {}", self.0, page::CONFIGURATION)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Real(number))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }
}

/// The type of an option: how its value is written, and how it is read.
trait Setting: Sized {
    /// Whether an option of this type can be off, unless it is one of [`NEVER_OFF`].
    const CAN_BE_OFF: bool = false;

    /// # Errors
    ///
    /// The value is none of this type. The text says what to write instead.
    fn read(value: &Value) -> Result<Self, String>;

    fn written(&self) -> Value;
}

impl Setting for usize {
    fn read(value: &Value) -> Result<Self, String> {
        whole(value)
    }

    fn written(&self) -> Value {
        Value::Whole(*self as i128)
    }
}

impl Setting for u64 {
    fn read(value: &Value) -> Result<Self, String> {
        whole(value)
    }

    fn written(&self) -> Value {
        Value::Whole((*self).into())
    }
}

fn whole<T: TryFrom<i128>>(value: &Value) -> Result<T, String> {
    let number = if let Value::Whole(number) = value { T::try_from(*number).ok() } else { None };
    number.ok_or_else(|| "write a whole number, such as 10".to_owned())
}

impl Setting for f64 {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Real(number) => Ok(*number),
            Value::Whole(number) => Ok(*number as f64),
            _ => Err("write a number, such as 0.1".to_owned()),
        }
    }

    fn written(&self) -> Value {
        Value::Real(*self)
    }
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err("write true or false".to_owned()),
        }
    }

    fn written(&self) -> Value {
        Value::Flag(*self)
    }
}

/// Off is [`Duration::MAX`].
impl Setting for Duration {
    const CAN_BE_OFF: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        let example = "write a number with its unit, such as \"30s\", \"5m\" or \"250ms\"";
        match value {
            Value::Text(text) if text == OFF => Ok(Self::MAX),
            Value::Text(text) => {
                humantime::parse_duration(text).map_err(|error| format!("{error}: {example}"))
            }
            Value::Whole(_) | Value::Real(_) => Err(format!("it has no unit: {example}")),
            Value::Flag(_) | Value::Null => Err(example.to_owned()),
        }
    }

    fn written(&self) -> Value {
        if *self == Self::MAX { off() } else { Value::Text(humantime::format_duration(*self).to_string()) }
    }
}

/// Off is `None`.
impl<T: Setting> Setting for Option<T> {
    const CAN_BE_OFF: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == OFF => Ok(None),
            value => T::read(value).map(Some),
        }
    }

    fn written(&self) -> Value {
        self.as_ref().map_or_else(off, Setting::written)
    }
}

impl Setting for IdleOrder {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == "lifo" => Ok(Self::Lifo),
            Value::Text(text) if text == "fifo" => Ok(Self::Fifo),
            _ => Err("write \"lifo\" or \"fifo\"".to_owned()),
        }
    }

    fn written(&self) -> Value {
        Value::Text(match self {
            Self::Lifo => "lifo".to_owned(),
            Self::Fifo => "fifo".to_owned(),
        })
    }
}

fn off() -> Value {
    Value::Text(OFF.to_owned())
}

/// The value of the option `name`.
fn read<T: Setting, E: de::Error>(name: &str, value: &Value) -> Result<T, E> {
    let can_be_off = T::CAN_BE_OFF && !NEVER_OFF.contains(&name);
    let read = match value {
        Value::Text(text) if text == OFF && !can_be_off => Err("it cannot be off".to_owned()),
        // A file in JSON could have either, and one form is enough.
        Value::Null if can_be_off => Err(format!("write \"{OFF}\" to switch it off")),
        Value::Null => Err("leave it out for its default".to_owned()),
        value if can_be_off => T::read(value).map_err(|hint| format!("{hint}, or \"{OFF}\"")),
        value => T::read(value),
    };
    read.map_err(|hint| E::custom(format_args!("{name} is {value}: {hint}; guide: {}", page::CONFIGURATION)))
}

/// Makes both ways of the names of all options, in the order of their fields.
macro_rules! settings {
    ($($name:ident)+) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        /// Reads the option `name` into `config`.
        fn read_into<E: de::Error>(config: &mut PoolConfig, name: &str, value: &Value) -> Result<(), E> {
            match name {
                $(stringify!($name) => config.$name = read(name, value)?,)+
                _ => return Err(unknown(name)),
            }
            Ok(())
        }

        impl Serialize for PoolConfig {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Taken apart by name, so that an option cannot be forgotten in the list.
                let Self { $($name,)+ _non_exhaustive: () } = self;
                let mut fields = serializer.serialize_struct("PoolConfig", NAMES.len())?;
                $(fields.serialize_field(stringify!($name), &$name.written())?;)+
                fields.end()
            }
        }
    };
}

settings! {
    min_connections
    max_connections
    connection_timeout
    min_idle
    max_idle
    idle_timeout
    health_check_interval
    max_lifetime
    max_uses
    check_after_idle
    connect_attempt_timeout
    health_check_timeout
    reset_timeout
    close_timeout
    max_connecting
    max_pending
    lifetime_jitter
    connect_backoff
    max_connect_backoff
    fail_fast_after
    idle_order
    leak_threshold
    detect_nested_acquires
}

fn unknown<E: de::Error>(name: &str) -> E {
    let known = NAMES.join(", ");
    E::custom(format_args!(
        "there is no setting `{name}`: use one of {known}; guide: {}",
        page::CONFIGURATION
    ))
}

impl<'de> Deserialize<'de> for PoolConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("PoolConfig", NAMES, Settings)
    }
}

struct Settings;

impl<'de> Visitor<'de> for Settings {
    type Value = PoolConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a pool, by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PoolConfig, A::Error> {
        let mut config = PoolConfig::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // Before its value, which may be of any kind.
            if !NAMES.contains(&name.as_str()) {
                return Err(unknown(&name));
            }
            let value = map.next_value_seed(ValueOf(&name))?;
            read_into(&mut config, &name, &value)?;
            if seen.contains(&name) {
                let message = format_args!("{name} is set twice: drop one; guide: {}", page::CONFIGURATION);
                return Err(de::Error::custom(message));
            }
            seen.push(name);
        }
        config.validate().map_err(de::Error::custom)?;
        Ok(config)
    }
}

impl Serialize for IdleOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IdleOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = "idle_order";
        read(name, &ValueOf(name).deserialize(deserializer)?)
    }
}
