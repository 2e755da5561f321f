//! Queries that readers copy: SQL is parsed, in blocks and in the text, and a PromQL quantile keeps the label `le`.
//!
//! The syntax of PromQL is `promtool`'s to judge, which not every machine has: [`promql`] hands out the queries.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;

use crate::{Book, Finding, prose, tidy};

/// Where rules and dashboards are that readers download, relative to the repository.
const FILES: &str = "book/src/guide/monitoring";

/// The beginning of a whole statement in the text. `SELECT ..` and `BEGIN` are names of statements, not statements.
static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|ALTER|CREATE (?:TABLE|INDEX)|GRANT|REVOKE|TRUNCATE|DROP) \S")
        .expect("a valid pattern")
});
/// Keywords alone, such as `ALTER TABLE`: the name of a statement too.
static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[A-Z ]+$").expect("a valid pattern"));
static EXPRESSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^( *)(?:- )?expr: *(.*)$").expect("a valid pattern"));
static BY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u:\b)by ?\(([^)]*)\)").expect("a valid pattern"));
/// The error of the parser ends in the place.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r" at Line: (\d+), Column: \d+$").expect("a valid pattern"));

/// A query in PromQL, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub file: String,
    pub line: usize,
    pub text: String,
}

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        for block in page.blocks().iter().filter(|block| block.language() == Some("sql")) {
            if let Some((line, message)) = sql(&block.code) {
                found.push(Finding::new(&page.name, block.line + line, message));
            }
        }
        for run in prose::runs(page) {
            for (range, code) in run.code().filter(|(_, code)| {
                STATEMENT.is_match(code)
                    && !NAME.is_match(code)
                    && !code.contains(['…', '<'])
                    && !code.contains("..")
            }) {
                if let Some((_, message)) = sql(code) {
                    found.push(Finding::new(&page.name, page.line_at(run.source(range.start)), message));
                }
            }
        }
    }
    for query in promql(book) {
        if let Some(labels) = quantile_without_le(&query.text) {
            let message =
                format!("`histogram_quantile` needs the label `le`, and this keeps `{labels}`: add it");
            found.push(Finding::new(&query.file, query.line, message));
        }
    }
    found
}

/// What is wrong, with the line counted from 1, if no dialect takes it.
fn sql(code: &str) -> Option<(usize, String)> {
    let dialects: [&dyn Dialect; 2] = [&PostgreSqlDialect {}, &MySqlDialect {}];
    let errors: Option<Vec<String>> =
        dialects.iter().map(|dialect| Some(Parser::parse_sql(*dialect, code).err()?.to_string())).collect();
    let error = errors?.swap_remove(0);
    let line = PLACE.captures(&error).and_then(|place| place[1].parse().ok()).unwrap_or(1);
    Some((line, format!("this is no SQL: {}", PLACE.replace(&error, ""))))
}

/// The labels that are kept below a quantile, if `le` is not among them.
fn quantile_without_le(query: &str) -> Option<String> {
    let inside = query.split_once("histogram_quantile(")?.1;
    let labels = BY.captures(inside)?;
    (!labels[1].split(',').any(|label| label.trim() == "le")).then(|| labels[1].to_owned())
}

/// Every query in PromQL: in the pages, and in the rules and dashboards beside them.
pub fn promql(book: &Book) -> Vec<Query> {
    let mut queries = Vec::new();
    for page in book.texts() {
        for block in page.blocks() {
            if block.comment("not output").is_some_and(|what| what.contains("Prometheus")) {
                let text = block.code.clone();
                queries.push(Query { file: page.name.clone(), line: block.line + 1, text });
            } else if matches!(block.language(), Some("yaml" | "yml")) {
                queries.extend(of_rules(&page.name, block.line, &block.code));
            }
        }
    }
    let mut files = Vec::new();
    tidy::walk(&book.root, FILES, &mut files);
    for file in files {
        let text = fs::read_to_string(book.root.join(&file)).unwrap_or_default();
        if file.ends_with(".yml") {
            queries.extend(of_rules(&file, 0, &text));
        } else if let Ok(dashboard) = serde_json::from_str(&text) {
            of_dashboard(&dashboard, &mut |expression| {
                let escaped = Value::from(expression).to_string();
                let line = text.lines().position(|line| line.contains(&escaped)).map_or(1, |index| index + 1);
                let text = expression.replace("$__rate_interval", "5m");
                queries.push(Query { file: file.clone(), line, text });
            });
        }
    }
    queries
}

/// The expressions of rules in YAML: what stands behind `expr:`, and the lines below that are indented further.
fn of_rules(file: &str, above: usize, code: &str) -> Vec<Query> {
    let expressions = EXPRESSION.captures_iter(code).map(|found| {
        let whole = found.get(0).expect("the whole match");
        let (indent, first) = (found[1].len(), found[2].trim());
        let below = code[whole.end()..].lines().skip(1);
        let more =
            below.take_while(|line| line.len() - line.trim_start().len() > indent || line.trim().is_empty());
        let first = first.trim_start_matches(['|', '>', '-']).trim_matches(['\'', '"']).to_owned();
        let text =
            [first].into_iter().chain(more.map(|line| line.trim().to_owned())).collect::<Vec<_>>().join("\n");
        let line = above + code[..whole.start()].matches('\n').count() + 1;
        Query { file: file.to_owned(), line, text: text.trim().to_owned() }
    });
    expressions.collect()
}

fn of_dashboard(value: &Value, add: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(expression) if key == "expr" => add(expression),
                    _ => of_dashboard(value, add),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| of_dashboard(item, add)),
        _ => {}
    }
}

/// A file of rules for `promtool check rules`: the rule `query:N` has the query at N.
pub fn as_rules(queries: &[Query]) -> String {
    let mut rules = String::from("groups:\n  - name: queries\n    rules:\n");
    for (index, query) in queries.iter().enumerate() {
        let text = Value::from(query.text.as_str());
        rules.push_str(&format!("      - record: query:{index}\n        expr: {text}\n"));
    }
    rules
}

/// The queries that `promtool` names in what it printed.
pub fn refused(queries: &[Query], log: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for line in log.lines() {
        let Some((_, rest)) = line.split_once("query:") else { continue };
        let digits = rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        let Some(query) = digits.parse().ok().and_then(|index: usize| queries.get(index)) else { continue };
        let what = rest[digits.len()..].trim_matches(['"', ',', ':', ' ']);
        found.push(Finding::new(&query.file, query.line, format!("promtool refuses the query: {what}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const GOOD: &str = "SHOW max_connections;\nSELECT state, count(*) FROM pg_stat_activity\nWHERE a = 'b' GROUP BY 1 ORDER BY 2 DESC;\n\
        ALTER ROLE web SET statement_timeout = '2s';\nINSERT INTO r (k) VALUES ($1) ON CONFLICT (k) DO NOTHING;\n";

    fn block(code: &str) -> String {
        format!("# A\n\n```sql\n{code}```\n")
    }

    #[test]
    fn slips_in_sql_are_found() {
        expect(check(&Fixture::chapter(&block(GOOD)).book), &[]);
        let slips = [
            ("GROUP BY", "GROUP", 6),
            ("count(*)", "count(*", 5),
            ("FROM pg_stat_activity", "FORM pg_stat_activity", 5),
            ("WHERE a =", "WHERE a ==  =", 6),
            ("VALUES ($1)", "VALUES $1", 8),
        ];
        for (from, to, line) in slips {
            let found = check(&Fixture::chapter(&block(&GOOD.replace(from, to))).book);
            assert_eq!(found.len(), 1, "{to}");
            assert!(found[0].message.contains("no SQL") && found[0].line == line, "{to}: {found:?}");
        }
    }

    #[test]
    fn statements_in_the_text_are_parsed() {
        let text = "# A\n\nSend `SELECT 1`, `SELECT ..` or `BEGIN`.\n\n`SELECT 1 FROM WHERE a`\n\n`ALTER TABLE`, `ALTER ROLE SET x`\n";
        expect(check(&Fixture::chapter(text).book), &[(A, 5, "no SQL"), (A, 7, "no SQL")]);
    }

    #[test]
    fn queries_are_found_wherever_they_stand() {
        let page = "# A\n\n<!-- not output: a query for Prometheus -->\n```text\nrate(a[5m])\n```\n\n\
                    ```yaml\n- alert: B\n  expr: |\n    b > 0\n    and c\n  for: 5m\n- expr: d == 1\n```\n";
        let dashboard = r#"{"panels": [{"targets": [{"expr": "rate(e{a=\"b\"}[$__rate_interval])"}]}]}"#;
        let file = format!("{FILES}/d.json");
        let fixture = Fixture::new(&[(A, page), (&file, dashboard)]);
        let queries: Vec<_> =
            promql(&fixture.book).into_iter().map(|query| (query.line, query.text)).collect();
        let texts = [(5, "rate(a[5m])\n"), (10, "b > 0\nand c"), (14, "d == 1"), (1, "rate(e{a=\"b\"}[5m])")];
        assert_eq!(queries, texts.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn what_promtool_refuses_has_its_place() {
        let query = |line: usize| Query { file: A.to_owned(), line, text: "rate(".to_owned() };
        let log = "queries.yml: 9:9: group \"queries\", rule 2, \"query:1\": could not parse expression: 1:6: parse error\n";
        let found = refused(&[query(3), query(7)], log);
        expect(found, &[(A, 7, "promtool refuses the query: could not parse expression: 1:6: parse error")]);
        let rules = as_rules(&[query(3)]);
        assert!(rules.ends_with("- record: query:0\n        expr: \"rate(\"\n"), "{rules}");
    }

    #[test]
    fn a_quantile_without_le_is_found() {
        let rule = "# A\n\n```yaml\nexpr: histogram_quantile(0.9, sum by (a, le) (rate(b[5m])))\n```\n";
        expect(check(&Fixture::chapter(rule).book), &[]);
        for (from, to) in [("(a, le)", "(a)"), ("(a, le)", "(a, lee)"), ("by (a, le)", "by()")] {
            expect(check(&Fixture::chapter(&rule.replace(from, to)).book), &[(A, 4, "needs the label `le`")]);
        }
    }
}
