//! Prints what two chapters of the guide show, or writes it where they take it from.

use real_services::contestants::AnyError;
use real_services::pages::SCENES;

const USAGE: &str = "pages [--write] [SCENE]...: a scene is the name of a file in crates/real-services/output";

fn main() -> Result<(), AnyError> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let write = words.iter().any(|word| word == "--write");
    words.retain(|word| word != "--write");
    let name = |file: &str| file.split('.').next().unwrap_or_default().to_owned();
    if let Some(unknown) = words
        .iter()
        .find(|word| !SCENES.iter().any(|scene| name(scene.file) == **word))
    {
        return Err(format!("there is no scene `{unknown}`. {USAGE}").into());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    for scene in &SCENES {
        if !words.is_empty() && !words.contains(&name(scene.file)) {
            continue;
        }
        let text = runtime
            .block_on(scene.play())
            .map_err(|error| format!("{}: {error}", scene.file))?;
        if write {
            let folder =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("output");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(scene.file), text)?;
        } else {
            print!("{text}");
        }
    }
    Ok(())
}
