//! Every place that an option of `PoolConfig` touches knows each option, or `data/option_places.toml` says why not.
//!
//! The list of the places, `PLACES`, is that of the section "Add an option" in the chapter Contributing. What a compiler
//! or another check tells anyway is not in it: the default, `config_options.rs` and `data/options.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{ImplItem, Item, Type};

use crate::crate_source::{doc, line};
use crate::{Finding, tidy};

const CONFIG: &str = "crates/poolhouse/src/config.rs";
const CHAPTER: &str = "book/src/appendices/contributing.md";
const DATA: &str = "crates/book-checks/data/option_places.toml";

/// Where an option has to be named.
struct Place {
    /// In the data file.
    key: &'static str,
    /// A file, or a folder with all that is below it.
    path: &'static str,
    /// What a name there looks like.
    form: Form,
    /// What to do.
    advice: &'static str,
}

#[derive(Clone, Copy)]
enum Form {
    /// A string in this method of `PoolConfig`, or `self.name`.
    Method(&'static str),
    /// A string in the tests at the end of the file, or a field of a literal there.
    Tests,
    /// `config.name`.
    Read,
    /// A field of a literal `PoolConfig { name: .. }`, or what is assigned to: `config.name = ..`.
    Literal,
    /// The name in backticks.
    Prose,
}

const PLACES: [Place; 9] = [
    Place { key: "options", path: CONFIG, form: Form::Method("options"), advice: "add it to `options`" },
    Place {
        key: "validate",
        path: CONFIG,
        form: Form::Method("validate"),
        advice: "refuse in `validate` what no pool can do",
    },
    Place {
        key: "bounds",
        path: CONFIG,
        form: Form::Tests,
        advice: "add a value that is out of bounds to the test of `validate`",
    },
    Place {
        key: "use",
        path: "crates/poolhouse/src",
        form: Form::Read,
        advice: "let the policy, or the layer around it, read it",
    },
    Place {
        key: "world",
        path: "crates/poolhouse/src/policy/tests/world.rs",
        form: Form::Literal,
        advice: "let `options` draw it",
    },
    Place {
        key: "model",
        path: "crates/poolhouse/tests/model",
        form: Form::Literal,
        advice: "let the model's random configuration have it",
    },
    Place {
        key: "test",
        path: "crates/poolhouse/tests/it",
        form: Form::Literal,
        advice: "write a test that sets it and shows what it does",
    },
    Place {
        key: "example",
        path: "examples/configurations",
        form: Form::Literal,
        advice: "set it in the situation that it is for",
    },
    Place { key: "changelog", path: "CHANGELOG.md", form: Form::Prose, advice: "say that it is there" },
];

/// An option with its line in the configuration.
struct Declared {
    name: String,
    line: usize,
    is_documented: bool,
}

pub fn check(root: &Path) -> Vec<Finding> {
    let Some(config) =
        fs::read_to_string(root.join(CONFIG)).ok().and_then(|text| syn::parse_file(&text).ok())
    else {
        return Vec::new();
    };
    let options = options(&config);
    let mut found = Vec::new();
    let excuses = excuses(root).unwrap_or_else(|lack| {
        found.push(Finding::new(DATA, 1, lack));
        BTreeMap::new()
    });
    for option in options.iter().filter(|option| !option.is_documented) {
        let message = format!("`{}` has no documentation: write it", option.name);
        found.push(Finding::new(CONFIG, option.line, message));
    }
    for place in &PLACES {
        let named = names(root, place, &config);
        let none = BTreeMap::new();
        let excused = excuses.get(place.key).unwrap_or(&none);
        for Declared { name, line, .. } in &options {
            let is_named = named.contains(name);
            if !is_named && !excused.contains_key(name) {
                let message = format!(
                    "{} does not name `{name}`: {}, or say why not in {DATA}, [{}]",
                    place.path, place.advice, place.key
                );
                found.push(Finding::new(CONFIG, *line, message));
            } else if is_named && excused.contains_key(name) {
                let message =
                    format!("{} names `{name}` by now: drop the entry of [{}]", place.path, place.key);
                found.push(Finding::new(DATA, 1, message));
            }
        }
    }
    found.extend(unknown(&excuses, &options));
    found.extend(chapter(root));
    found
}

/// Entries of the data file for places and options that there are not.
fn unknown(excuses: &BTreeMap<String, BTreeMap<String, String>>, options: &[Declared]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, excused) in excuses {
        if PLACES.iter().all(|place| place.key != key) {
            found.push(Finding::new(DATA, 1, format!("there is no place [{key}]: drop it")));
        }
        for (name, reason) in excused {
            if options.iter().all(|option| option.name != *name) {
                found.push(Finding::new(DATA, 1, format!("[{key}] there is no option `{name}`: drop it")));
            } else if reason.trim().is_empty() {
                found.push(Finding::new(DATA, 1, format!("[{key}] `{name}` gives no reason: write one")));
            }
        }
    }
    found
}

/// The chapter tells of every place.
fn chapter(root: &Path) -> Vec<Finding> {
    let Ok(text) = fs::read_to_string(root.join(CHAPTER)) else { return Vec::new() };
    let section = text.split("\n## ").find(|section| section.starts_with("Add an option\n"));
    let section = section.unwrap_or_default();
    let is_missing = |path: &&str| !section.contains(&format!("`{path}`"));
    let paths: BTreeSet<&str> = PLACES.iter().map(|place| place.path).collect();
    let missing = paths.into_iter().filter(is_missing);
    missing
        .map(|path| Finding::new(CHAPTER, 1, format!("the section \"Add an option\" lacks `{path}`")))
        .collect()
}

/// Reasons, by place and option.
fn excuses(root: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let text = fs::read_to_string(root.join(DATA)).unwrap_or_default();
    toml::from_str(&text).map_err(|error| format!("cannot be read: {error}"))
}

/// The public fields of `PoolConfig`, apart from the one that has no name for users.
fn options(config: &syn::File) -> Vec<Declared> {
    let mut found = Vec::new();
    for item in &config.items {
        let Item::Struct(item) = item else { continue };
        if item.ident != "PoolConfig" {
            continue;
        }
        for field in &item.fields {
            let Some(name) = &field.ident else { continue };
            if name != "_non_exhaustive" {
                let is_documented = !doc(&field.attrs).trim().is_empty();
                found.push(Declared { name: name.to_string(), line: line(name), is_documented });
            }
        }
    }
    found
}

/// What is named in a place, options and other words.
fn names(root: &Path, place: &Place, config: &syn::File) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match place.form {
        Form::Method(name) => {
            strings(method(config, name), &mut found);
            keys(method(config, name), &mut found);
            reads(method(config, name), "self", &mut found);
        }
        Form::Tests => {
            for tests in config.items.iter().filter(|item| matches!(item, Item::Mod(_))) {
                strings(tests.to_token_stream(), &mut found);
                literals(tests.to_token_stream(), &mut found);
            }
        }
        Form::Prose => {
            let text = fs::read_to_string(root.join(place.path)).unwrap_or_default();
            found.extend(text.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        Form::Read | Form::Literal => {
            for tokens in files(root, place.path) {
                match place.form {
                    Form::Read => reads(tokens, "config", &mut found),
                    _ => literals(tokens, &mut found),
                }
            }
        }
    }
    found
}

/// The Rust files of a place. Of the crate's source, what is not the configuration itself and no test.
fn files(root: &Path, path: &str) -> Vec<TokenStream> {
    let mut names = Vec::new();
    if path.ends_with(".rs") {
        names.push(path.to_owned());
    } else {
        tidy::walk(root, path, &mut names);
        names.retain(|name| name.ends_with(".rs") && name != CONFIG && !name.contains("/policy/tests/"));
    }
    names
        .iter()
        .filter_map(|name| fs::read_to_string(root.join(name)).ok()?.parse::<TokenStream>().ok())
        .collect()
}

/// The body of a method of `PoolConfig`.
fn method(config: &syn::File, name: &str) -> TokenStream {
    for item in &config.items {
        let Item::Impl(item) = item else { continue };
        if !matches!(&*item.self_ty, Type::Path(path) if path.path.is_ident("PoolConfig")) {
            continue;
        }
        for member in &item.items {
            if let ImplItem::Fn(method) = member
                && method.sig.ident == name
            {
                return method.block.to_token_stream();
            }
        }
    }
    TokenStream::new()
}

/// The strings in the code.
fn strings(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => strings(group.stream(), found),
            TokenTree::Literal(literal) => {
                found.insert(literal.to_string().trim_matches('"').to_owned());
            }
            _ => {}
        }
    }
}

/// `name => ..`.
fn keys(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => keys(group.stream(), found),
            TokenTree::Ident(name) if is(tokens.get(index + 1), '=') && is(tokens.get(index + 2), '>') => {
                found.insert(name.to_string());
            }
            _ => {}
        }
    }
}

/// `of.name` and `of().name`.
fn reads(tokens: TokenStream, of: &str, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => reads(group.stream(), of, found),
            TokenTree::Ident(name) if name == of => {
                let called = matches!(tokens.get(index + 1), Some(TokenTree::Group(group))
                    if group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty());
                let at = index + 1 + usize::from(called);
                if let (true, Some(TokenTree::Ident(field))) = (is(tokens.get(at), '.'), tokens.get(at + 1)) {
                    found.insert(field.to_string());
                }
            }
            _ => {}
        }
    }
}

/// The fields of each `PoolConfig { .. }`, and those that are assigned to.
fn literals(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let before = index.checked_sub(1).and_then(|before| tokens.get(before));
                let is_config = matches!(before, Some(TokenTree::Ident(name)) if name == "PoolConfig");
                if is_config && group.delimiter() == Delimiter::Brace {
                    fields(group.stream(), found);
                }
                literals(group.stream(), found);
            }
            TokenTree::Ident(name)
                if index > 0
                    && is(tokens.get(index - 1), '.')
                    && is(tokens.get(index + 1), '=')
                    && !is(tokens.get(index + 2), '=') =>
            {
                found.insert(name.to_string());
            }
            _ => {}
        }
    }
}

fn fields(literal: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = literal.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        let begins = index == 0 || is(tokens.get(index - 1), ',');
        if let (true, TokenTree::Ident(name)) = (begins, token) {
            found.insert(name.to_string());
        }
    }
}

fn is(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const SOURCE: &str = "pub struct PoolConfig {\n    /// Of time.\n    pub limit: u8,\n    pub _non_exhaustive: (),\n}\n\
        impl PoolConfig {\n    fn validate(&self) { no(\"limit\") }\n    fn options(&self) { all! { limit => 1 } }\n}\n\
        mod tests { fn bounds() { case(\"limit\") } }\n";

    /// Each place with a file of it that names the option.
    const WHOLE: [(&str, &str); 8] = [
        (CONFIG, SOURCE),
        ("crates/poolhouse/src/inner.rs", "fn a() { inner.config().limit; }"),
        (
            "crates/poolhouse/src/policy/tests/world.rs",
            "fn options() { PoolConfig { limit: 1, ..config() } }",
        ),
        ("crates/poolhouse/tests/model/ops.rs", "fn a(limit: u8) { PoolConfig { limit } }"),
        ("crates/poolhouse/tests/it/a.rs", "fn a() { config.limit = 1; }"),
        ("examples/configurations/a.rs", "fn a() { run!(poolhouse::PoolConfig { limit: 2 }) }"),
        ("CHANGELOG.md", "- `limit`.\n"),
        (
            CHAPTER,
            "# Contributing\n\n## Add an option\n\n`crates/poolhouse/src/config.rs` `crates/poolhouse/src` \
             `crates/poolhouse/src/policy/tests/world.rs` `crates/poolhouse/tests/model` `crates/poolhouse/tests/it` \
             `examples/configurations` `CHANGELOG.md`\n\n## Other\n",
        ),
    ];

    /// The repository with other text in one of its files.
    fn with(file: &str, text: &str) -> Vec<Finding> {
        let changed = WHOLE.map(|(name, whole)| (name, if name == file { text } else { whole }));
        check(&Fixture::new(&changed).book.root)
    }

    #[test]
    fn an_option_that_is_known_everywhere_passes() {
        expect(with("none", ""), &[]);
    }

    #[test]
    fn each_place_that_was_forgotten_is_found() {
        for (file, text, says) in [
            ("crates/poolhouse/src/inner.rs", "fn a() { stats.limit; }", "policy, or the layer"),
            ("crates/poolhouse/src/policy/tests/world.rs", "fn limit() {}", "let `options` draw it"),
            ("crates/poolhouse/tests/model/ops.rs", "fn a() { Other { limit } }", "random configuration"),
            (
                "crates/poolhouse/tests/it/a.rs",
                "/// PoolConfig { limit: 1 }\nfn a() { config.limit == 1; PoolConfig { a: 1, ..limit } }",
                "write a test that sets it",
            ),
            ("examples/configurations/a.rs", "fn a() { limit }", "the situation"),
            ("CHANGELOG.md", "- limit\n", "say that it is there"),
            (CONFIG, &SOURCE.replace("no(\"limit\")", "no(\"more\")"), "refuse in `validate`"),
            (CONFIG, &SOURCE.replace("limit => 1", ""), "add it to `options`"),
            (CONFIG, &SOURCE.replace("case(\"limit\")", "case()"), "to the test of `validate`"),
            (CONFIG, &SOURCE.replace("    /// Of time.\n", "\n"), "has no documentation"),
        ] {
            expect(with(file, text), &[(CONFIG, 3, says)]);
        }
        expect(
            with(
                CHAPTER,
                "# Contributing\n\n## Add an option\n\n`crates/poolhouse/src/config.rs` and the others\n",
            ),
            &[
                (CHAPTER, 1, "lacks `CHANGELOG.md`"),
                (CHAPTER, 1, "lacks `crates/poolhouse/src/policy/tests/world.rs`"),
                (CHAPTER, 1, "lacks `crates/poolhouse/src`"),
                (CHAPTER, 1, "lacks `crates/poolhouse/tests/it`"),
                (CHAPTER, 1, "lacks `crates/poolhouse/tests/model`"),
                (CHAPTER, 1, "lacks `examples/configurations`"),
            ],
        );
    }

    #[test]
    fn a_reason_is_accepted_and_a_stale_one_found() {
        let example = "examples/configurations/a.rs";
        let repository = |example: &str, data: &str| {
            let files: Vec<_> = WHOLE
                .into_iter()
                .map(|(name, whole)| (name, if name.starts_with("examples") { example } else { whole }))
                .chain([(DATA, data)])
                .collect();
            check(&Fixture::new(&files).book.root)
        };
        let data = "[example]\nlimit = \"no situation needs another one\"\n";
        expect(repository("", data), &[]);
        let whole = WHOLE.iter().find(|(name, _)| *name == example).unwrap().1;
        expect(repository(whole, data), &[(DATA, 1, "names `limit` by now")]);
        let wrong = "[example]\nlimit = \"\"\ngone = \"x\"\n[nowhere]\n";
        expect(
            repository("", wrong),
            &[
                (DATA, 1, "[example] `limit` gives no reason"),
                (DATA, 1, "[example] there is no option `gone`"),
                (DATA, 1, "no place [nowhere]"),
            ],
        );
        assert!(repository("", "[").iter().any(|finding| finding.message.contains("cannot be read")));
    }
}
