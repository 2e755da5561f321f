//! The competitors, one small file each.

#[cfg(feature = "peers")]
mod bb8;
#[cfg(feature = "peers")]
mod deadpool;
pub mod echo;
#[cfg(feature = "peers")]
mod fast_pool;
mod floors;
#[cfg(feature = "peers")]
mod mobc;
mod poolhouse;
#[cfg(feature = "peers")]
mod r2d2;
mod semaphore_vec;
#[cfg(feature = "peers")]
mod sqlx;
#[cfg(feature = "peers")]
mod sqlx_database;

use crate::competitor::{About, Kind, Visitor};

pub use floors::{MutexVec, Yields};
pub use poolhouse::{Full, full_pool};

/// Shows every competitor to the visitor, in the order of the tables. A new competitor is one line here.
pub fn each(visitor: &mut impl Visitor) {
    visitor.visit::<Full>();
    visitor.visit::<poolhouse::Defaults>();
    #[cfg(feature = "peers")]
    {
        visitor.visit::<deadpool::WaitTimeout>();
        visitor.visit::<deadpool::NoTimeout>();
        visitor.visit::<bb8::Bb8>();
        visitor.visit::<fast_pool::FastPool>();
        visitor.visit::<mobc::Mobc>();
        visitor.visit::<sqlx::Sqlx>();
        visitor.visit::<r2d2::R2d2>();
    }
    visitor.visit::<semaphore_vec::SemaphoreVec>();
    visitor.visit::<MutexVec>();
}

/// What every competitor is, and the floor of the scheduler.
pub fn all() -> Vec<About> {
    struct Collect(Vec<About>);
    impl Visitor for Collect {
        fn visit<K: Kind>(&mut self) {
            self.0.push(K::about());
        }
    }
    let mut collect = Collect(Vec::new());
    each(&mut collect);
    let mut all = collect.0;
    all.extend(echo::all(&all));
    all.push(Yields::about());
    all
}

/// The version of a dependency, from this package's lock file.
fn version(package: &str) -> String {
    let versions = include_str!("../../Cargo.lock")
        .split("[[package]]")
        .filter(|entry| entry.lines().any(|line| line == format!("name = \"{package}\"")))
        .filter_map(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")))
        .map(|version| version.trim_end_matches('"').to_string());
    versions.last().unwrap_or_else(|| panic!("{package} is not in Cargo.lock"))
}
