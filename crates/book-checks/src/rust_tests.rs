//! The test functions of Rust sources, and what their documentation says.
//!
//! A test is a function with an attribute whose path ends in `test`: `#[test]`, `#[tokio::test(...)]`, or `test` behind
//! a `cfg_attr`. The sources are read as tokens, not as items, so a test inside a macro call such as `proptest!` counts
//! like any other, and one inside a string literal does not. A function's body is not looked into.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use crate::{Finding, tidy};

/// Documentation: the number of each line, and its text.
pub(crate) type Doc = Vec<(usize, String)>;

pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) doc: Doc,
    /// `cargo test` skips it unless it is asked.
    pub(crate) ignored: bool,
}

/// A file, or a module inside one.
#[derive(Default)]
pub(crate) struct Module {
    /// Empty for a file.
    pub(crate) name: String,
    /// What stands at its head.
    pub(crate) head: Doc,
    pub(crate) tests: Vec<Test>,
    pub(crate) modules: Vec<Module>,
}

pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) file: String,
    pub(crate) module: Module,
}

impl Module {
    /// Its tests, and those of the modules inside it.
    pub(crate) fn all_tests(&self) -> Vec<&Test> {
        self.tests.iter().chain(self.modules.iter().flat_map(Module::all_tests)).collect()
    }
}

/// Every Rust file below `crates`, `examples` and `tests`, in the order of their names, and those that cannot be read.
pub(crate) fn sources(root: &Path) -> (Vec<Source>, Vec<Finding>) {
    let (mut names, mut found, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for folder in ["crates", "examples", "tests"] {
        tidy::walk(root, folder, &mut names);
    }
    names.retain(|name| name.ends_with(".rs"));
    names.sort();
    for file in names {
        match fs::read_to_string(root.join(&file)).unwrap_or_default().parse::<TokenStream>() {
            Ok(tokens) => found.push(Source { file, module: module(String::new(), Doc::new(), tokens) }),
            Err(error) => {
                let message = format!("this is no Rust ({error}): fix it, or give it another ending");
                wrong.push(Finding::new(file, error.span().start().line.max(1), message));
            }
        }
    }
    (found, wrong)
}

/// Reads the items of a module. `head` is the documentation that stands outside of its braces.
fn module(name: String, head: Doc, tokens: TokenStream) -> Module {
    let mut module = Module { name, head, ..Module::default() };
    let mut attributes = Attributes::default();
    let mut in_signature = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => match tokens.next() {
                Some(TokenTree::Group(attribute)) => attributes.add(attribute.stream()),
                // After `#!`: the attribute of the module itself.
                Some(_) => {
                    if let Some(TokenTree::Group(attribute)) = tokens.next() {
                        module.head.extend(doc(attribute.stream()));
                    }
                }
                None => {}
            },
            TokenTree::Ident(word) if word == "fn" => {
                in_signature = true;
                let Attributes { doc, test, ignored } = std::mem::take(&mut attributes);
                if let (true, Some(TokenTree::Ident(name))) = (test, tokens.peek()) {
                    module.tests.push(Test { name: name.to_string(), doc, ignored });
                }
            }
            TokenTree::Ident(word) if word == "mod" => {
                let Some(TokenTree::Ident(name)) = tokens.next() else { continue };
                if let Some(TokenTree::Group(body)) = tokens.peek() {
                    let head = std::mem::take(&mut attributes).doc;
                    module.modules.push(self::module(name.to_string(), head, body.stream()));
                }
            }
            // The call of a macro: what stands between its braces may be items.
            TokenTree::Punct(punct) if punct.as_char() == '!' && !in_signature => {
                if let Some(TokenTree::Group(body)) = tokens.peek() {
                    let inside = self::module(String::new(), Doc::new(), body.stream());
                    module.tests.extend(inside.tests);
                    module.modules.extend(inside.modules);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                (attributes, in_signature) = (Attributes::default(), false);
            }
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                (attributes, in_signature) = (Attributes::default(), false);
            }
            _ => {}
        }
    }
    module
}

/// What the attributes before an item say.
#[derive(Default)]
struct Attributes {
    doc: Doc,
    test: bool,
    ignored: bool,
}

impl Attributes {
    fn add(&mut self, attribute: TokenStream) {
        self.doc.extend(doc(attribute.clone()));
        let Some((path, arguments)) = path(attribute) else { return };
        self.test |= path.to_string().ends_with("test");
        self.ignored |= path == "ignore";
        if path == "cfg_attr" {
            let arguments: Vec<TokenTree> = arguments.into_iter().collect();
            let is_comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            for attribute in arguments.split(is_comma).skip(1) {
                self.add(attribute.iter().cloned().collect());
            }
        }
    }
}

/// The last word of an attribute's path, and what stands in its brackets.
fn path(attribute: TokenStream) -> Option<(Ident, TokenStream)> {
    let mut last = None;
    for token in attribute {
        match token {
            TokenTree::Ident(word) => last = Some(word),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {}
            TokenTree::Group(arguments) => return Some((last?, arguments.stream())),
            _ => break,
        }
    }
    Some((last?, TokenStream::new()))
}

/// The text of `doc = "text"`, which is also how the tokens show a documentation comment.
fn doc(attribute: TokenStream) -> Doc {
    let mut tokens = attribute.into_iter();
    if !matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "doc") {
        return Doc::new();
    }
    let Some(TokenTree::Literal(text)) = tokens.nth(1) else { return Doc::new() };
    let line = text.span().start().line;
    let text = text.to_string().trim_matches('"').replace("\\n", "\n");
    text.split('\n').enumerate().map(|(index, text)| (line + index, text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    fn read(text: &str) -> Module {
        module(String::new(), Doc::new(), text.parse().unwrap())
    }

    fn names(module: &Module) -> Vec<&str> {
        module.all_tests().iter().map(|test| test.name.as_str()).collect()
    }

    #[test]
    fn every_kind_of_test_is_found() {
        let module = read(
            r##"
            #[test]
            fn plain() { #[test] fn inside() {} }
            #[tokio::test(flavor = "multi_thread")]
            #[ignore]
            pub async fn of_tokio() -> Result<(), Never> { panic!("{}", 1) }
            #[cfg_attr(not(loom), test)]
            fn behind_a_condition() {}
            proptest! {
                #![proptest_config(Config::default())]
                #[test]
                fn of_a_macro(x in 0..10u8) { assert!(x < 10); }
            }
            #[cfg(test)]
            mod tests { mod deeper { #[rstest] fn far_down() {} } }
            "##,
        );
        assert_eq!(names(&module), ["plain", "of_tokio", "behind_a_condition", "of_a_macro", "far_down"]);
        assert_eq!(module.tests.iter().filter(|test| test.ignored).count(), 1);
    }

    #[test]
    fn what_is_no_test_is_not_found() {
        let module = read(
            r##"
            const TEXT: &str = "#[test] fn in_a_string() {}";
            // #[test] fn in_a_comment() {}
            #[test]
            const NOT_A_FUNCTION: () = ();
            #[cfg(test)]
            fn helper() {}
            macro_rules! cases { ($name:ident) => { #[test] fn $name() {} } }
            "##,
        );
        assert_eq!(names(&module), [""; 0]);
    }

    #[test]
    fn documentation_keeps_its_lines() {
        let module =
            read("//! Head.\n\n/// One\n/// two.\n#[test]\nfn a() {}\n/// Tests.\nmod b {\n//! More.\n}");
        assert_eq!(module.head, [(1, " Head.".to_owned())]);
        assert_eq!(module.tests[0].doc, [(3, " One".to_owned()), (4, " two.".to_owned())]);
        assert_eq!(module.modules[0].head, [(7, " Tests.".to_owned()), (9, " More.".to_owned())]);
    }

    #[test]
    fn a_file_that_is_no_rust_is_named() {
        let fixture = Fixture::new(&[("crates/a/src/lib.rs", "fn a() {}\n\n)\n"), ("tests/a.rs", "")]);
        let (found, wrong) = sources(&fixture.book.root);
        assert_eq!(found.len(), 1);
        expect(wrong, &[("crates/a/src/lib.rs", 3, "no Rust")]);
    }
}
