//! Numbers from the environment.

use std::env;
use std::str::FromStr;

/// The number in a variable. One that is no number stops the test: it would not run what you asked for.
pub(crate) fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is no number")))
}
