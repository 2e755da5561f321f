//! Parts of texts: the whole cause of an error, counts and durations.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::call_out::call_out;

/// How far a chain of sources is followed: one that leads back to itself has no end.
const LINKS: usize = 16;

/// An error inside the text of another, which names the page itself: its text and those of its sources, each part once.
pub(crate) struct Inner<'a, E: ?Sized>(pub(crate) &'a E);

impl<E: Error + ?Sized> fmt::Display for Inner<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is asked here is somebody else's code, and the pool asks in its background, to write a log line. A panic
        // must not end that.
        let text = call_out(|| chain(self.0));
        f.write_str(
            text.as_deref()
                .unwrap_or("an error whose text cannot be made: see the panic's message on stderr"),
        )
    }
}

/// An error and its sources.
pub(super) fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(1 + LINKS)
}

fn chain(error: &(impl Error + ?Sized)) -> String {
    let mut parts = vec![without_page(error.to_string())];
    let sources = error.source().into_iter().flat_map(links).take(LINKS);
    for text in sources.map(|error| without_page(error.to_string())) {
        if parts.join(": ").contains(&text) {
            continue;
        }
        match parts.last_mut() {
            // Some errors give their source's text, and some the other way round.
            Some(last) if text.contains(last.as_str()) => *last = text,
            _ => parts.push(text),
        }
    }
    parts.join(": ")
}

fn without_page(mut text: String) -> String {
    if let Some((before, _)) = text.rsplit_once("; guide: ") {
        text.truncate(before.len());
    }
    text
}

/// Where a pool's connections go, and the pool's name if it has one.
pub(crate) struct At<'a>(pub(crate) &'a str, pub(crate) &'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(target, pool) = self;
        match pool {
            Some(pool) => write!(f, "{target} (pool \"{pool}\")"),
            None => f.write_str(target),
        }
    }
}

/// `"1 connect"`, `"2 connects"`.
pub(crate) struct Counted<N>(pub(crate) N, pub(crate) &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{count} {noun}{}", if *count == N::from(1) { "" } else { "s" })
    }
}

pub(crate) fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// A duration to the millisecond: what a person compares.
pub(super) fn brief(duration: Duration) -> String {
    format!("{:?}", Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}
