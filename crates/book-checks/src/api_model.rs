//! The public items of the companion crate, in the order of `lib.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use quote::ToTokens as _;
use syn::{
    Fields, FnArg, ImplItem, Item, Pat, ReceiverKind, ReturnType, Signature, TraitItem, Type, UseTree,
    Visibility,
};

use crate::crate_source::{self, File, doc, line};

/// A public struct, enum, trait or type alias.
#[derive(Clone)]
pub(crate) struct Entry {
    /// `Pool`, or `blocking::Pool`.
    pub(crate) path: String,
    /// As rustdoc's files begin: `struct`, `enum`, `trait`, `type`.
    pub(crate) kind: &'static str,
    pub(crate) doc: String,
    pub(crate) methods: Vec<Method>,
    /// Public fields of a struct, or variants of an enum.
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) signature: String,
    pub(crate) doc: String,
    pub(crate) file: String,
    pub(crate) line: usize,
    /// For a trait: whether there is no default.
    pub(crate) required: bool,
}

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The type of a field, or the names of the fields of a variant.
    pub(crate) kind: String,
    pub(crate) doc: String,
}

impl Entry {
    /// Where rustdoc puts it, below the folder of all crates.
    pub(crate) fn rustdoc(&self) -> String {
        let (module, name) = self.path.rsplit_once("::").unwrap_or(("", &self.path));
        let folder = if module.is_empty() { String::new() } else { format!("{module}/") };
        format!("poolhouse/{folder}{}.{name}.html", self.kind)
    }

    /// The anchors of its page.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let methods = self.methods.iter().map(|method| method.anchor(self));
        let part = if self.kind == "enum" { "variant" } else { "structfield" };
        methods.chain(self.parts.iter().map(|field| format!("{part}.{}", field.name))).collect()
    }
}

impl Method {
    pub(crate) fn anchor(&self, of: &Entry) -> String {
        let kind = if of.kind == "trait" && self.required { "tymethod" } else { "method" };
        format!("{kind}.{}", self.name)
    }
}

thread_local! {
    static MADE: RefCell<HashMap<PathBuf, Rc<Vec<Entry>>>> = RefCell::default();
}

/// Everything that the crate exports. Empty without a crate. Made once a thread.
pub(crate) fn entries(root: &Path) -> Rc<Vec<Entry>> {
    if let Some(entries) = MADE.with_borrow(|made| made.get(root).cloned()) {
        return entries;
    }
    let entries = Rc::new(exports(root));
    MADE.with_borrow_mut(|made| made.insert(root.to_owned(), Rc::clone(&entries)));
    entries
}

fn exports(root: &Path) -> Vec<Entry> {
    let files = crate_source::files(root);
    let Some(lib) = files.iter().find(|file| file.name.ends_with("poolhouse/src/lib.rs")) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in &lib.syntax.items {
        if let Item::Use(item) = item
            && matches!(item.vis, Visibility::Public(_))
        {
            exported(&item.tree, &mut names);
        }
    }
    let is_blocking =
        |file: &&File| file.name.ends_with("/blocking.rs") || file.name.contains("/src/blocking/");
    let mut found: Vec<Entry> = Vec::new();
    for name in names {
        found.extend(entry(
            &name,
            "",
            files.iter().filter(|file| !is_blocking(file) && !is_policy(file)).collect(),
        ));
    }
    for file in files.iter().filter(is_blocking) {
        for item in &file.syntax.items {
            let name = match item {
                Item::Struct(item) if matches!(item.vis, Visibility::Public(_)) => &item.ident,
                Item::Enum(item) if matches!(item.vis, Visibility::Public(_)) => &item.ident,
                _ => continue,
            };
            found.extend(entry(&name.to_string(), "blocking::", vec![file]));
        }
    }
    found
}

/// What is inside, and not for users.
fn is_policy(file: &File) -> bool {
    file.name.contains("/src/policy/")
}

fn exported(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => exported(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| exported(tree, names)),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        _ => {}
    }
}

fn entry(name: &str, module: &str, mut files: Vec<&File>) -> Option<Entry> {
    let path = format!("{module}{name}");
    // Its own file first, then the others that say more of it.
    let defines = |file: &&File| file.syntax.items.iter().any(|item| definition(item, name).is_some());
    files.sort_by_key(|file| !defines(file));
    let (kind, doc, parts) = files.first()?.syntax.items.iter().find_map(|item| definition(item, name))?;
    let mut methods = Vec::new();
    for file in files {
        for item in &file.syntax.items {
            match item {
                Item::Impl(item)
                    if item.trait_.is_none() && self_name(&item.self_ty).as_deref() == Some(name) =>
                {
                    let public = item.items.iter().filter_map(|item| match item {
                        ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => Some(method),
                        _ => None,
                    });
                    methods.extend(public.map(|item| method(file, &item.attrs, &item.sig, "pub ", true)));
                }
                Item::Trait(item) if item.ident == name => {
                    let all = item.items.iter().filter_map(|item| match item {
                        TraitItem::Fn(method) => Some(method),
                        _ => None,
                    });
                    methods.extend(
                        all.map(|item| method(file, &item.attrs, &item.sig, "", item.default.is_none())),
                    );
                }
                _ => {}
            }
        }
    }
    Some(Entry { path, kind, doc, methods, parts })
}

fn definition(item: &Item, name: &str) -> Option<(&'static str, String, Vec<Part>)> {
    match item {
        Item::Struct(item) if item.ident == name => {
            let public = item.fields.iter().filter(|field| matches!(field.vis, Visibility::Public(_)));
            let parts = public.filter_map(|field| {
                let (name, kind) = (field.ident.as_ref()?.to_string(), printed_type(&field.ty));
                Some(Part { name, kind, doc: doc(&field.attrs) })
            });
            Some(("struct", doc(&item.attrs), parts.collect()))
        }
        Item::Enum(item) if item.ident == name => {
            let parts = item.variants.iter().map(|variant| Part {
                name: variant.ident.to_string(),
                kind: fields(&variant.fields),
                doc: doc(&variant.attrs),
            });
            Some(("enum", doc(&item.attrs), parts.collect()))
        }
        Item::Trait(item) if item.ident == name => Some(("trait", doc(&item.attrs), Vec::new())),
        Item::Type(item) if item.ident == name => Some(("type", doc(&item.attrs), Vec::new())),
        _ => None,
    }
}

fn fields(fields: &Fields) -> String {
    let names: Vec<String> =
        fields.iter().filter_map(|field| Some(format!("`{}`", field.ident.as_ref()?))).collect();
    names.join(", ")
}

fn self_name(kind: &Type) -> Option<String> {
    let Type::Path(path) = kind else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

fn method(
    file: &File,
    attributes: &[syn::Attribute],
    signature: &Signature,
    vis: &str,
    required: bool,
) -> Method {
    Method {
        name: signature.ident.to_string(),
        signature: printed(signature, vis),
        doc: doc(attributes),
        file: file.name.clone(),
        line: line(&signature.ident),
        required,
    }
}

/// A signature without what only the body needs: whether an argument is changed inside.
pub(crate) fn plain(mut signature: Signature) -> Signature {
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if matches!(receiver.kind, ReceiverKind::Value) => {
                receiver.mutability = None;
            }
            FnArg::Typed(argument) => {
                if let Pat::Ident(name) = &mut *argument.pat {
                    name.mutability = None;
                }
            }
            FnArg::Receiver(_) => {}
        }
    }
    signature
}

/// A signature as a formatter would write it.
fn printed(signature: &Signature, vis: &str) -> String {
    let tokens = format!("{vis}{} {{}}", plain(signature.clone()).to_token_stream());
    let text = syn::parse_str(&tokens)
        .map(|item: Item| {
            prettyplease::unparse(&syn::File {
                shebang: None,
                frontmatter: None,
                attrs: Vec::new(),
                items: vec![item],
            })
        })
        .unwrap_or(tokens);
    text.trim_end().trim_end_matches("{}").trim_end().trim_end_matches(',').to_owned()
}

pub(crate) fn printed_type(kind: &Type) -> String {
    let signature = Signature {
        output: ReturnType::Type(Default::default(), Box::new(kind.clone())),
        ..syn::parse_str("fn a()").expect("a signature")
    };
    printed(&signature, "").trim_start_matches("fn a() -> ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    pub(crate) const LIB: &str = "mod a;\npub use crate::a::{Pool, Manager, Why};\n";
    pub(crate) const POOL: &str = "/// A pool.\npub struct Pool<M: Manager> {\n    /// How many.\n    pub size: Option<usize>,\n    own: u8,\n}\n\
        impl<M: Manager> Pool<M> {\n    /// Waits.\n    pub fn acquire(mut self, mut limit: Duration) -> Acquire<'_, M> { todo() }\n    \
        pub(crate) fn inner(&self) {}\n}\n\
        pub trait Manager { /// Opens.\n fn connect(&self) -> u8; fn target(&self) -> u8 { 1 } }\n\
        pub enum Why { /// Over.\n Closed { target: String } }\n";

    #[test]
    fn what_is_exported_is_found_with_its_methods_and_parts() {
        let fixture =
            Fixture::new(&[("crates/poolhouse/src/lib.rs", LIB), ("crates/poolhouse/src/a.rs", POOL)]);
        let entries = entries(&fixture.book.root);
        let paths: Vec<String> = entries.iter().map(Entry::rustdoc).collect();
        assert_eq!(
            paths,
            ["poolhouse/struct.Pool.html", "poolhouse/trait.Manager.html", "poolhouse/enum.Why.html"]
        );
        let [pool, manager, why] = &entries[..] else { panic!("three items") };
        assert_eq!(pool.methods.len(), 1);
        assert_eq!(pool.methods[0].signature, "pub fn acquire(self, limit: Duration) -> Acquire<'_, M>");
        assert_eq!((pool.parts.len(), pool.parts[0].kind.as_str()), (1, "Option<usize>"));
        assert_eq!(pool.anchors(), ["method.acquire", "structfield.size"]);
        assert_eq!(manager.anchors(), ["tymethod.connect", "method.target"]);
        assert_eq!((why.anchors(), why.parts[0].kind.as_str()), (vec!["variant.Closed".into()], "`target`"));
    }

    #[test]
    fn long_signatures_are_broken() {
        let signature = syn::parse_str(
            "fn acquire_async<F>(&self, callback: F) -> JoinHandle<()> where F: FnOnce(Result<PooledConnection<M>, AcquireError>) + Send + 'static",
        );
        let text = printed(&signature.unwrap(), "pub ");
        assert!(
            text.starts_with(
                "pub fn acquire_async<F>(&self, callback: F) -> JoinHandle<()>\nwhere\n    F: FnOnce("
            ),
            "{text}"
        );
        assert!(text.ends_with("'static"), "{text}");
    }
}
