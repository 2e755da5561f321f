//! A metric that a chapter names is one that the service of the tutorial exports, or one that a generated table gives a
//! statistic: an alert on a metric that nobody exports never fires.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, generated};

const SERVICE: &str = "examples/tutorial/metrics/mod.rs";

static METRIC: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bpool_[a-z_]+_(?:total|connections|requests|seconds(?:_bucket|_sum|_count)?)\b")
        .expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    let Ok(service) = fs::read_to_string(book.root.join(SERVICE)) else { return Vec::new() };
    let mut found = Vec::new();
    for page in book.chapters() {
        for (index, line) in page.text.lines().enumerate() {
            for metric in METRIC.find_iter(line).map(|metric| metric.as_str()) {
                let name = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| metric.strip_suffix(end))
                    .unwrap_or(metric);
                if !service.contains(&format!("\"{name}\"")) && !generated::contains(page, index + 1) {
                    let message = format!("no metric `{name}` in {SERVICE}: fix the name, or export it");
                    found.push(Finding::new(&page.name, index + 1, message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_metric_that_nobody_exports_is_found() {
        let text = "# A\n\n`pool_wait_seconds_bucket`, `pool_size`\n\n```yaml\nexpr: rate(pool_failures_total[5m])\n```\n";
        let fixture = Fixture::new(&[("book/src/a.md", text), (SERVICE, "(\"pool_wait_seconds\", 1)")]);
        expect(check(&fixture.book), &[("book/src/a.md", 6, "`pool_failures_total`")]);
    }
}
