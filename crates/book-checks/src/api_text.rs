//! The public interface of a module as text: its items without bodies, documentation and private parts.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use syn::{
    Attribute, Block, Fields, ImplItem, Item, ItemEnum, ItemImpl, ItemStruct, ItemTrait, TraitItem, Type,
    UseTree, Visibility,
};

use crate::api_model::{plain, printed_type};

/// Attributes that mean something to users, with thiserror's `from`, which is a conversion.
const KEPT: [&str; 7] = ["cfg", "derive", "deprecated", "from", "must_use", "non_exhaustive", "repr"];

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// An item that a module exports, under its name in the file that defines it.
struct Export {
    name: String,
    /// Those of the `pub use`.
    attributes: Vec<Attribute>,
}

/// What `module` exports of `files`, its own file among them.
///
/// # Errors
///
/// An item is exported in a way that does not show it, or is defined in none of the files.
pub(crate) fn interface(module: &syn::File, files: &[&syn::File]) -> Result<String, String> {
    let mut all = Vec::new();
    for item in &module.items {
        all.extend(exports(item)?);
    }
    // By name, and not as they stand: to move an item is no change of the interface.
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let items = || files.iter().flat_map(|file| &file.items);
    let mut crates: Vec<String> = module.items.iter().filter_map(whole_crate).collect();
    crates.sort();
    let mut parts = Vec::from_iter((!crates.is_empty()).then(|| crates.join("\n")));
    for export in &all {
        let definition = items().find(|item| defined(item).is_some_and(|name| name == export.name));
        let Some(definition) = definition else {
            return Err(format!("`{}` is exported and defined nowhere in the crate", export.name));
        };
        let text = print(definition);
        let attributes = with_attributes(&export.attributes, "");
        parts.push(if text.starts_with(&attributes) { text } else { attributes + &text });
        let inherent = items().filter_map(|item| match item {
            Item::Impl(item) if item.trait_.is_none() && is_of(item, &export.name) => Some(item),
            _ => None,
        });
        parts.extend(public_parts(inherent));
    }
    for item in &module.items {
        if let Item::Mod(item) = item
            && is_public(&item.vis)
        {
            parts.push(with_attributes(&kept(&item.attrs), &format!("pub mod {};", item.ident)));
        }
    }
    let mut of_traits = implementations(files, &all.into_iter().map(|export| export.name).collect());
    of_traits.sort();
    if !of_traits.is_empty() {
        parts.push(of_traits.join("\n"));
    }
    Ok(parts.join("\n\n"))
}

/// Another crate that is exported as it is: its interface is its own.
fn whole_crate(item: &Item) -> Option<String> {
    match item {
        Item::Use(item) if is_public(&item.vis) => match &item.tree {
            UseTree::Name(name) => Some(format!("pub use {};", name.ident)),
            _ => None,
        },
        _ => None,
    }
}

/// What rustdoc does not show is public for the compiler alone.
fn is_doc_hidden(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
        && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "hidden")
}

fn exports(item: &Item) -> Result<Vec<Export>, String> {
    let mut found = Vec::new();
    match item {
        item if whole_crate(item).is_some() => {}
        Item::Use(item) if item.attrs.iter().any(is_doc_hidden) => {}
        Item::Use(item) if is_public(&item.vis) => used(&item.tree, &kept(&item.attrs), &mut found)?,
        item => found.extend(defined(item).map(|name| Export { name, attributes: Vec::new() })),
    }
    Ok(found)
}

fn used(tree: &UseTree, attributes: &[Attribute], found: &mut Vec<Export>) -> Result<(), String> {
    match tree {
        UseTree::Path(path) => used(&path.tree, attributes, found),
        UseTree::Group(group) => group.items.iter().try_for_each(|tree| used(tree, attributes, found)),
        UseTree::Name(name) => {
            found.push(Export { name: name.ident.to_string(), attributes: attributes.to_vec() });
            Ok(())
        }
        _ => Err("a `pub use` with `*` or `as` hides what is exported: name each item".to_owned()),
    }
}

/// The name of a public item.
fn defined(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}

/// The name of a type or trait of any visibility.
fn type_name(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Trait(item) => Some(item.ident.to_string()),
        Item::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

fn is_of(item: &ItemImpl, name: &str) -> bool {
    last_name(&item.self_ty).as_deref() == Some(name)
}

fn last_name(kind: &Type) -> Option<String> {
    match kind {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => last_name(&reference.elem),
        _ => None,
    }
}

/// The traits that exported types implement, and what implements an exported trait, a line each.
fn implementations(files: &[&syn::File], exported: &BTreeSet<String>) -> Vec<String> {
    let items = || files.iter().flat_map(|file| &file.items);
    let own: BTreeSet<String> = items().filter_map(type_name).collect();
    let is_hidden = |name: &str| own.contains(name) && !exported.contains(name);
    let mut found = Vec::new();
    for item in items() {
        let Item::Impl(item) = item else { continue };
        let Some((path, _)) = &item.trait_ else { continue };
        let of = last_name(&item.self_ty).unwrap_or_default();
        let name = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        // Nobody outside can use `From<Hidden>`.
        let is_private =
            is_hidden(&of) || path.to_token_stream().into_iter().any(|token| is_hidden(&token.to_string()));
        if (exported.contains(&of) || exported.contains(&name)) && !is_private {
            let mut header = item.clone();
            header.attrs = kept(&item.attrs);
            header.items.retain(|item| matches!(item, ImplItem::Type(_)));
            found.push(printed(Item::Impl(header)).replace(" {}", ";"));
        }
    }
    found
}

fn with_attributes(attributes: &[Attribute], text: &str) -> String {
    let mut whole = String::new();
    for attribute in attributes {
        // As a line of its own, the way in which a formatter prints it above an item.
        let item: Item = Item::Struct(ItemStruct {
            attrs: vec![attribute.clone()],
            ..syn::parse_str("struct A;").expect("an item")
        });
        whole.push_str(printed(item).trim_end_matches("struct A;"));
    }
    whole + text
}

fn kept(attributes: &[Attribute]) -> Vec<Attribute> {
    let keep = |attribute: &&Attribute| {
        let name = attribute.path().get_ident().map(ToString::to_string);
        name.is_some_and(|name| KEPT.contains(&name.as_str()))
    };
    attributes.iter().filter(keep).cloned().collect()
}

fn print(item: &Item) -> String {
    match item {
        Item::Struct(item) => of_struct(item.clone()),
        Item::Enum(item) => of_enum(item.clone()),
        Item::Trait(item) => of_trait(item.clone()),
        Item::Fn(item) => {
            let mut item = item.clone();
            item.attrs = kept(&item.attrs);
            item.block = Box::new(empty());
            item.sig = plain(item.sig);
            without_bodies(&printed(Item::Fn(item)), ";")
        }
        // What it is worth may change.
        Item::Const(item) => format!("pub const {}: {};", item.ident, printed_type(&item.ty)),
        Item::Static(item) => format!("pub static {}: {};", item.ident, printed_type(&item.ty)),
        Item::Type(item) => {
            let mut item = item.clone();
            item.attrs = kept(&item.attrs);
            printed(Item::Type(item))
        }
        item => printed(item.clone()),
    }
}

fn of_struct(mut item: ItemStruct) -> String {
    item.attrs = kept(&item.attrs);
    let all = item.fields.len();
    match &mut item.fields {
        Fields::Named(fields) => {
            let public = std::mem::take(&mut fields.named).into_iter().filter(|field| is_public(&field.vis));
            fields.named = public.collect();
        }
        Fields::Unnamed(fields) if fields.unnamed.iter().any(|field| !is_public(&field.vis)) => {
            fields.unnamed.clear();
        }
        Fields::Unnamed(_) | Fields::Unit => {}
    }
    for field in &mut item.fields {
        field.attrs = kept(&field.attrs);
    }
    let is_whole = item.fields.len() == all;
    let text = printed(Item::Struct(item));
    if is_whole {
        return text;
    }
    match text.strip_suffix("\n}") {
        Some(fields) => format!("{fields}\n    // and private fields\n}}"),
        None => {
            let bare = text.trim_end_matches(';').trim_end_matches("()").trim_end_matches("{}").trim_end();
            format!("{bare} {{ /* private fields */ }}")
        }
    }
}

fn of_enum(mut item: ItemEnum) -> String {
    item.attrs = kept(&item.attrs);
    for variant in &mut item.variants {
        variant.attrs = kept(&variant.attrs);
        for field in &mut variant.fields {
            field.attrs = kept(&field.attrs);
        }
    }
    printed(Item::Enum(item))
}

/// A method that has a default ends with `{ .. }`.
pub(crate) fn of_trait(mut item: ItemTrait) -> String {
    item.attrs = kept(&item.attrs);
    for part in &mut item.items {
        match part {
            TraitItem::Fn(method) => {
                method.attrs = kept(&method.attrs);
                method.sig = plain(method.sig.clone());
                method.default = method.default.is_some().then(empty);
            }
            TraitItem::Type(kind) => kind.attrs = kept(&kind.attrs),
            TraitItem::Const(constant) => constant.attrs = kept(&constant.attrs),
            _ => {}
        }
    }
    without_bodies(&printed(Item::Trait(item)), " { .. }")
}

/// The inherent blocks of a type without what is private, those with the same head as one.
fn public_parts<'a>(blocks: impl Iterator<Item = &'a ItemImpl>) -> Vec<String> {
    let mut merged: BTreeMap<String, (ItemImpl, BTreeMap<String, ImplItem>)> = BTreeMap::new();
    for block in blocks {
        let mut head = block.clone();
        head.attrs = kept(&block.attrs);
        head.items.clear();
        let (_, members) =
            merged.entry(printed(Item::Impl(head.clone()))).or_insert_with(|| (head, BTreeMap::new()));
        members.extend(block.items.iter().filter_map(public_member));
    }
    let mut texts = Vec::new();
    for (mut block, members) in merged.into_values() {
        block.items = members.into_values().collect();
        if !block.items.is_empty() {
            texts.push(without_bodies(&printed(Item::Impl(block)), ";"));
        }
    }
    texts
}

/// A public member with its name, without its body.
fn public_member(member: &ImplItem) -> Option<(String, ImplItem)> {
    match member {
        ImplItem::Fn(method) if is_public(&method.vis) => {
            let mut method = method.clone();
            method.attrs = kept(&method.attrs);
            method.sig = plain(method.sig);
            method.block = empty();
            Some((method.sig.ident.to_string(), ImplItem::Fn(method)))
        }
        ImplItem::Const(constant) if is_public(&constant.vis) => {
            let mut constant = constant.clone();
            constant.attrs = kept(&constant.attrs);
            Some((constant.ident.to_string(), ImplItem::Const(constant)))
        }
        _ => None,
    }
}

fn empty() -> Block {
    syn::parse_str("{}").expect("a block")
}

/// The text with `end` in the place of each empty body, which stands on a line of its own below a `where`.
fn without_bodies(text: &str, end: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_suffix(" {}"), lines.last_mut()) {
            (Some(before), _) if !before.trim().is_empty() => lines.push(format!("{before}{end}")),
            (_, Some(last)) if line.trim() == "{}" => {
                *last = format!("{}{end}", last.trim_end_matches(','));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

fn printed(item: Item) -> String {
    let file = syn::File { shebang: None, frontmatter: None, attrs: Vec::new(), items: vec![item] };
    prettyplease::unparse(&file).trim_end().to_owned()
}
