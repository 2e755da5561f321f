//! Asks cargo for the libraries that snippets may use.
//!
//! `cargo metadata` says what the package depends on and by which names; `cargo build` says which file each library
//! became. The two meet by package id. Either alone would not do: metadata knows nothing of files, and a build's
//! messages know nothing of names (a renamed dependency) or of what is only an indirect dependency.
//!
//! Cargo is told the target although it is the host's own. It then keeps what it builds for build scripts and
//! procedural macros apart, and of a crate that is built both ways the right one can be told by its folder.
//!
//! The list of dependencies is read with all features on, and so is too long. What was not built drops out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::settings::Settings;

/// What rustdoc has to be told.
#[derive(Debug)]
pub(crate) struct Externs {
    /// The library of each crate, by the name that snippets use.
    pub(crate) libraries: BTreeMap<String, PathBuf>,
    /// The values for `-L`: where dependencies of dependencies are, and where build scripts found native libraries.
    pub(crate) search: BTreeSet<String>,
    /// The folder that was built into.
    pub(crate) target_dir: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// The lines of `cargo build --message-format=json` that matter here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        target: Target,
        filenames: Vec<PathBuf>,
    },
    BuildScriptExecuted {
        linked_paths: Vec<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the package that `settings` name, and says where the results are.
pub(crate) fn build(root: &Path, settings: &Settings) -> Result<Externs> {
    let host = host(root)?;
    let metadata = metadata(root, settings, &host)?;
    let id = package_id(&metadata, settings.package.as_deref())?;
    let target_dir = settings
        .target_dir
        .as_ref()
        .map_or_else(|| metadata.target_directory.join("mdbook-externs"), |folder| root.join(folder));

    let mut command = cargo(root, settings, "build");
    command.args(["--lib", "--message-format=json-render-diagnostics", "--package", id, "--target", &host]);
    command.arg("--target-dir").arg(&target_dir);
    for feature in &settings.features {
        command.args(["--features", feature]);
    }
    // Cargo's progress and the compiler's errors go straight to the reader.
    let output = command.stderr(Stdio::inherit()).output().context(NO_CARGO)?;
    let name = package_name(&metadata, id);
    ensure!(
        output.status.success(),
        "the package `{name}` does not build, so no snippet was tested. Cargo has said why, above: \
         fix that, then run `mdbook test` again"
    );
    let messages = messages(&output.stdout).context("cargo's messages are not what they used to be")?;
    let mut externs = collect(&messages, &metadata, id, &target_dir.join(&host));
    externs.target_dir = target_dir;
    Ok(externs)
}

const NO_CARGO: &str = "cargo cannot be started. Is Rust installed, and on the PATH?";

fn cargo(root: &Path, settings: &Settings, subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).current_dir(root).stdin(Stdio::null());
    if let Some(manifest) = &settings.manifest_path {
        command.arg("--manifest-path").arg(root.join(manifest));
    }
    command
}

/// The target triple of this machine, once it is clear that mdBook will use the same compiler.
///
/// mdBook runs rustdoc in a temporary folder, which a `rust-toolchain.toml` beside the book does not reach. With
/// `RUSTUP_TOOLCHAIN` set nothing can be said: either the user has set it, for mdBook too, or `cargo run` has.
fn host(root: &Path) -> Result<String> {
    let rustc = version(&env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()), root)?;
    if env::var_os("RUSTUP_TOOLCHAIN").is_none() {
        let rustdoc = version("rustdoc".as_ref(), &env::temp_dir())?;
        check_toolchains(&rustc, &rustdoc)?;
    }
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

fn version(program: &std::ffi::OsStr, folder: &Path) -> Result<String> {
    let name = program.display();
    let output = Command::new(program)
        .arg("-vV")
        .current_dir(folder)
        .output()
        .with_context(|| format!("{name} cannot be started. Is Rust installed, and on the PATH?"))?;
    ensure!(output.status.success(), "`{name} -vV` fails: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn check_toolchains(rustc: &str, rustdoc: &str) -> Result<()> {
    let release = |text: &str| text.lines().next()?.split_once(' ').map(|(_, release)| release.to_owned());
    let (rustc, rustdoc) = (release(rustc), release(rustdoc));
    ensure!(
        rustc == rustdoc,
        "in the book's folder Rust is {}, but outside, where mdBook runs rustdoc, it is {}. \
         Choose one for both: `RUSTUP_TOOLCHAIN=VERSION mdbook test`",
        rustc.unwrap_or_default(),
        rustdoc.unwrap_or_default()
    );
    Ok(())
}

fn metadata(root: &Path, settings: &Settings, host: &str) -> Result<Metadata> {
    let output = cargo(root, settings, "metadata")
        .args(["--format-version=1", "--all-features", "--filter-platform", host])
        .stderr(Stdio::inherit())
        .output()
        .context(NO_CARGO)?;
    ensure!(
        output.status.success(),
        "cargo cannot read the package, and has said why, above. \
         Is there a Cargo.toml in the book's folder or above it? If not, set `manifest-path`"
    );
    serde_json::from_slice(&output.stdout).context("the output of `cargo metadata` is not what it used to be")
}

fn package_name<'a>(metadata: &'a Metadata, id: &'a str) -> &'a str {
    metadata.packages.iter().find(|package| package.id == id).map_or(id, |package| &package.name)
}

fn package_id<'a>(metadata: &'a Metadata, wanted: Option<&str>) -> Result<&'a str> {
    let members = || metadata.workspace_members.iter().map(|id| (id, package_name(metadata, id)));
    let found = match wanted {
        Some(wanted) => members().find(|(_, name)| *name == wanted).map(|(id, _)| id),
        None => metadata.resolve.root.as_ref(),
    };
    let Some(id) = found else {
        let names: Vec<_> = members().map(|(_, name)| name).collect();
        match wanted {
            Some(wanted) => bail!("no package `{wanted}` in the workspace, which has: {}", names.join(", ")),
            None => {
                bail!("set `package` in book.toml to one of the workspace's packages: {}", names.join(", "))
            }
        }
    };
    Ok(id)
}

fn messages(stdout: &[u8]) -> Result<Vec<Message>> {
    // A build script or a wrapper may write lines of its own; cargo's are JSON objects.
    let lines = stdout.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
}

/// Matches names with files. `built_for_target` is the folder of what was not built for the compiler's own use.
fn collect(messages: &[Message], metadata: &Metadata, id: &str, built_for_target: &Path) -> Externs {
    let mut search = BTreeSet::new();
    let mut built = BTreeMap::new();
    for message in messages {
        match message {
            Message::CompilerArtifact { package_id, target, filenames } => {
                let Some(file) = library(target, filenames) else { continue };
                if let Some(folder) = file.parent() {
                    search.insert(format!("dependency={}", folder.display()));
                }
                let is_macro = target.kind.iter().any(|kind| kind == "proc-macro");
                if is_macro || file.starts_with(built_for_target) {
                    built.insert(package_id.as_str(), (target.name.replace('-', "_"), file.clone()));
                }
            }
            Message::BuildScriptExecuted { linked_paths } => search.extend(linked_paths.iter().cloned()),
            Message::Other => {}
        }
    }
    // Of the package itself, cargo reports a link in the folder above the one that holds the dependencies.
    let mut libraries: BTreeMap<_, _> = built.get(id).cloned().into_iter().collect();
    let dependencies = metadata.resolve.nodes.iter().filter(|node| node.id == id).flat_map(|node| &node.deps);
    for dependency in dependencies.filter(|found| found.dep_kinds.iter().any(|kind| kind.kind.is_none())) {
        if let Some((_, file)) = built.get(dependency.pkg.as_str()) {
            libraries.insert(dependency.name.clone(), file.clone());
        }
    }
    Externs { libraries, search, target_dir: PathBuf::new() }
}

/// The file that `--extern` wants, if the target is a library.
fn library<'a>(target: &Target, filenames: &'a [PathBuf]) -> Option<&'a PathBuf> {
    let is_library = |kind: &String| ["lib", "rlib", "dylib", "proc-macro"].contains(&kind.as_str());
    if !target.kind.iter().any(is_library) {
        return None;
    }
    let with_extension =
        |wanted| filenames.iter().find(|file| file.extension().is_some_and(|found| found == wanted));
    with_extension("rlib").or_else(|| with_extension(env::consts::DLL_EXTENSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_known() -> Metadata {
        Metadata {
            packages: vec![],
            workspace_members: vec![],
            resolve: Resolve { root: None, nodes: vec![] },
            target_directory: PathBuf::new(),
        }
    }

    #[test]
    fn different_toolchains_are_an_error_that_says_what_to_do() {
        let rustc = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x";
        check_toolchains(rustc, "rustdoc 1.95.0 (59807616e 2026-04-14)\nbinary: rustdoc\nhost: x").unwrap();
        let error =
            check_toolchains(rustc, "rustdoc 1.88.0 (abcdefabc 2025-06-23)\n").unwrap_err().to_string();
        assert!(error.contains("1.95.0 (") && error.contains("1.88.0 ("), "{error}");
        assert!(error.contains("RUSTUP_TOOLCHAIN=VERSION mdbook test"), "{error}");
    }

    #[test]
    fn of_a_crate_built_twice_the_one_for_the_target_is_taken() {
        let artifact = |file: &str| Message::CompilerArtifact {
            package_id: "a".into(),
            target: Target { name: "a".into(), kind: vec!["lib".into()] },
            filenames: vec![file.into()],
        };
        let (host, target) = ("/t/debug/deps/liba-1.rlib", "/t/triple/debug/deps/liba-2.rlib");
        for order in [[host, target], [target, host]] {
            let externs = collect(&order.map(artifact), &nothing_known(), "a", Path::new("/t/triple"));
            assert_eq!(externs.libraries["a"], PathBuf::from(target));
            assert_eq!(externs.search.len(), 2);
        }
    }

    #[test]
    fn what_build_scripts_found_is_searched_and_what_is_no_library_is_passed_over() {
        let artifact = |kind: &str, files: &str| {
            let target = format!(r#"{{"name":"a","kind":{kind}}}"#);
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"a","target":{target},"filenames":{files}}}"#
            )
        };
        let lines = [
            r#"{"reason":"build-script-executed","package_id":"a","linked_paths":["native=/n"]}"#.to_owned(),
            "noise of a wrapper".to_owned(),
            artifact(r#"["cdylib","rlib"]"#, r#"["/t/x/liba.so","/t/x/liba.rlib"]"#),
            artifact(r#"["custom-build"]"#, r#"["/t/b/build.rlib"]"#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let messages = messages(lines.join("\n").as_bytes()).unwrap();
        let externs = collect(&messages, &nothing_known(), "a", Path::new("/t"));
        assert_eq!(externs.search.iter().collect::<Vec<_>>(), ["dependency=/t/x", "native=/n"]);
        assert_eq!(externs.libraries["a"], PathBuf::from("/t/x/liba.rlib"));
    }
}
