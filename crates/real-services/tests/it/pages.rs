//! What two chapters of the guide show is what their programs print.

use std::path::Path;

use real_services::pages::SCENES;
use test_servers::{ServerError, start_or_skip};

/// `cargo run --bin pages -- --write` writes the files anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chapters_show_what_the_programs_print() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("output");
    for scene in &SCENES {
        let printed = match scene.play().await {
            Ok(printed) => Ok(printed),
            Err(error) => match error.downcast::<ServerError>() {
                Ok(error) => Err(*error),
                Err(error) => panic!("{}: {error}", scene.file),
            },
        };
        let printed = start_or_skip!(printed);
        let shown =
            std::fs::read_to_string(folder.join(scene.file)).unwrap_or_default();
        assert_eq!(printed, shown, "{}", scene.file);
    }
}

/// No file is left of a scene that is gone.
#[test]
fn every_file_belongs_to_a_program() {
    let files =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("output"))
            .unwrap();
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut scenes: Vec<_> = SCENES.iter().map(|scene| scene.file).collect();
    files.sort_unstable();
    scenes.sort_unstable();
    assert_eq!(files, scenes);
}
