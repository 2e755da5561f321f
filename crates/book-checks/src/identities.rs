//! An equation between statistics that a chapter states holds in a real pool: `` `a == b + c` ``.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poolhouse::{Manager, Pool, PoolConfig, PoolStats, PooledConnection};
use regex::Regex;

use crate::{Book, Finding, prose};

static EQUATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([a-z_]+) ==? ([a-z_]+(?: [+-] [a-z_]+)*)$").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let numbers = numbers();
    let mut found = Vec::new();
    for page in book.chapters() {
        for run in prose::runs(page) {
            for (range, code) in run.code() {
                if let Some(message) = judge(code, &numbers) {
                    found.push(Finding::new(&page.name, page.line_at(run.source(range.start)), message));
                }
            }
        }
    }
    found
}

fn judge(code: &str, numbers: &BTreeMap<&str, i64>) -> Option<String> {
    let equation = EQUATION.captures(code)?;
    let left = *numbers.get(&equation[1])?;
    let (mut right, mut sign) = (0, 1);
    for word in equation[2].split(' ') {
        match word {
            "+" => sign = 1,
            "-" => sign = -1,
            name => right += sign * numbers.get(name)?,
        }
    }
    (left != right).then(|| format!("`{code}` does not hold, it was {left} and {right} in a pool: fix it"))
}

struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = std::convert::Infallible;

    async fn connect(&self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The statistics of a pool in which no two of these numbers are the same by chance.
fn numbers() -> BTreeMap<&'static str, i64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let stats: PoolStats = runtime.block_on(async {
        let config = PoolConfig { min_connections: 0, max_connections: 20, ..PoolConfig::default() };
        let pool = Pool::new(Nothing, config).expect("a valid configuration");
        let mut held = Vec::new();
        for _ in 0..13 {
            held.push(pool.acquire().await.expect("there is room"));
        }
        // Four are closed, two stay idle, seven are held.
        held.drain(..4).for_each(PooledConnection::invalidate);
        held.truncate(7);
        let stats = pool.stats();
        drop(held);
        stats
    });
    let number = |number: usize| i64::try_from(number).expect("a small number");
    let count = |number: u64| i64::try_from(number).expect("a small number");
    BTreeMap::from([
        ("total_connections", number(stats.total_connections)),
        ("active_connections", number(stats.active_connections)),
        ("idle_connections", number(stats.idle_connections)),
        ("pending_requests", number(stats.pending_requests)),
        ("total_acquisitions", count(stats.total_acquisitions)),
        ("total_releases", count(stats.total_releases)),
        ("failed_acquisitions", count(stats.failed_acquisitions)),
        ("connections_created", count(stats.connections_created)),
        ("connections_destroyed", count(stats.connections_destroyed)),
        ("max_connections", number(stats.max_connections)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn equations_are_tried_in_a_pool() {
        let text = "# A\n\n`total_connections == idle_connections + active_connections`\n\
                    `connections_created - connections_destroyed > max * 2` `a == b`\n\
                    `total_connections == idle_connections`\n\
                    `connections_created == total_connections - connections_destroyed`\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[("book/src/a.md", 5, "it was 9 and 2"), ("book/src/a.md", 6, "it was 13 and 5")],
        );
    }
}
