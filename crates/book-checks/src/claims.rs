//! Which sentences claim something that no program here can judge, and what a reader has to read them against.
//!
//! A sentence claims something if it gives a quantity, tells of another system, states a rule that has one home in the
//! book, names something of the crate, or says `never`, `before`, `more` and the like of the things that a pool deals with:
//! such a sentence has an opposite, and one of the two is wrong. Rules and systems are in `data/claims.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::sayings::{Kind, Saying};
use crate::{Book, Finding, arithmetic, defaults, read_again};

const FILE: &str = "crates/book-checks/data/claims.toml";

/// Words without which a sentence would say something else, and often the opposite.
const DECISIVE: &str = "after|again|all|alone|always|any|as long as|as soon as|at least|at most|at once|because|before|both|\
    by itself|cannot|do not|does not|during|each|either|else|enough|even|every|everybody|except|fails?|fewer|first|forever|\
    higher|if|instead|larger|last|later|less|longer|lower|may|more|most|must|neither|never|no|nobody|none|nor|not|nothing|\
    once|only|or|other|otherwise|rather|same|shorter|since|slower|faster|smaller|so|sooner|still|than|too|unless|until|when|\
    whenever|while|without";

/// What a pool deals with, and what it does.
const NOUNS: &str = "acquir|address|async|backoff|budget|burst|cach|call|cancel|capacit|certificate|check|client|clock|clos|\
    command|commit|concurren|config|connect|cost|credential|deadline|deadlock|default|deploy|descriptor|disconnect|drain|drop|\
    error|event|exhaust|fail|future|guard|guarantee|handle|handshake|health|hold|hook|idle|instance|invalidat|jitter|keepalive|\
    latency|leak|lease|libpq|lifetime|limit|listener|load|lock|log|manager|maximum|measure|memory|message|metric|minimum|mutex|\
    network|open|option|overload|packet|panic|password|peer|poll|pool|port|prepared|primary|process|protocol|proxy|proxies|\
    query|queries|queue|quer|rate|read|release|replica|replac|reply|repl|request|reserv|reset|respon|restart|retir|retr|return|\
    role|rollback|round trip|row|runtime|secret|select|semaphore|send|server|service|session|shutdown|signal|size|snapshot|\
    socket|spawn|statement|statistic|stream|suspend|task|tenant|test|thread|throughput|time|timer|tls|token|traffic|\
    transaction|wait|warm|work|write";

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

static IS_DECISIVE: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i)(?-u:\b)(?:{DECISIVE}|[a-z]+n['’]t)(?-u:\b)")));
static HAS_NOUN: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"(?i)`|(?-u:\b)(?:{NOUNS})")));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// Names of other systems, as a pattern.
    systems: String,
    rules: BTreeMap<String, Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Words by which a sentence speaks of it, as a pattern.
    words: String,
    /// The page, and the heading as an anchor.
    home: String,
}

/// What tells a claim from what may be changed without being read.
pub(crate) struct Claims {
    systems: Regex,
    rules: Vec<(String, Regex, String)>,
}

impl Claims {
    pub(crate) fn of_the_book() -> Result<Claims, String> {
        Claims::parse(include_str!("../data/claims.toml"))
    }

    fn parse(data: &str) -> Result<Claims, String> {
        let data: Data = toml::from_str(data).map_err(|error| error.to_string())?;
        let words =
            |words: &str| Regex::new(&format!(r"(?i)(?-u:\b)(?:{words})")).map_err(|error| error.to_string());
        let rules = data.rules.into_iter().map(|(name, rule)| Ok((name, words(&rule.words)?, rule.home)));
        Ok(Claims { systems: words(&data.systems)?, rules: rules.collect::<Result<_, String>>()? })
    }

    /// Against what to read it. `None` if it claims nothing.
    pub(crate) fn against(&self, page: &str, saying: &Saying) -> Option<String> {
        match saying.kind {
            Kind::Comment => return Some("the lines of code beside it".to_owned()),
            Kind::Block => return Some("the documentation of the system that it is written for".to_owned()),
            Kind::Prose => {}
        }
        let text = saying.text.as_str();
        let mut against = Vec::new();
        for (name, words, home) in &self.rules {
            let is_home = home.split('#').next() == Some(page);
            if words.is_match(text) && !is_home {
                against.push(format!("the home of {name}, {home}"));
            }
        }
        if let Some(system) = self.systems.find(text) {
            against.push(format!("the documentation or the source of {}", system.as_str()));
        }
        if let Some(start) = text.find("<https://") {
            against.push(format!("its source {}", &text[start..]));
        }
        let unproven = arithmetic::SUM.replace_all(text, "");
        let unproven = defaults::FORM.replace_all(&unproven, "");
        if read_again::QUANTITY.is_match(&unproven) {
            against.push("what was measured, or the program or table that has the number".to_owned());
        }
        if HAS_NOUN.is_match(text) && (IS_DECISIVE.is_match(text) || text.contains('`')) {
            against.push("the code, and the guarantees of the section".to_owned());
        }
        (!against.is_empty()).then(|| against.join("; "))
    }

    /// The homes of the rules that the book does not have.
    pub(crate) fn homeless(&self, book: &Book) -> Vec<Finding> {
        let mut found = Vec::new();
        for (name, _, home) in &self.rules {
            let (page, anchor) = home.split_once('#').unwrap_or((home, ""));
            let has = book
                .page(page)
                .is_some_and(|page| anchor.is_empty() || crate::links::has_anchor(page, anchor));
            if !has {
                found.push(Finding::new(
                    FILE,
                    1,
                    format!("{name}: there is no {home}: write where the rule is"),
                ));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const DATA: &str = "systems = \"postgres\"\n[rules.\"the order\"]\nwords = \"shut down\"\nhome = \"book/src/b.md#order\"\n";

    fn against(page: &str, kind: Kind, text: &str) -> Option<String> {
        let saying = Saying { line: 1, kind, text: text.to_owned() };
        Claims::parse(DATA).unwrap().against(page, &saying)
    }

    #[track_caller]
    fn is_claim(text: &str, against_words: &str) {
        let against = against("book/src/a.md", Kind::Prose, text);
        assert!(
            against.as_ref().is_some_and(|against| against.contains(against_words)),
            "{text}: {against:?}"
        );
    }

    #[test]
    fn what_can_be_wrong_is_a_claim() {
        is_claim("It takes two steps.", "what was measured");
        is_claim("PostgreSQL ends it.", "source of Postgre");
        is_claim("See that <https://a.example/1>", "its source <https://a.example/1>");
        is_claim("You shut down at the end.", "the home of the order, book/src/b.md#order");
        is_claim("The pool never waits.", "the code");
        is_claim("A waiter is served later.", "the code");
        is_claim("A caller mustn't ask.", "the code");
        is_claim("Call `close`.", "the code");
        assert!(against("a", Kind::Comment, "Ends.").unwrap().contains("lines of code"));
        assert!(against("a", Kind::Block, "x").unwrap().contains("documentation"));
    }

    #[test]
    fn what_claims_nothing_stays_free() {
        for text in ["What to read next", "The picture shows it.", "It is blue.", "Ask for help."] {
            assert_eq!(against("book/src/a.md", Kind::Prose, text), None, "{text}");
        }
        // Each of these is proven by a check of its own.
        assert_eq!(against("a", Kind::Prose, "90 / 12 = 7.5"), None);
        // A rule is not read against itself.
        assert_eq!(against("book/src/b.md", Kind::Prose, "You shut down at the end."), None);
    }

    #[test]
    fn a_rule_needs_its_home() {
        let home = |text: &str| {
            let fixture = Fixture::new(&[("book/src/b.md", text)]);
            Claims::parse(DATA).unwrap().homeless(&fixture.book)
        };
        expect(home("# B\n\n## Order\n"), &[]);
        expect(home("# B\n\n## Other\n"), &[(FILE, 1, "the order: there is no book/src/b.md#order")]);
        assert!(Claims::parse("systems = 1").is_err());
        Claims::of_the_book().unwrap();
    }
}
